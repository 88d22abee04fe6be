"""Django's entry for the marketdata app."""

from django.apps import AppConfig


class MarketDataConfig(AppConfig):
    name = "apps.marketdata"
    verbose_name = "Market data"
