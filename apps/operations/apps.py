"""Django's entry for the operations app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OperationsConfig(AppConfig):
    name = "apps.operations"
    verbose_name = "Operations"

    def ready(self) -> None:
        from apps.operations.grants import grants_apply

        post_migrate.connect(grants_apply, sender=self, dispatch_uid="operations.grants")
