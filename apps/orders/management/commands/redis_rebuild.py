"""``manage.py redis_rebuild``: make the active-order view in Redis anew, while trading goes on."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from apps.orders.services.view import view_rebuild
from apps.primitives.errors import Conflict

BAR_WIDTH = 40


class Command(BaseCommand):
    help = "Make the active-order view in Redis anew from the live orders; the relay waits and goes on."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = view_rebuild(self._tell if self.stdout.isatty() else lambda done, total: None)
        except Conflict as error:
            raise CommandError(error.message) from None
        except RedisError as error:
            raise CommandError(
                f"Redis does not answer: {error}. The relay rebuilds the view later."
            ) from None
        self.stdout.write(f"{count} live orders are in Redis.")

    def _tell(self, done: int, total: int) -> None:
        filled = BAR_WIDTH * done // total
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        sys.stdout.write(f"\r[{bar}] {done}/{total}" + ("\n" if done == total else ""))
        sys.stdout.flush()
