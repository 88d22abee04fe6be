"""What both import commands share: their arguments, the progress bar, and the telling of what was done."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from apps.marketdata.imports.cargo import Cargo
from apps.marketdata.imports.files import Options, Outcome, file_import
from apps.primitives.errors import BrokerageError


class Progress:
    """A bar on a terminal's standard error, one for the checking and one for the importing."""

    def __init__(self) -> None:
        self._is_hidden = not sys.stderr.isatty()
        self._stage = ""
        self._bar: Any = None

    def tell(self, stage: str, done: int, whole: int) -> None:
        if self._is_hidden:
            return
        if stage != self._stage:
            self.end()
            self._stage = stage
            self._bar = click.progressbar(length=max(whole, 1), label=f"{stage:<9}", file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(min(done, whole) - self._bar.pos)

    def end(self) -> None:
        """Leave the bar where it is and go to the next line."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar, self._stage = None, ""


class ImportCommand(BaseCommand):
    """A command that imports files one after another and ends with 1 when one of them was refused."""

    noun = "rows"
    written = "new"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV, plain, .zip or .gz")
        parser.add_argument("--dry-run", action="store_true", help="only check, write nothing")
        parser.add_argument(
            "--skip-bad", action="store_true", help="import the good lines of a file that has bad ones"
        )
        parser.add_argument(
            "--again",
            action="store_true",
            help="do a file again that has been imported",
        )
        parser.add_argument(
            "--rejects", type=Path, metavar="PATH", help="where bad lines go, else FILE.rejected.csv"
        )

    def files_import(self, cargo: Cargo[Any, Any], options: dict[str, Any]) -> None:
        """Import every file that is named; raises ``CommandError`` at the end when any was refused."""
        if options["rejects"] and len(options["files"]) > 1:
            raise CommandError("--rejects takes one file: give one FILE.")
        how = Options(options["dry_run"], options["skip_bad"], options["again"], options["rejects"])
        refused = sum(not self._file_import(cargo, path, how) for path in options["files"])
        if refused:
            raise CommandError(f"{refused} of {len(options['files'])} files were not imported.")

    def _file_import(self, cargo: Cargo[Any, Any], path: Path, how: Options) -> bool:
        progress = Progress()
        try:
            outcome = file_import(path, cargo, how, progress.tell)
        except BrokerageError as error:
            self.stderr.write(error.message)
            return False
        except DatabaseError as error:
            self.stderr.write(
                f"{path.name}: the database broke it off; run it again to go on. {error}".strip()
            )
            return False
        finally:
            progress.end()
        return self._outcome_tell(path, how, outcome)

    def _outcome_tell(self, path: Path, how: Options, outcome: Outcome) -> bool:
        """Say what was found and done; returns whether the file is in, or may come in."""
        self._bad_tell(path, outcome)
        place, found = outcome.place, f"{outcome.rows:,} good {self.noun}, {outcome.bad:,} bad lines"
        if how.dry_run:
            self.stdout.write(f"{path.name}: checked, {found}; nothing was written.")
            return not outcome.bad
        if place is None:
            self.stderr.write(f"{path.name}: refused, nothing was written: {found} (see --skip-bad).")
            return False
        if not outcome.is_new:
            self.stdout.write(
                f"{path.name}: is in since {place.finished_at:%Y-%m-%d %H:%M:%S} UTC, no change."
            )
            return True
        if outcome.resumed_at:
            self.stdout.write(f"{path.name}: went on at line {outcome.resumed_at:,}.")
        self.stdout.write(
            f"{path.name}: {place.rows:,} {self.noun} imported, {place.added:,} of them {self.written}, "
            f"{place.bad:,} bad lines left out."
        )
        return True

    def _bad_tell(self, path: Path, outcome: Outcome) -> None:
        for bad in outcome.shown:
            self.stderr.write(f"{path.name}:{bad.line}: {bad.reason}")
        if outcome.bad > len(outcome.shown):
            self.stderr.write(f"{path.name}: and {outcome.bad - len(outcome.shown):,} more bad lines.")
        if outcome.rejects:
            self.stderr.write(f"{path.name}: all bad lines are in {outcome.rejects}.")
