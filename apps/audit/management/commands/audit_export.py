"""``manage.py audit_export``: hand over events with proof of them, and check such an export."""

import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from apps.audit.archives import ArchiveDamaged
from apps.audit.checking import Checked, export_check
from apps.audit.exports import EVENTS, FORMS
from apps.audit.management.commands.audit_at import instant_argument
from apps.audit.services.export import Wanted, events_begin, export_make
from apps.events.anchors import Anchor, anchors_list
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError

FOUND, UNABLE = 1, 2


def _reporter_argument(text: str) -> str:
    if not (text.isascii() and text.isalnum() and len(text) <= 7):
        raise ArgumentTypeError(f"{text!r} is no IMID: up to seven letters and digits")
    return text


class Command(BaseCommand):
    help = (
        "Export events of a period, a user or an account, as they are or as CAT order events, with a "
        "manifest; or --check an export without a database."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--period", nargs=2, type=instant_argument, metavar=("FROM", "TO"), help="TO is not in it"
        )
        parser.add_argument("--user", type=int, metavar="ID", help="events of one user")
        parser.add_argument("--account", type=int, metavar="ID", help="events of one account")
        parser.add_argument(
            "--with-surveillance",
            action="store_true",
            help="with --user or --account: also what surveillance found about them, which is not for them",
        )
        parser.add_argument("--form", choices=FORMS, default=EVENTS, help="events unless given")
        parser.add_argument("--reporter", type=_reporter_argument, metavar="IMID", help="who reports to CAT")
        parser.add_argument("--out", type=Path, metavar="DIR", help="a folder that does not exist yet")
        parser.add_argument("--check", type=Path, metavar="DIR", help="check this export")
        parser.add_argument("--anchors", type=Path, metavar="DIR", help="published anchors to check against")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["check"] is not None:
                self._check(options["check"], options["anchors"])
            else:
                self._export(options)
        except BrokerageError as error:
            raise CommandError(error.message, returncode=UNABLE) from None
        except (DatabaseError, OSError, ArchiveDamaged) as error:
            raise CommandError(f"It cannot be done: {error}", returncode=UNABLE) from None

    def _export(self, options: dict[str, Any]) -> None:
        wanted = self._wanted(options)
        days = sum(1 for _ in wanted.days())
        hidden = not sys.stderr.isatty()
        with click.progressbar(length=days, label="exporting", file=sys.stderr, hidden=hidden) as bar:
            made = export_make(wanted, options["out"].absolute(), bar.update)
        self.stdout.write(
            f"Exported {made.events} events as {made.records} records in {made.files} files, with "
            f"{made.blocks} blocks of the hash chain, to {made.folder}."
        )
        self.stdout.write(f"Manifest SHA-256: {made.manifest_sha256}")

    def _wanted(self, options: dict[str, Any]) -> Wanted:
        if not (options["period"] or options["user"] is not None or options["account"] is not None):
            raise CommandError("Say what to export: --period, --user or --account.", returncode=UNABLE)
        if options["out"] is None:
            raise CommandError("Say where to: --out DIR.", returncode=UNABLE)
        if (options["form"] == EVENTS) == bool(options["reporter"]):
            raise CommandError(
                "--form cat needs --reporter IMID, and nothing else has it.", returncode=UNABLE
            )
        first, until = options["period"] or (events_begin(), utc_now())
        return Wanted(
            form=options["form"],
            first=first,
            until=until,
            user_id=options["user"],
            account_id=options["account"],
            reporter=options["reporter"] or "",
            with_surveillance=options["with_surveillance"],
        )

    def _check(self, folder: Path, anchors: Path | None) -> None:
        if anchors is not None and not anchors.is_dir():
            raise CommandError(f"--anchors names {anchors}, which is not a folder.", returncode=UNABLE)
        checked = export_check(folder, _anchored(anchors))
        self._tell(checked)
        if not checked.problem_count:
            self.stdout.write("Nothing is wrong.")
            return
        plural = "" if checked.problem_count == 1 else "s"
        self.stdout.write(f"WRONG: {checked.problem_count} problem{plural}.")
        for text in checked.problems:
            self.stdout.write(f"       {text}")
        raise SystemExit(FOUND)

    def _tell(self, checked: Checked) -> None:
        if checked.form == EVENTS:
            proved = f"{checked.lines} events, {checked.proved} of them proved by {checked.blocks} blocks"
        else:
            proved = (
                f"{checked.lines} records, made from events and proved by none: export the events of the "
                f"same period for that. {checked.blocks} blocks"
            )
        self.stdout.write(
            f"{proved}, {checked.anchored} of which are anchored. Manifest SHA-256: {checked.manifest_sha256}"
        )
        if not checked.anchored:
            self.stdout.write(
                "No block was compared with an anchor: whoever made the export could have made them."
            )
        if checked.unsealed:
            self.stdout.write(f"{checked.unsealed} events were not sealed yet.")


def _anchored(folder: Path | None) -> dict[int, Anchor]:
    """Return the anchors that vouch for a block each; a new start voids what was anchored beyond it."""
    found: dict[int, Anchor] = {}
    for _, anchor in anchors_list(folder) if folder is not None else ():
        if isinstance(anchor, Anchor):
            if anchor.is_new_start:
                found = {number: its for number, its in found.items() if number <= anchor.block_no}
            found[anchor.block_no] = anchor
    return found
