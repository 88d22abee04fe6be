"""Merge the daily partitions of months long past into one partition a month."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.operations.services.partition_merging import KEEP_DAYS, partitions_merge
from apps.primitives.clock import utc_now


class Command(BaseCommand):
    help = f"Merge months whose days are all older than {KEEP_DAYS} days and hold no live order."

    def handle(self, *args: Any, **options: Any) -> None:
        merged = partitions_merge(utc_now().date())
        for name, count in merged.items():
            self.stdout.write(f"{name}: {count} rows, count and hash equal, swapped in.")
        if not merged:
            self.stdout.write("There is no month to merge.")
