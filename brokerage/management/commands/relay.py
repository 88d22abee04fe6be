"""``manage.py relay``: carry committed events to the account streams, the Redis view and the tape's store.

Beside them it writes down the tape's quotes, which are no events.
"""

import logging
import os
import signal
import threading
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from apps.events.relay import Relay, relay_run
from brokerage.wiring import quotes_recording, relay_groups, relay_wait

logger = logging.getLogger(__name__)

EXIT_CRASHED = 70


class Command(BaseCommand):
    help = "Deliver committed events in commit order until told to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        if settings.KAFKA_BOOTSTRAP_SERVERS:
            logger.warning(
                "KAFKA_BOOTSTRAP_SERVERS is set, but this version has no Kafka relay: events wait, complete "
                "and in order, in the events table."
            )
        relays = relay_groups()
        # Each relay has a thread and a session of its own, so that a slow sink holds no other back.
        connections.close_all()
        threads = [
            threading.Thread(target=partial(_relay_live, one, stopping), name=one.name) for one in relays
        ]
        threads.append(threading.Thread(target=partial(_quotes_live, stopping), name="quotes"))
        for thread in threads:
            thread.daemon = True
            thread.start()
        stopping.wait()
        for thread in threads:
            thread.join(timeout=5)


def _relay_live(relay: Relay, stopping: threading.Event) -> None:
    """Run one relay; an error ends the whole process at once, and its next start goes on at the cursors."""
    try:
        relay_run(relay, relay_wait(relay), stopping.is_set)
    except BaseException:
        logger.exception("the relay of %s ends its process", relay.name)
        logging.shutdown()
        os._exit(EXIT_CRASHED)
    finally:
        connections.close_all()


def _quotes_live(stopping: threading.Event) -> None:
    try:
        quotes_recording(stopping)
    finally:
        connections.close_all()
