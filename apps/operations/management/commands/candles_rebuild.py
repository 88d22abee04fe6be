"""Make candles anew from their ticks, day by day; safe to repeat, to break off, and to run during trading."""

from argparse import ArgumentTypeError
from datetime import date, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.instruments.calendar import EXCHANGE_ZONE, exchange_date
from apps.instruments.selectors import instrument_list
from apps.marketdata.services import candles_rebuild, ticks_kept_since
from apps.primitives.clock import utc_now


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no day, such as 2026-01-08") from None


class Command(BaseCommand):
    help = "Make the candles of whole New York days anew from their ticks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("first", type=_day, help="the first day, such as 2026-01-08")
        parser.add_argument("last", type=_day, nargs="?", help="the last day; the first when it is not given")
        parser.add_argument("--symbol", action="append", dest="symbols", help="only these; all by default")

    def handle(self, *args: Any, **options: Any) -> None:
        first, last = options["first"], options["last"] or options["first"]
        kept = exchange_date(ticks_kept_since())
        if not kept <= first <= last <= exchange_date(utc_now()):
            raise CommandError(f"Days go from {kept}, since when ticks are kept, to today, in their order.")
        unknown = set(options["symbols"] or ()) - {view.symbol for view in instrument_list()}
        if unknown:
            raise CommandError(f"Not listed: {', '.join(sorted(unknown))}.")
        day = first
        while day <= last:
            after = day + timedelta(days=1)
            candles_rebuild(options["symbols"], _midnight(day), _midnight(after), force=True)
            self.stdout.write(f"{day}: candles are what their ticks say.")
            day = after


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=EXCHANGE_ZONE)
