"""What the Kafka tests share: events, a relay that carries them, what must come out."""

import contextlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from django.db import connection, transaction

from apps.events.facts import EventRow
from apps.events.kafka.sink import KafkaSink
from apps.events.relay import Relay, SinkUnavailable
from apps.events.services import event_append
from apps.events.topics import event_topics
from apps.events.types import EventType
from tests.support.chain import events_list
from tests.support.horizon import seen_wait
from tests.support.kafka import Message

TYPES = (EventType.ORDER_PLACED, EventType.TRADE_EXECUTED, EventType.BALANCE_CHANGED, EventType.ORDER_FILLED)
Streams = dict[tuple[str, bytes], list[str]]


def noise(length: int) -> str:
    """Return text that no compression makes smaller."""
    return f"{random.Random(7).getrandbits(4 * length):0{length}x}"


def events_write(count: int, users: int = 40, note: str = "") -> None:
    """Commit so many events of several topics and users in one transaction; waits until a relay sees them."""
    rows = [
        EventRow(TYPES[n % len(TYPES)], 1 + n % users, {"n": n, "price": Decimal("10.10"), "note": note})
        for n in range(count)
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        event_append(cursor, rows)
    seen_wait()


def relay_make(sink: KafkaSink | None = None) -> Relay:
    relay = Relay("kafka", sink or KafkaSink(), batch_events_max=500)
    relay.start()
    return relay


def relay_drain(relay: Relay, wanted: int) -> None:
    """Step until so many events were delivered, as the relay's process does.

    An open transaction anywhere on the server delays them, and so does a broker that has just started.
    """
    count, deadline = 0, time.monotonic() + 120
    while count < wanted and time.monotonic() < deadline:
        with contextlib.suppress(SinkUnavailable):
            count += relay.step()
    assert count == wanted


def event_id(value: bytes) -> str:
    return json.loads(value)["event_id"]


def streams(messages: Iterable[Message]) -> Streams:
    """Return the event ids of every key in every topic, in the order of its partition."""
    found: Streams = defaultdict(list)
    for message in messages:
        found[message.topic, message.key].append(event_id(message.value))
    return found


def streams_once(messages: Iterable[Message]) -> Streams:
    """The same without repetitions: what a subscriber sees who knows the event ids it has had."""
    return {where: list(dict.fromkeys(ids)) for where, ids in streams(messages).items()}


def streams_wanted() -> Streams:
    """Return what every key of every topic must have, from the table."""
    wanted: Streams = defaultdict(list)
    for event in events_list():
        for topic in event_topics(event.topic):
            wanted[topic, b"%d" % event.user_id].append(event_id(event.value()))
    return wanted
