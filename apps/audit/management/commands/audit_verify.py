"""``manage.py audit_verify``: prove that the audit log is what was sealed, or name what is not."""

import sys
from argparse import ArgumentTypeError
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import click
import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from apps.audit.services.verification import (
    PROCESSES_MAX,
    Verdict,
    audit_verify,
    events_estimate,
    processes_default,
    stretch_of,
)
from apps.audit.skeleton import Stretch
from apps.events.kafka.anchors import anchors_list
from apps.events.kafka.completeness import events_resend, kafka_compare, resend_tell
from apps.events.kafka.connection import KafkaAway
from apps.events.kafka.sink import KafkaSink
from apps.events.relay import SinkUnavailable
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError
from apps.primitives.ids import id_time

FOUND, UNABLE = 1, 2
SHOWN_MAX = 20


def day_argument(text: str) -> date:
    """Return the UTC day that a text such as 2026-01-08 names."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no day of the form 2026-01-08") from None


def _processes_argument(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= PROCESSES_MAX):
        raise ArgumentTypeError(f"it is a whole number from 1 to {PROCESSES_MAX}, not {text!r}")
    return int(text)


def _block_argument(text: str) -> int:
    """Return the number of a block that a text says."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise ArgumentTypeError(f"{text!r} is no number of a block")
    return int(text)


def accept_restore_argument(parser: CommandParser) -> None:
    """Add what names the restores that somebody answers for."""
    parser.add_argument(
        "--accept-restore",
        action="append",
        default=[],
        type=_block_argument,
        metavar="BLOCK",
        help="answer for a restore that set the chain back to this block; once for each restore",
    )


class Command(BaseCommand):
    help = "Verify the audit log against its hash chain and anchors; exit 1 when anything is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--day", type=day_argument, help="one UTC day, such as 2026-01-08")
        parser.add_argument("--from", dest="first", type=day_argument, metavar="DAY", help="the first day")
        parser.add_argument("--to", dest="last", type=day_argument, metavar="DAY", help="the last day")
        parser.add_argument(
            "--anchors", type=Path, metavar="DIR", help="another folder of anchors than AUDIT_ANCHOR_DIR"
        )
        parser.add_argument(
            "--kafka", action="store_true", help="compare with the anchors and the events in Kafka too"
        )
        parser.add_argument(
            "--resend", action="store_true", help="with --kafka: send again what is missing there"
        )
        accept_restore_argument(parser)
        parser.add_argument("--processes", type=_processes_argument, help="as many as cores unless given")

    def handle(self, *args: Any, **options: Any) -> None:
        stretch = stretch_of(*self._days(options))
        folder = options["anchors"] or settings.AUDIT_ANCHOR_DIR
        if options["resend"] and not options["kafka"]:
            self._refuse("--resend goes with --kafka.")
        if options["anchors"] is not None and not folder.is_dir():
            self._refuse(f"--anchors names {folder}, which is not a folder.")
        started, since = utc_now(), id_time(max(stretch.low, 0))
        try:
            length = max(events_estimate(stretch), 1)
            hidden = not sys.stderr.isatty()
            with click.progressbar(length=length, label="verifying", file=sys.stderr, hidden=hidden) as bar:
                verdict = audit_verify(
                    stretch,
                    folder,
                    [("Kafka", partial(anchors_list, since))] if options["kafka"] else (),
                    processes=options["processes"] or processes_default(),
                    progress=bar.update,
                    accepted=options["accept_restore"],
                )
        except (psycopg.Error, DatabaseError, BrokerageError, KafkaAway, OSError) as error:
            self._refuse(f"the audit log cannot be verified now: {error}")
        self._tell(verdict, (utc_now() - started).total_seconds())
        if verdict.is_whole and not verdict.outcome.blocks:
            self._refuse("there was nothing to verify: no event of this time is in a block.")
        kafka_is_whole = self._kafka(stretch, options["resend"]) if options["kafka"] else True
        if not (verdict.is_whole and kafka_is_whole):
            raise SystemExit(FOUND)

    def _kafka(self, stretch: Stretch, is_to_resend: bool) -> bool:
        """Compare Kafka with the table, and tell; returns whether everything is there now."""
        try:
            found = kafka_compare(stretch.low, stretch.high + 1)
            missing = sorted({number for _, number in found.missing})
            sent = self._resend(missing) if is_to_resend and missing else 0
        except (KafkaAway, SinkUnavailable) as error:
            self._refuse(str(error))
        self.stdout.write(
            f"Kafka: {found.events} events compared with {found.records} records, "
            f"{found.duplicates} of them repetitions."
        )
        for line in found.lines(SHOWN_MAX):
            self.stdout.write(line)
        if missing and not sent:
            self.stdout.write(f"{len(missing)} events are missing: --resend sends them again.")
        elif sent:
            self.stdout.write(f"{sent} events were sent again.")
        if found.is_equal:
            self.stdout.write("Kafka has everything.")
        return found.is_equal or bool(sent and not (found.changed or found.unknown))

    def _resend(self, missing: list[int]) -> int:
        resend_tell(missing)
        return events_resend(missing, KafkaSink())

    def _days(self, options: dict[str, Any]) -> tuple[date | None, date | None]:
        day, first, last = options["day"], options["first"], options["last"]
        if day and (first or last):
            self._refuse("--day goes without --from and --to.")
        if first and last and last < first:
            self._refuse("--to lies before --from.")
        if (begin := day or first) and begin > utc_now().date():
            self._refuse(f"{begin} has not begun.")
        return (day, day) if day else (first, last)

    def _refuse(self, text: str) -> None:
        raise CommandError(text, returncode=UNABLE)

    def _tell(self, verdict: Verdict, seconds: float) -> None:
        outcome = verdict.outcome
        days = f", {verdict.first_day} to {verdict.last_day}" if verdict.first_day else ""
        speed = outcome.events / seconds if seconds else 0
        self.stdout.write(
            f"Verified {outcome.events} events in {outcome.blocks} blocks{days}, {outcome.archived} of them "
            f"from archives, in {seconds:.1f} s ({speed:,.0f} a second)."
        )
        self._anchors_tell(verdict)
        if outcome.unsealed:
            oldest = id_time(max(outcome.unsealed_first or 0, 0))
            self.stdout.write(
                f"{outcome.unsealed} events since {oldest:%Y-%m-%d %H:%M:%S} wait to be sealed."
            )
        if not verdict.is_whole:
            self._findings_tell(verdict)
        elif outcome.blocks:
            self.stdout.write("Nothing is wrong.")

    def _anchors_tell(self, verdict: Verdict) -> None:
        for place, matched in verdict.anchor_places.items():
            self.stdout.write(f"{matched} anchors of {place} match.")
        if not verdict.anchored.matched:
            self.stdout.write("No anchor was there to compare with: a tail that was cut would not be seen.")
        for set_back in verdict.accepted:
            self.stdout.write(f"Accepted as a restore: block {set_back.start.block_no}: {set_back}.")
        for first, last in verdict.anchored.gaps[:SHOWN_MAX]:
            self.stdout.write(f"Blocks {first.block_no} to {last.block_no - 1} have no anchor of their time.")

    def _findings_tell(self, verdict: Verdict) -> None:
        counts = ", ".join(f"{count} {what}" for what, count in verdict.findings.counts.items())
        self.stdout.write(f"WRONG: {counts}.")
        self.stdout.write(f"First: {verdict.first}")
        for finding in verdict.in_order[1:SHOWN_MAX]:
            self.stdout.write(f"       {finding}")
        if len(verdict.findings.kept) > SHOWN_MAX:
            self.stdout.write("       …")
