"""Django's entry for the web app."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "apps.web"
    verbose_name = "Terminal"
