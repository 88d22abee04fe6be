"""Records read back from Kafka, between two offsets of a topic partition, by nobody's group."""

from collections.abc import Iterator
from datetime import datetime

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from apps.events.kafka.connection import KafkaAway, away_text, client_open

READ_ROWS = 2_000
FETCH_BYTES = 4 * 1024 * 1024
SILENCE_TIMEOUT_S = 30.0
_POLL_MS = 500


def offsets_at(
    consumer: KafkaConsumer, partitions: list[TopicPartition], at: datetime
) -> dict[TopicPartition, int]:
    """Return where the records of an instant begin in each topic partition, or its end."""
    if not partitions:
        return {}
    at_ms = max(int(at.timestamp() * 1000), 0)
    known = consumer.offsets_for_times(dict.fromkeys(partitions, at_ms))
    ends = consumer.end_offsets(partitions)
    return {where: known[where].offset if known.get(where) else ends[where] for where in partitions}


def records_between(
    consumer: KafkaConsumer, where: TopicPartition, start: int, end: int
) -> Iterator[tuple[int, bytes]]:
    """Yield offset and value of one topic partition's records; raises ``KafkaAway`` where none come."""
    if start >= end:
        return
    consumer.assign([where])
    consumer.seek(where, start)
    silent_s, position = 0.0, start
    while position < end:
        fetched = consumer.poll(timeout_ms=_POLL_MS, max_records=READ_ROWS).get(where, [])
        silent_s = 0.0 if fetched else silent_s + _POLL_MS / 1000
        if silent_s > SILENCE_TIMEOUT_S:
            raise KafkaAway(f"{where.topic} partition {where.partition} sends nothing from {position} on.")
        for record in fetched:
            yield record.offset, record.value or b""
        position = consumer.position(where)


def consumer_open() -> KafkaConsumer:
    """Return a client that reads what it is told to and remembers nothing; raises ``KafkaAway``."""
    try:
        return client_open(
            KafkaConsumer,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metrics_enabled=False,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
    except (KafkaError, OSError) as error:
        raise KafkaAway(away_text(error)) from error
