"""``manage.py relay``: carry committed events to the account streams, the Redis view and the tape's store."""

import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from brokerage.wiring import relay_groups, relay_wait

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Deliver committed events in commit order until told to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        from apps.events.relay import relay_run

        if settings.KAFKA_BOOTSTRAP_SERVERS:
            logger.warning(
                "KAFKA_BOOTSTRAP_SERVERS is set, but this version has no Kafka relay: events wait, complete "
                "and in order, in the events table."
            )
        relay_run(relay_groups(), relay_wait(), stopping.is_set)
