"""Who is handed to whom: the one table of what the storeys do not know of one another."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from apps.events.relay import EventRecord, Relay, Sink

logger = logging.getLogger(__name__)


def runner_step() -> type[Any]:
    """Return the Celery bootstep that hosts the matching runners."""
    from apps.trades.bootstep import RunnerStep

    return RunnerStep


def relay_groups() -> "Sequence[Relay]":
    """Return the relays, each a cursor with the sinks that follow it; sinks must bear repetition."""
    from apps.events.relay import Relay
    from apps.marketdata.subscribers import ticks_write
    from apps.orders.subscribers import orders_view_write
    from apps.streaming.groups import account_events_send

    return [
        Relay("live", each_in_turn(account_events_send, best_effort(orders_view_write))),
        Relay("ticks", ticks_write),
    ]


def each_in_turn(*sinks: "Sink") -> "Sink":
    """Let several quick sinks share one reading of the events, and one cursor."""

    def deliver(events: "Sequence[EventRecord]") -> None:
        for sink in sinks:
            sink(events)

    return deliver


def best_effort(sink: "Sink") -> "Sink":
    """Let a view that can be rebuilt lose events rather than hold others back."""
    from redis.exceptions import RedisError

    def deliver(events: "Sequence[EventRecord]") -> None:
        try:
            sink(events)
        except RedisError as error:
            logger.warning("%s events did not reach the view: %s", len(events), error)

    return deliver


def relay_wait() -> Callable[[float], None]:
    """Return a wait that the runner's wake-up of the relay cuts short; without Redis it only sleeps."""
    from redis import Redis
    from redis.exceptions import RedisError

    from apps.events.relay import WAKE_CHANNEL

    redis = Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)
    listening = redis.pubsub(ignore_subscribe_messages=True)

    def wait(timeout_s: float) -> None:
        try:
            if not listening.subscribed:
                listening.subscribe(WAKE_CHANNEL)
            listening.get_message(timeout=timeout_s)
        except (RedisError, OSError):
            time.sleep(timeout_s)

    return wait
