"""Django's entry for the streaming app."""

from django.apps import AppConfig


class StreamingConfig(AppConfig):
    name = "apps.streaming"
    verbose_name = "Streaming"
