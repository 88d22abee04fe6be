"""Turn market-data tables that were made for plain PostgreSQL into TimescaleDB's, with what is in them."""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from apps.marketdata.backends import OWNER_ALIAS, SETTING, Backend, backend_current
from apps.marketdata.hypertables import tables_convert
from apps.operations.grants import grants_apply


class Command(BaseCommand):
    help = "Turn plain market-data tables into TimescaleDB's; stop the relay and imports first."

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[OWNER_ALIAS]
        try:
            done = tables_convert(connection)
        except RuntimeError as error:
            raise CommandError(str(error)) from error
        if done:
            grants_apply(sender=apps.get_app_config("operations"), using=OWNER_ALIAS)
        if done:
            self.stdout.write("The tables are TimescaleDB's now.")
        elif backend_current() is Backend.TIMESCALE:
            self.stdout.write("The tables are TimescaleDB's already: there is nothing to convert.")
        else:
            self.stdout.write(
                f"The tables stay plain: set {SETTING}=timescale, and this converts or says what is lacking."
            )
