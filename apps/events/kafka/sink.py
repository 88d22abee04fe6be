"""The relay's sink into Kafka: every event to its own topic and to the log of everything, in commit order."""

import time
from collections.abc import Callable, Iterable, Sequence

from kafka import TopicPartition
from kafka.errors import (
    AuthorizationError,
    InvalidRecordError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
)

from apps.events.kafka import SINK
from apps.events.kafka.administration import partition_counts
from apps.events.kafka.batches import PackedRecords, batches_pack
from apps.events.kafka.connection import KafkaAway, away_text
from apps.events.kafka.producer import BatchProducer, BatchRefused, NotAcknowledged
from apps.events.records import EventRecord
from apps.events.relay import SinkRefuses, SinkUnavailable
from apps.events.states import sent_bytes_add
from apps.events.topics import TOPIC_PARTITIONS, TOPICS, topic_partition
from apps.primitives.ids import Kind, public_id

ACKNOWLEDGED_TIMEOUT_S = 30.0
"""Longer than a broker's restart: within it the same producer asks again, and nothing is written twice."""

COUNT_EVERY_S = 1.0

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError, ValueError)
_REFUSALS = (*_TOO_LARGE, AuthorizationError, InvalidRecordError, InvalidTopicError, PolicyViolationError)
"""What the same events would meet again, until somebody changes something."""


class KafkaSink:
    """Returns when all brokers that keep an event have acknowledged it.

    After any failure the producer is given up and the next call opens another: what the first wrote comes
    again, with the same event ids, and never anything later before it.
    """

    def __init__(self, producer_open: Callable[[], BatchProducer] = BatchProducer) -> None:
        self._producer_open = producer_open
        self._producer: BatchProducer | None = None
        self._uncounted_bytes = 0
        self._counted_at = time.monotonic()

    def __call__(self, events: Sequence[EventRecord]) -> None:
        """Deliver events; raises ``SinkUnavailable``, or ``SinkRefuses`` where somebody has to act."""
        batches = batches_pack(events)
        producer = self._producer or self._open()
        try:
            producer.send(batches, ACKNOWLEDGED_TIMEOUT_S)
        except BatchRefused as refused:
            self.close()
            raise _told(refused, events) from refused
        except (NotAcknowledged, KafkaError, OSError) as error:
            self.close()
            raise SinkUnavailable(str(error)) from error
        except BaseException:
            self.close()
            raise
        self._count(batches.values())

    def close(self) -> None:
        """Give the producer up; what it has not sent is not sent."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _open(self) -> BatchProducer:
        try:
            _topics_check(partition_counts())
            self._producer = self._producer_open()
            self._producer.topics_learn(TOPICS)
        except KafkaAway as error:
            refuses = isinstance(error.__cause__, SaslAuthenticationFailedError | AuthorizationError)
            raise (SinkRefuses if refuses else SinkUnavailable)(str(error)) from error
        except (KafkaError, OSError) as error:
            self.close()
            raise SinkUnavailable(away_text(error)) from error
        return self._producer

    def _count(self, sent: Iterable[Iterable[PackedRecords]]) -> None:
        self._uncounted_bytes += sum(batch.size_in_bytes() for batches in sent for batch in batches)
        now = time.monotonic()
        if now - self._counted_at >= COUNT_EVERY_S:
            sent_bytes_add(SINK, self._uncounted_bytes)
            self._uncounted_bytes, self._counted_at = 0, now


def _topics_check(counts: dict[str, int]) -> None:
    """Refuse other topics than ours are: with other partitions a user's events would be elsewhere."""
    for topic in TOPICS:
        if counts.get(topic) != TOPIC_PARTITIONS:
            found = (
                f"has {counts[topic]} partitions, not {TOPIC_PARTITIONS}" if topic in counts else "is missing"
            )
            raise SinkRefuses(f"the topic {topic} {found}: see `manage.py kafka_topics --check`")


def _told(refused: BatchRefused, events: Sequence[EventRecord]) -> SinkUnavailable:
    if isinstance(refused.error, _TOO_LARGE):
        return SinkRefuses(
            f"{refused}; its largest event is {_largest(refused.where, events)}: raise max.message.bytes"
        )
    return (
        SinkRefuses(str(refused)) if isinstance(refused.error, _REFUSALS) else SinkUnavailable(str(refused))
    )


def _largest(where: TopicPartition, events: Sequence[EventRecord]) -> str:
    there = [event for event in events if topic_partition(event.user_id) == where.partition]
    largest = max(there, key=lambda event: len(event.data_text))
    return f"{public_id(Kind.EVENT, largest.id)} ({len(largest.value())} bytes)"
