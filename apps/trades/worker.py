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
from apps.matching.heartbeat import Ear, heart_start
from apps.matching.leader import process_is_ending
from apps.matching.native import NativeEngine
from apps.matching.ports import Patience, RunnerPorts
from apps.matching.recovery import Recovered, engine_recover
from apps.matching.runner import Runner
from apps.matching.services import wake_channel
from apps.matching.snapshots import Snapshotter
from apps.orders.book_state import book_state_load
from apps.primitives.clock import SystemClock
from apps.trades.rehearsal import runner_rehearse
from apps.trades.services.booking import batch_book

logger = logging.getLogger(__name__)

ORDERS_MAX = 1 << 20
BOOKS_MAX = 1 << 13
SESSION_OPTIONS = (
    "-c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3 "
    "-c tcp_user_timeout=3000 -c client_connection_check_interval=2 "
    "-c plan_cache_mode=force_generic_plan"
)
"""By these the server sees within seconds that the runner's machine is gone, in a statement within 2 ms."""


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
        options=SESSION_OPTIONS,
        connect_timeout=10,
        keepalives_idle=1,
        keepalives_interval=1,
        keepalives_count=3,
        tcp_user_timeout=3000,
    )


def engine_make() -> NativeEngine:
    """Return an empty engine of the size that a partition may need."""
    return NativeEngine(max_orders=ORDERS_MAX, max_books=BOOKS_MAX)


def patience_given() -> Patience:
    """Return the time-outs that the settings give, which are in milliseconds."""
    return Patience(
        silence_realtime_s=settings.MATCHING_SILENCE_REALTIME_MS / 1000,
        silence_s=settings.MATCHING_SILENCE_MS / 1000,
        progress_s=settings.MATCHING_PROGRESS_MS / 1000,
        idle_s=settings.MATCHING_IDLE_SESSION_MS / 1000,
        stuck_epochs=settings.MATCHING_STUCK_EPOCHS,
    )


def runner_recover(cursor: Any, matching_partition: int) -> Recovered:
    """Return an engine at the journal's end, from the newest good snapshot or from the open orders."""
    folder = settings.MATCHING_SNAPSHOT_DIR
    return engine_recover(cursor, matching_partition, engine_make, book_state_load, folder)


def runner_make(matching_partition: int, stopping: threading.Event) -> Runner:
    """Wire a runner: native engine, booking, the books' state, the tape and the doorbell."""
    redis = Redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5)
    tape, doorbell = Tape(redis), Doorbell(redis, matching_partition)
    # The exchange's calendar takes a third of a second to build: not while the first trade waits.
    settlement_date(market_session().trade_date)
    runner: Runner

    def wait(timeout_s: float) -> None:
        tape.flush(runner.engine)
        doorbell.wait(timeout_s)

    ports = RunnerPorts(
        connect=runner_connect,
        rehearse=runner_rehearse,
        recover=runner_recover,
        batch_book=batch_book,
        tell=tape.tell,
        announce=tape.announce,
        wait=wait,
        stopping=stopping.is_set,
        clock=SystemClock(),
        heart_start=heart_start,
        ear_open=lambda partition: Ear(partition, settings.MATCHING_HEARTBEAT_HOST),
        is_ending=process_is_ending,
        snapshots=Snapshotter(settings.MATCHING_SNAPSHOT_DIR, matching_partition),
        patience=patience_given(),
    )
    runner = Runner(matching_partition, ports)
    return runner
