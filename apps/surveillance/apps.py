"""Django's entry for the surveillance app."""

from django.apps import AppConfig


class SurveillanceConfig(AppConfig):
    name = "apps.surveillance"
    verbose_name = "Surveillance"
