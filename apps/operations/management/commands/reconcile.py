"""Prove that the books add up, while the market runs."""

import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.operations.services.reconcile import CHECKS, PROBES, Result, reconcile_run
from apps.operations.services.reconcile_depth import depth_reconcile
from apps.operations.services.reconcile_replay import replay_reconcile
from apps.operations.services.reconcile_view import view_reconcile
from apps.primitives.errors import NotFound

COMPARISONS: dict[str, Callable[[], Result]] = {
    "depth": depth_reconcile,
    "view": lambda: view_reconcile(complete=True),
    "replay": replay_reconcile,
}
OTHERS = (
    ("I5.replay", "by --replay: the reference book makes the same trades and books of the newest commands"),
    ("I8.depth", "by --depth: the published depth of every book is that of its open orders"),
    ("I8.view", "by --view: the active-order view in Redis shows exactly the live orders"),
    ("I11.chain", "by night and by manage.py audit_verify: the events are what was sealed"),
)


class Command(BaseCommand):
    help = (
        "Check every invariant of the books in one snapshot; exit 1 and show the broken rows when one fails."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="append", default=[], metavar="NAME", help="such as I4 or I4.fills"
        )
        parser.add_argument("--depth", action="store_true", help="compare the published books as well (I8)")
        parser.add_argument("--view", action="store_true", help="compare the Redis view as well (I8)")
        parser.add_argument(
            "--replay",
            action="store_true",
            help="replay some seconds through the reference book as well (I5)",
        )
        parser.add_argument("--json", action="store_true", help="print machine-readable results")
        parser.add_argument("--list", action="store_true", help="say what is checked, and check nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            for name, title in [*((c.name, c.title) for c in CHECKS + PROBES), *OTHERS]:
                self.stdout.write(f"{name:<15} {title}")
            return
        try:
            results = reconcile_run(options["check"])
        except NotFound as error:
            raise CommandError(error.message) from None
        results += [compare() for option, compare in COMPARISONS.items() if options[option]]
        self._json_write(results) if options["json"] else self._table_write(results)
        if not all(result.is_whole for result in results):
            raise SystemExit(1)

    def _json_write(self, results: list[Result]) -> None:
        rows = [
            {
                "check": r.name,
                "title": r.title,
                "ms": r.duration_ms,
                "broken": r.broken,
                "failure": r.failure,
            }
            for r in results
        ]
        self.stdout.write(json.dumps(rows, default=str, indent=2))

    def _table_write(self, results: list[Result]) -> None:
        self.stdout.write(f"{'check':<15} {'result':<8} {'ms':>6}  what must hold")
        for result in results:
            line = f"{result.name:<15} {result.verdict:<8} {result.duration_ms:>6}  {result.title}"
            self.stdout.write(f"{line}: {result.failure}" if result.failure else line)
        for result in results:
            for row in result.broken:
                figures = ", ".join(f"{name}={value}" for name, value in row.items())
                self.stdout.write(f"{result.name}: {figures}")
