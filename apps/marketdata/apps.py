"""Django's entry for the marketdata app."""

from django.apps import AppConfig
from django.core import checks


class MarketDataConfig(AppConfig):
    name = "apps.marketdata"
    verbose_name = "Market data"

    def ready(self) -> None:
        from apps.marketdata.checks import backend_check

        checks.register(backend_check, checks.Tags.database)
