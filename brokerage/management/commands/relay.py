"""``manage.py relay``: carry committed events to the account streams, the Redis view and the tape's store.

Beside them it writes down the tape's quotes, which are no events. ``--kafka`` carries the events to Kafka
instead, in a process of its own: what keeps it busy keeps nobody waiting.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connections

from apps.events.relay import Relay, relay_run
from brokerage.wiring import (
    anchoring,
    anchoring_kafka,
    quotes_recording,
    relay_groups,
    relay_kafka,
    relay_wait,
)

logger = logging.getLogger(__name__)

EXIT_CRASHED = 70
EXIT_CANNOT = 2


class Command(BaseCommand):
    help = "Deliver committed events in commit order until told to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--kafka", action="store_true", help="to Kafka, and nowhere else")

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        relays = [relay_kafka()] if options["kafka"] else relay_groups()
        anchors = anchoring_kafka if options["kafka"] else anchoring
        # Each relay has a thread and a session of its own, so that a slow sink holds no other back.
        connections.close_all()
        threads = []
        for one in relays:
            if one is None:
                self.stderr.write("KAFKA_BOOTSTRAP_SERVERS is not set: there is no Kafka to carry events to.")
                sys.exit(EXIT_CANNOT)
            threads.append(threading.Thread(target=partial(_relay_live, one, stopping), name=one.name))
        threads.append(threading.Thread(target=partial(_anchors_live, anchors, stopping), name="anchors"))
        if not options["kafka"]:
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


def _anchors_live(anchors: Callable[[threading.Event], None], stopping: threading.Event) -> None:
    """Anchor the chain; an error that is not its other end's ends the whole process, as a relay's does."""
    try:
        anchors(stopping)
    except BaseException:
        logger.exception("the anchoring of the chain ends its process")
        logging.shutdown()
        os._exit(EXIT_CRASHED)
    finally:
        connections.close_all()


def _quotes_live(stopping: threading.Event) -> None:
    try:
        quotes_recording(stopping)
    finally:
        connections.close_all()
