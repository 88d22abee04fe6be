"""Django's entry for the ledger app."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "apps.ledger"
    verbose_name = "Ledger"
