"""Prove that the books add up, while the market runs."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.operations.services.reconcile import Result, reconcile_run
from apps.operations.services.reconcile_checks import CHECKS
from apps.operations.services.reconcile_depth import depth_reconcile
from apps.primitives.errors import NotFound


class Command(BaseCommand):
    help = (
        "Check every invariant of the books in one snapshot; exit 1 and show the broken rows when one fails."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="append", default=[], metavar="NAME", help="such as I4 or I4.fills"
        )
        parser.add_argument("--depth", action="store_true", help="compare the published books as well (I8)")
        parser.add_argument("--json", action="store_true", help="print machine-readable results")
        parser.add_argument("--list", action="store_true", help="say what is checked, and check nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            for check in CHECKS:
                self.stdout.write(f"{check.name:<15} {check.title}")
            return
        try:
            results = reconcile_run(options["check"])
        except NotFound as error:
            raise CommandError(error.message) from None
        if options["depth"]:
            results.append(depth_reconcile())
        self._json_write(results) if options["json"] else self._table_write(results)
        if not all(result.is_whole for result in results):
            raise SystemExit(1)

    def _json_write(self, results: list[Result]) -> None:
        rows = [{"check": r.name, "title": r.title, "ms": r.duration_ms, "broken": r.broken} for r in results]
        self.stdout.write(json.dumps(rows, default=str, indent=2))

    def _table_write(self, results: list[Result]) -> None:
        self.stdout.write(f"{'check':<15} {'result':<8} {'ms':>6}  what must hold")
        for result in results:
            verdict = "ok" if result.is_whole else "BROKEN"
            self.stdout.write(f"{result.name:<15} {verdict:<8} {result.duration_ms:>6}  {result.title}")
        for result in results:
            for row in result.broken:
                figures = ", ".join(f"{name}={value}" for name, value in row.items())
                self.stdout.write(f"{result.name}: {figures}")
