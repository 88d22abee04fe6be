"""Move rows out of the DEFAULT partitions into daily ones of their own."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.operations.services.partition_rehoming import partitions_rehome


class Command(BaseCommand):
    help = "Move rows that fell into a DEFAULT table partition into new daily partitions, unchanged."

    def handle(self, *args: Any, **options: Any) -> None:
        moved = partitions_rehome()
        for name, count in moved.items():
            self.stdout.write(f"{count} rows moved to {name}.")
        if not moved:
            self.stdout.write("Every DEFAULT partition is empty.")
