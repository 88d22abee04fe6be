"""``manage.py events_rebase``: let the relay go on after the database was restored."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.orders.services.view import view_forget
from brokerage.wiring import relay_groups


class Command(BaseCommand):
    help = (
        "Accept the present database server: every sink gets a new epoch and its last events again, and the "
        "Redis view is made anew. Stop the relay first."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        # Its marker names transactions of the former server; the relay rebuilds what has none.
        view_forget()
        for relay in relay_groups():
            relay.rebase()
            self.stdout.write(f"{relay.name}: epoch {relay.position.stream_epoch}")
