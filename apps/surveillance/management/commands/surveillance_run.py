"""``manage.py surveillance_run``: follow the orders in Kafka and tell what looks like abuse."""

import logging
import signal
import sys
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.events.subscription import PositionLost, TooManyQuarantined, subscription_run
from apps.surveillance.subscribers import surveillance_subscription

logger = logging.getLogger(__name__)
CANNOT = 2


class Command(BaseCommand):
    help = (
        "Follow the orders in Kafka until told to stop, and write what looks like an abuse of the market as "
        "findings and risk events. Several may run: they share the work. Exits 2 when it cannot go on."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.KAFKA_BOOTSTRAP_SERVERS:
            self.stderr.write("KAFKA_BOOTSTRAP_SERVERS is not set: there is nothing to follow.")
            sys.exit(CANNOT)
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        try:
            subscription_run(surveillance_subscription(), stopping)
        except (PositionLost, TooManyQuarantined) as error:
            logger.error("surveillance stops: %s", error)
            sys.exit(CANNOT)
