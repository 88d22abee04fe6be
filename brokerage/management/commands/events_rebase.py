"""``manage.py events_rebase``: let the relay go on after the database was restored."""

from typing import Any

from django.core.management.base import BaseCommand

from brokerage.wiring import relay_groups


class Command(BaseCommand):
    help = "Accept the present database server: every sink gets a new epoch and its last events again."

    def handle(self, *args: Any, **options: Any) -> None:
        for relay in relay_groups():
            relay.rebase()
            self.stdout.write(f"{relay.name}: epoch {relay.cursor.stream_epoch}")
