"""What the runner is handed: its session, the engine, booking, the state to restore, tape and doorbell."""

import logging
import threading
import time
from typing import Any

import psycopg
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from apps.instruments.selectors import market_session, settlement_date
from apps.marketdata.tape import Tape
from apps.matching.native import NativeEngine
from apps.matching.runner import Runner, RunnerPorts
from apps.matching.services import wake_channel
from apps.orders.book_state import book_state_load
from apps.trades.services.booking import batch_book

logger = logging.getLogger(__name__)

ORDERS_MAX = 1 << 20
BOOKS_MAX = 1 << 13
SERVER_KEEPALIVE = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"


class Doorbell:
    """Waits for a wake-up on Redis; without Redis it only sleeps, and the poll finds the commands."""

    def __init__(self, redis: Redis, matching_partition: int) -> None:
        self.redis = redis
        self.channel = wake_channel(matching_partition)
        self.listening: Any = None
        self.broken_until = 0.0

    def wait(self, timeout_s: float) -> None:
        """Return at the first wake-up or after ``timeout_s`` seconds."""
        if time.monotonic() < self.broken_until:
            time.sleep(timeout_s)
            return
        try:
            if self.listening is None:
                self.listening = self.redis.pubsub(ignore_subscribe_messages=True)
                self.listening.subscribe(self.channel)
            self.listening.get_message(timeout=timeout_s)
        except (RedisError, OSError) as error:
            logger.warning("wake-ups are interrupted, polling instead: %s", error)
            self.listening, self.broken_until = None, time.monotonic() + 1.0
            time.sleep(timeout_s)


def runner_connect() -> "psycopg.Connection[Any]":
    """Open the runner's one raw session; it is never replaced while the process lives."""
    return psycopg.connect(
        settings.MATCHING_DATABASE_URL,
        autocommit=True,
        application_name="openbell-runner",
        options=SERVER_KEEPALIVE,
        connect_timeout=10,
    )


def runner_make(matching_partition: int, stopping: threading.Event) -> Runner:
    """Wire a runner: native engine, booking, the books' state, the tape and the doorbell."""
    redis = Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)
    tape, doorbell = Tape(redis), Doorbell(redis, matching_partition)
    # The exchange's calendar takes a third of a second to build: not while the first trade waits.
    settlement_date(market_session().trade_date)
    runner: Runner

    def wait(timeout_s: float) -> None:
        tape.flush(runner.engine)
        doorbell.wait(timeout_s)

    ports = RunnerPorts(
        connect=runner_connect,
        engine_make=lambda: NativeEngine(max_orders=ORDERS_MAX, max_books=BOOKS_MAX),
        state_load=book_state_load,
        batch_book=batch_book,
        tell=tape.tell,
        announce=tape.announce,
        wait=wait,
        stopping=stopping.is_set,
    )
    runner = Runner(matching_partition, ports)
    return runner
