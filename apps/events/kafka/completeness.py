"""Does Kafka have what the table has?  Compared record by record, and what is missing sent again."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection, transaction
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from apps.events.kafka.connection import KafkaAway, away_text, client_options
from apps.events.kafka.sink import KafkaSink
from apps.events.records import EventRecord, event_record
from apps.events.relay import LOOK_BACK
from apps.events.topics import TOPIC_PARTITIONS, TOPICS, event_topics, topic_partition
from apps.events.types import EventType
from apps.primitives.errors import NotFound
from apps.primitives.ids import Kind, id_time, public_id_decode

READ_ROWS = 2_000
EVENTS_MAX = 1_000_000
"""Events compared in one go, at some four hundred bytes each; a longer time is compared in parts."""

LISTED_MAX = 100_000
DIGEST_BYTES = 8
SILENCE_TIMEOUT_S = 30.0
_POLL_MS = 500

_COLUMNS = """id, topic, event_type, user_id, account_id, account_seq, "timestamp",
       data::text, metadata::text, xact_id::text::bigint"""

_TOLD_SQL = f"""
SELECT {_COLUMNS}, (xact_id, id) <= (%(xact_id)s::text::xid8, %(event_id)s::bigint)
FROM events WHERE id >= %(low)s AND id < %(high)s
"""

_BY_ID_SQL = f"SELECT {_COLUMNS} FROM events WHERE id = ANY(%s) ORDER BY events.xact_id, events.id"

_CURSOR_SQL = "SELECT xact_id, event_id FROM relay_cursors WHERE sink = %s"

_Digests = dict[int, tuple[bytes, bool]]
"""Of each event, by id: the digest of its bytes, and whether the relay has delivered it."""


class TooManyEvents(ValueError):
    """More events than are compared in one go: ask for a shorter time."""


@dataclass(slots=True)
class KafkaComparison:
    """What was found: ``(topic, event id)`` each, at most a hundred thousand of a kind; and how much was read."""

    events: int = 0
    records: int = 0
    duplicates: int = 0
    missing: list[tuple[str, int]] = field(default_factory=list)
    changed: list[tuple[str, int]] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)
    """Records whose event the table does not have: topic, and ``partition/offset``."""

    @property
    def is_equal(self) -> bool:
        return not (self.missing or self.changed or self.unknown)


def kafka_compare(
    sink: str, low: int, high: int, progress: Callable[[str], None] = lambda text: None
) -> KafkaComparison:
    """Compare the delivered events with ids from ``low`` to below ``high`` with what Kafka has of them.

    Records are read from the first of that time to the present end, since what was sent again lies there.
    Raises ``KafkaAway`` and ``TooManyEvents``.
    """
    found = KafkaComparison()
    table = _table_read(sink, low, high, found)
    progress(f"{found.events} events read from the table")
    consumer = _consumer_open()
    try:
        for topic in TOPICS:
            _topic_compare(consumer, topic, table, (low, high), found)
            progress(f"{topic}: compared, {found.records} records read so far")
    except (KafkaError, OSError) as error:
        raise KafkaAway(away_text(error)) from error
    finally:
        consumer.close(autocommit=False)
    return found


def events_resend(ids: Iterable[int], sink: KafkaSink) -> int:
    """Deliver events again, in commit order, to all their topics; return how many there were.

    Subscribers that have one of them know it by its id. Raises what the sink raises.
    """
    count = 0
    wanted = sorted(set(ids))
    for first in range(0, len(wanted), READ_ROWS):
        with connection.cursor() as cursor:
            cursor.execute(_BY_ID_SQL, (wanted[first : first + READ_ROWS],))
            records = [event_record(row) for row in cursor.fetchall()]
        sink(records)
        count += len(records)
    return count


def _table_read(sink: str, low: int, high: int, found: KafkaComparison) -> dict[tuple[str, int], _Digests]:
    """Read the digests of the events that every topic partition should have."""
    table: dict[tuple[str, int], _Digests] = defaultdict(dict)
    for record, is_told in _rows(sink, low, high):
        found.events += 1
        if found.events > EVENTS_MAX:
            raise TooManyEvents(f"More than {EVENTS_MAX} events lie in that time: ask for a shorter one.")
        entry = (_digest(record.value()), is_told)
        partition = topic_partition(record.user_id)
        for topic in event_topics(record.topic):
            table[topic, partition][record.id] = entry
    return table


def _rows(sink: str, low: int, high: int) -> Iterator[tuple[EventRecord, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(_CURSOR_SQL, (sink,))
        place = cursor.fetchone() or (0, 0)
    bounds = {"xact_id": str(place[0]), "event_id": place[1], "low": low, "high": high}
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(_TOLD_SQL, bounds)
        while rows := cursor.fetchmany(READ_ROWS):
            for row in rows:
                yield event_record(row[:-1]), row[-1]


def _topic_compare(
    consumer: KafkaConsumer,
    topic: str,
    table: dict[tuple[str, int], _Digests],
    bounds: tuple[int, int],
    found: KafkaComparison,
) -> None:
    partitions = [TopicPartition(topic, number) for number in range(TOPIC_PARTITIONS)]
    since_ms = max(int((id_time(bounds[0]) - LOOK_BACK).timestamp() * 1000), 0)
    starts = consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
    ends = consumer.end_offsets(partitions)
    seen: set[tuple[int, int]] = set()
    for where in partitions:
        start = starts[where].offset if starts.get(where) else ends[where]
        wanted = table.get((topic, where.partition), {})
        for offset, value in _records(consumer, where, start, ends[where]):
            found.records += 1
            _record_compare(value, wanted, bounds, seen, found, (where, offset))
    for (name, partition), digests in table.items():
        if name == topic:
            lost = [id for id, (_, is_told) in digests.items() if is_told and (partition, id) not in seen]
            found.missing += [(topic, id) for id in lost][: LISTED_MAX - len(found.missing)]


def _record_compare(
    value: bytes,
    wanted: _Digests,
    bounds: tuple[int, int],
    seen: set[tuple[int, int]],
    found: KafkaComparison,
    place: tuple[TopicPartition, int],
) -> None:
    where, offset = place
    number = _event_id(value)
    if number is not None and not bounds[0] <= number < bounds[1]:
        return
    if number is None or number not in wanted:
        if not _is_anchor(value) and (number is None or not _is_in_table(number)):
            found.unknown.append((where.topic, f"{where.partition}/{offset}"))
        return
    if wanted[number][0] != _digest(value):
        found.changed.append((where.topic, number))
    if (where.partition, number) in seen:
        found.duplicates += 1
    seen.add((where.partition, number))


def _records(
    consumer: KafkaConsumer, where: TopicPartition, start: int, end: int
) -> Iterator[tuple[int, bytes]]:
    """Return the records of one topic partition, and complain where none come."""
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


def _consumer_open() -> KafkaConsumer:
    try:
        return KafkaConsumer(
            **client_options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metrics_enabled=False,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
    except (KafkaError, OSError) as error:
        raise KafkaAway(away_text(error)) from error


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()[:DIGEST_BYTES]


def _event_id(value: bytes) -> int | None:
    """Return the event id a record begins with, None where it is none of ours."""
    try:
        return public_id_decode(Kind.EVENT, UUID(value[13:49].decode()))
    except (ValueError, NotFound):
        return None


def _is_anchor(value: bytes) -> bool:
    """Say whether a record is an anchor of the hash chain, which is in no row."""
    return b'"event_type":"%s"' % EventType.CHAIN_ANCHORED.encode() in value[:300]


def _is_in_table(number: int) -> bool:
    """Say whether the event is there after all: committed since the table was read."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM events WHERE id = %s", (number,))
        return cursor.fetchone() is not None
