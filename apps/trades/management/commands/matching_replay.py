"""Prove that the journal, given to an engine again, makes the very trades that were booked."""

import sys
from typing import Any

import click
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.matching.recovery import committed_read, engine_begin, one_reading
from apps.matching.replay import JournalBroken, journal_apply
from apps.trades.replay import Proof, trades_prove
from apps.trades.worker import engine_make, runner_connect


class Command(BaseCommand):
    help = "Replay journalled commands and compare with the trades; exit 1 and show the first difference."

    def add_arguments(self, parser: CommandParser) -> None:
        known = settings.MATCHING_PARTITIONS
        parser.add_argument("--partition", type=int, default=known[0], choices=known, help="0 unless given")
        parser.add_argument("--from", type=int, dest="first", metavar="SEQ", help="else as early as possible")
        parser.add_argument("--to", type=int, dest="last", metavar="SEQ", help="else to what is committed")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with runner_connect() as connection, one_reading(connection) as cursor:
                proof = self._prove(cursor, options["partition"], options["first"], options["last"])
        except JournalBroken as error:
            raise CommandError(f"The journal is broken: {error}") from error
        if proof.difference is None:
            self.stdout.write(f"the {proof.trades:,} trades are the ones that were booked")
            return
        matched, booked = proof.difference
        self.stdout.write(f"{proof.trades:,} trades are the ones that were booked, then they part")
        self.stdout.write(f"replayed  {matched or 'no such trade'}")
        self.stdout.write(f"booked    {booked or 'no such trade'}")
        raise SystemExit(1)

    def _prove(self, cursor: Any, number: int, first: int | None, last: int | None) -> Proof:
        committed = committed_read(cursor, number)
        last = committed.seq if last is None else last
        if not (0 <= last <= committed.seq and (first is None or 1 <= first <= last)):
            raise CommandError(f"Give a range within 1 to {committed.seq}, what is committed.")
        begun = engine_begin(cursor, number, engine_make, settings.MATCHING_SNAPSHOT_DIR, committed, first)
        first = first or begun.seq + 1
        self.stdout.write(f"from {begun.source} at sequence {begun.seq:,}, comparing {first:,} to {last:,}")
        journal_apply(cursor, number, begun.engine, begun.seq, first - 1)
        is_hidden = not sys.stderr.isatty()
        length = last - first + 1
        with click.progressbar(length=length, label="replaying", file=sys.stderr, hidden=is_hidden) as bar:
            return trades_prove(cursor, number, begun.engine, first, last, bar.update)
