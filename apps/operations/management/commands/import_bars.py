"""Import candles of the past from CSV files."""

from argparse import ArgumentParser
from typing import Any

from apps.marketdata.imports.cargo import BarCargo
from apps.marketdata.services import IMPORTED_INTERVALS
from apps.operations.management.importing import ImportCommand


class Command(ImportCommand):
    help = (
        "Import bars: columns symbol, time, open, high, low, close, volume and, where they are known, "
        "trade_count and vwap. Bars that are there are replaced. Safe to repeat, as import_ticks is."
    )
    noun = "bars"
    written = "new or replaced"

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--interval", choices=IMPORTED_INTERVALS, required=True, help="how long each bar is"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.files_import(BarCargo(options["interval"]), options)
