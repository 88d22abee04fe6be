"""Settle every trade whose settlement date has come."""

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.instruments.calendar import exchange_date
from apps.operations.services.settlement import settlement_run
from apps.primitives.clock import utc_now


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is not a date such as 2026-01-31.") from None


class Command(BaseCommand):
    help = (
        "Settle all dates up to today's exchange date (or --date); safe to repeat and to run twice at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", type=_date, help="settle up to this date, at most today's")

    def handle(self, *args: Any, **options: Any) -> None:
        today = exchange_date(utc_now())
        on_date = options["date"] or today
        if on_date > today:
            raise CommandError(f"{on_date} has not come yet; today is {today}.")
        done = settlement_run(on_date, self.stdout.write)
        self.stdout.write(f"Settled {done.trades} trades and the cash of {done.accounts} accounts.")
