"""``manage.py demo_market``: simulated participants trade through the ordinary services until SIGTERM."""

import secrets
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.demo.market import TRADES_PER_S, NotSeeded, market_run

RATE_MAX = 50.0


class Command(BaseCommand):
    help = "Run the demo market's simulated participants until stopped."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, help="makes the fair prices repeatable; random by default")
        parser.add_argument(
            "--rate",
            type=float,
            default=TRADES_PER_S,
            help=f"takers' orders a second in each share (default {TRADES_PER_S}, at most {RATE_MAX:g})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 < options["rate"] <= RATE_MAX:
            raise CommandError(f"--rate must be more than 0 and at most {RATE_MAX:g}.")
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        seed = secrets.randbits(32) if options["seed"] is None else options["seed"]
        try:
            market_run(seed, options["rate"], stopping)
        except NotSeeded as error:
            raise CommandError(f"{error} Run `manage.py demo_seed` first.") from error
