"""Tell one order's whole story: command, journal, trades, ledger and events in time order."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.operations.selectors import order_trace
from apps.primitives.clock import iso
from apps.primitives.errors import BrokerageError


class Command(BaseCommand):
    help = "Show everything recorded of one order, in time order."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("order", help="client order id, public id or order id")
        parser.add_argument("--account", type=int, help="account id, where a client id is not unique")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            lines = order_trace(options["order"], options["account"])
        except BrokerageError as error:
            raise CommandError(error.message) from None
        for line in lines:
            self.stdout.write(f"{iso(line.at)}  {line.source:<8} {line.text}")
