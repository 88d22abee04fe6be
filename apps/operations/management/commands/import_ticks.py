"""Import trades of the past from CSV files, and make their candles."""

from typing import Any

from apps.marketdata.imports.cargo import TickCargo
from apps.operations.management.importing import ImportCommand
from apps.operations.services.partition_history import market_days_ensure


class Command(ImportCommand):
    help = (
        "Import ticks: columns time, symbol, price, quantity and, where they are known, side, exchange, "
        "trade_id. Safe to repeat: a file that was broken off goes on, one that is in changes nothing."
    )
    noun = "ticks"

    def handle(self, *args: Any, **options: Any) -> None:
        self.files_import(TickCargo(market_days_ensure), options)
