"""Django's entry for the positions app."""

from django.apps import AppConfig


class PositionsConfig(AppConfig):
    name = "apps.positions"
    verbose_name = "Positions"
