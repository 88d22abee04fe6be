"""``manage.py demo_seed``: load the demo market; run again, it only makes good what is missing."""

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.demo.seed import demo_seed


class Command(BaseCommand):
    help = "Load the demo market: shares with real history, participants, traders and their logins."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        try:
            demo_seed(settings.OPENBELL_VAR / "demo.json", settings.PUBLIC_URL, self._say)
        except TimeoutError as error:
            raise CommandError(str(error)) from error
        self._say(f"The demo is ready after {time.monotonic() - started:.1f} s.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
