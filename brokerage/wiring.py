"""Who is handed to whom: the one table of what the storeys do not know of one another."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings

from apps.events.kafka import SINK as KAFKA

if TYPE_CHECKING:
    from threading import Event

    from apps.events.relay import Relay

LIVE = "live"
PACE_S = 0.01
"""Under load the live relay delivers a hundred times a second what has come, not each batch by itself."""

KAFKA_PACE_S = 0.02
"""Nobody watches Kafka by the millisecond: fewer, fuller batches, well within what is promised of it."""

KAFKA_BATCH_EVENTS = 4_000
"""Some forty events for each of a hundred topic partitions, in two megabytes."""

TURN_S = 0.1
"""How often a sink for which nobody waits is brought up to date: in few, full batches."""

SEALING_TURN_S = 1.0
"""How often events are sealed: a block a second."""


def runner_step() -> type[Any]:
    """Return the Celery bootstep that hosts the matching runners."""
    from apps.trades.bootstep import RunnerStep

    return RunnerStep


def relay_groups() -> "Sequence[Relay]":
    """Return the relays, each a cursor with the sink that follows it; sinks must bear repetition."""
    from apps.events import sealing
    from apps.events.relay import Relay
    from apps.marketdata.subscribers import ticks_write
    from apps.orders.subscribers import orders_view_standing, orders_view_write
    from apps.streaming.groups import account_events_send

    return [
        Relay(LIVE, account_events_send),
        Relay("orders-view", orders_view_write, orders_view_standing),
        Relay("ticks", ticks_write),
        Relay(sealing.SINK, sealing.ChainSink(), batch_events_max=sealing.BATCH_EVENTS),
    ]


def relay_kafka() -> "Relay | None":
    """Return the relay into Kafka, None where no Kafka is set; it has a process of its own."""
    if not settings.KAFKA_BOOTSTRAP_SERVERS:
        return None
    from apps.events.kafka.sink import KafkaSink
    from apps.events.relay import Relay

    return Relay(KAFKA, KafkaSink(), batch_events_max=KAFKA_BATCH_EVENTS)


def relay_wait(relay: "Relay") -> Callable[[float], None]:
    """Return how a relay waits: wake-ups reach the live one and Kafka's, the others have their turns."""
    from apps.events import sealing

    if relay.name in (LIVE, KAFKA):
        return _wake_wait(PACE_S if relay.name == LIVE else KAFKA_PACE_S)
    turn_s = SEALING_TURN_S if relay.name == sealing.SINK else TURN_S
    return lambda timeout_s: time.sleep(max(timeout_s, turn_s))


def quotes_recording(stopping: "Event") -> None:
    """Record the top of each listed share's book until told to stop."""
    from redis import Redis

    from apps.instruments.selectors import instruments_active
    from apps.marketdata.quotes_recorder import QuoteRecorder, quotes_record

    redis = Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)
    recorder = QuoteRecorder(redis, lambda: [view.symbol for view in instruments_active()])
    quotes_record(recorder, stopping)


def anchoring(stopping: "Event") -> None:
    """Write the chain's tip to the anchors' files until told to stop."""
    from apps.events.anchors import AnchorFiles, anchors_run

    anchors_run(
        AnchorFiles(settings.AUDIT_ANCHOR_DIR), lambda timeout_s: stopping.wait(timeout_s), stopping.is_set
    )


def anchoring_kafka(stopping: "Event") -> None:
    """Write the chain's tip to Kafka until told to stop."""
    from apps.events.anchors import anchors_run
    from apps.events.kafka.anchors import KafkaAnchors

    anchors_run(KafkaAnchors(), lambda timeout_s: stopping.wait(timeout_s), stopping.is_set)


def _wake_wait(pace_s: float) -> Callable[[float], None]:
    """Return a wait that the runner's wake-up of the relay cuts short; without Redis it only sleeps."""
    from redis import Redis
    from redis.exceptions import RedisError

    from apps.events.relay import WAKE_CHANNEL

    redis = Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)
    listening = redis.pubsub(ignore_subscribe_messages=True)
    woken_at = time.monotonic()

    def wait(timeout_s: float) -> None:
        nonlocal woken_at
        time.sleep(max(woken_at + pace_s - time.monotonic(), 0))
        listen(timeout_s)
        woken_at = time.monotonic()

    def listen(timeout_s: float) -> None:
        try:
            if not listening.subscribed:
                listening.subscribe(WAKE_CHANNEL)
            listening.get_message(timeout=timeout_s)
            # One turn answers all wake-ups until now: kept, they would wake for hours after a busy one.
            while listening.get_message(timeout=0):
                pass
        except (RedisError, OSError):
            time.sleep(timeout_s)

    return wait
