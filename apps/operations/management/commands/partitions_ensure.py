"""Make the daily table partitions of yesterday, today and a week ahead."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.operations.services.partitions import DAYS_AHEAD, partitions_ensure
from apps.primitives.clock import utc_now


class Command(BaseCommand):
    help = "Make the daily table partitions of yesterday, today and the coming days; warn about stray rows."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days-ahead", type=int, default=DAYS_AHEAD, choices=range(401), metavar="0-400")

    def handle(self, *args: Any, **options: Any) -> None:
        done = partitions_ensure(utc_now().date(), options["days_ahead"])
        if options["verbosity"] > 0:
            self.stdout.write(f"{len(done.created)} table partitions made.")
        for name, count in done.strays.items():
            self.stderr.write(f"{name} holds {count} rows: run manage.py partitions_rehome.")
