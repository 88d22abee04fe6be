"""The chain's anchors in Kafka: told there as messages of user 0, and read back to be compared."""

import heapq
from collections.abc import Generator, Iterator
from datetime import datetime

from kafka import TopicPartition
from kafka.errors import KafkaError

from apps.events.anchors import HEADS_EVERY, Anchor, anchor_read, anchor_succeeds
from apps.events.kafka.batches import message_pack
from apps.events.kafka.connection import KafkaAway, away_text
from apps.events.kafka.producer import BatchProducer, BatchRefused, NotAcknowledged
from apps.events.kafka.reading import consumer_open, offsets_at, records_between
from apps.events.topics import event_key, topic_partition
from apps.events.types import EventType

USER_ID = 0
ACKNOWLEDGED_TIMEOUT_S = 30.0
OUT_OF_ORDER_MAX = 1_000
"""How far apart two relays, of which one is about to end, may have mixed their anchors."""

_WHERE = TopicPartition(EventType.CHAIN_ANCHORED.topic.value, topic_partition(USER_ID))
_TYPE = b'"event_type":"%s"' % EventType.CHAIN_ANCHORED.encode()


def is_anchor(value: bytes) -> bool:
    """Say whether a record claims to be an anchor."""
    return _TYPE in value[:300]


class KafkaAnchors:
    """Tells anchors to Kafka, each when it is not the one told before."""

    def __init__(self) -> None:
        self._producer: BatchProducer | None = None
        self._last: Anchor | None = None
        self._heads_at: datetime | None = None

    def __call__(self, anchor: Anchor) -> None:
        """Return when the brokers have acknowledged it; raises ``AnchorDisagrees`` and ``OSError``."""
        if self._last is not None and not anchor_succeeds(self._last, anchor):
            return
        due = self._heads_at is None or anchor.sealed_at - self._heads_at >= HEADS_EVERY
        self._send(anchor, with_heads=due)
        self._last = anchor
        if due:
            self._heads_at = anchor.sealed_at

    def close(self) -> None:
        """Give the producer up."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _send(self, anchor: Anchor, with_heads: bool) -> None:
        at_ms = int(anchor.sealed_at.timestamp() * 1000)
        batch = message_pack(event_key(USER_ID), anchor.value(with_heads), at_ms)
        try:
            if self._producer is None:
                self._producer = BatchProducer()
                self._producer.topics_learn([_WHERE.topic])
            self._producer.send({_WHERE: [batch]}, ACKNOWLEDGED_TIMEOUT_S)
        except (BatchRefused, NotAcknowledged, KafkaAway) as error:
            self.close()
            raise OSError(str(error)) from error
        except (KafkaError, OSError) as error:
            self.close()
            raise OSError(away_text(error)) from error


def anchors_list(since: datetime) -> Iterator[tuple[str, Anchor | str]]:
    """Yield the anchors told since an instant, in the order of their blocks: where each is, and what it says.

    What claims to be one and is not comes as the reason. Raises ``KafkaAway``.
    """
    waiting: list[tuple[int, int, str, Anchor]] = []
    number, last = 0, None
    for where, told in _told(since):
        if isinstance(told, str):
            yield where, told
            continue
        # What a new start voids stands before it.
        while len(waiting) > (0 if told.is_new_start else OUT_OF_ORDER_MAX):
            last = yield from _once(heapq.heappop(waiting), last)
        number += 1
        heapq.heappush(waiting, (told.block_no, number, where, told))
    while waiting:
        last = yield from _once(heapq.heappop(waiting), last)


def _once(
    entry: tuple[int, int, str, Anchor], last: Anchor | None
) -> Generator[tuple[str, Anchor | str], None, Anchor]:
    """Yield an anchor unless it only repeats the last one."""
    where, told = entry[2:]
    if last is None or (told.block_no, told.hash, told.is_new_start) != (last.block_no, last.hash, False):
        yield where, told
    return told


def _told(since: datetime) -> Iterator[tuple[str, Anchor | str]]:
    consumer = consumer_open()
    try:
        first, end = offsets_at(consumer, [_WHERE], since)[_WHERE], consumer.end_offsets([_WHERE])[_WHERE]
        for offset, value in records_between(consumer, _WHERE, first, end):
            if is_anchor(value):
                where = f"{_WHERE.topic} {_WHERE.partition}/{offset}"
                try:
                    yield where, anchor_read(value)
                except ValueError as error:
                    yield where, str(error)
    except (KafkaError, OSError) as error:
        raise KafkaAway(away_text(error)) from error
    finally:
        consumer.close(autocommit=False)
