"""Does Kafka have what the table has?  Compared record by record, and what is missing sent again."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from apps.events.kafka import SINK
from apps.events.kafka.anchors import is_anchor
from apps.events.kafka.connection import KafkaAway, away_text
from apps.events.kafka.reading import consumer_open, offsets_at, records_between
from apps.events.kafka.sink import KafkaSink
from apps.events.origins import operator_row
from apps.events.records import EventRecord, event_record
from apps.events.relay import LOOK_BACK
from apps.events.services import event_append
from apps.events.topics import TOPIC_PARTITIONS, TOPICS, event_topics, topic_partition
from apps.events.types import EventType
from apps.primitives.clock import utc_now
from apps.primitives.errors import NotFound
from apps.primitives.ids import Kind, id_floor, id_time, public_id_decode, public_id_text

READ_ROWS = 2_000
WINDOW_EVENTS = 500_000
"""Events compared at a time, at some four hundred bytes each."""

SLACK = timedelta(minutes=1)
"""How far from its own time a record is looked for at first: writers commit within a second."""

LISTED_MAX = 100_000
DIGEST_BYTES = 8

_COLUMNS = """id, topic, event_type, user_id, account_id, account_seq, "timestamp",
       data::text, metadata::text, xact_id::text::bigint"""

_TOLD_SQL = f"""
SELECT {_COLUMNS}, (xact_id, id) <= (%(xact_id)s::text::xid8, %(event_id)s::bigint)
FROM events WHERE id >= %(low)s AND id < %(high)s
"""

_WINDOW_SQL = "SELECT id FROM events WHERE id >= %s AND id < %s ORDER BY id OFFSET %s LIMIT 1"
_BY_ID_SQL = f"SELECT {_COLUMNS} FROM events WHERE id = ANY(%s) ORDER BY events.xact_id, events.id"
_CURSOR_SQL = "SELECT xact_id, event_id FROM relay_cursors WHERE sink = %s"


@dataclass(slots=True)
class KafkaComparison:
    """What was found, with at most a hundred thousand of a kind named, and how much was read."""

    events: int = 0
    records: int = 0
    duplicates: int = 0
    missing: list[tuple[str, int]] = field(default_factory=list)
    """Delivered events that a topic does not have: topic, and event id."""

    changed: list[tuple[str, int]] = field(default_factory=list)
    """Records whose bytes are not their event's: topic, and event id."""

    unknown: list[tuple[str, str]] = field(default_factory=list)
    """Records whose event the table does not have: topic, and ``partition/offset``."""

    @property
    def is_equal(self) -> bool:
        return not (self.missing or self.changed or self.unknown)

    def lines(self, count_max: int) -> list[str]:
        """Return what is wrong, each in a line, so many of a kind at most."""
        told = []
        for text, named in (
            ("misses the event", [(topic, public_id_text(Kind.EVENT, n)) for topic, n in self.missing]),
            ("has other bytes than the event", [(t, public_id_text(Kind.EVENT, n)) for t, n in self.changed]),
            ("has a record of no event of ours at", self.unknown),
        ):
            told += [f"  {topic} {text} {what}" for topic, what in named[:count_max]]
            if len(named) > count_max:
                told.append(f"  … and {len(named) - count_max} more of these")
        return told


def kafka_compare(
    low: int, high: int, progress: Callable[[int], None] = lambda count: None
) -> KafkaComparison:
    """Compare the delivered events with ids from ``low`` to below ``high`` with what Kafka has of them.

    Records are looked for near their own time; what is missing there, up to the present end, since what was
    sent again lies there. What is older than the oldest event in the table is in archives, and is not looked
    at. ``progress`` is told how many events were compared. Raises ``KafkaAway``.
    """
    found = KafkaComparison()
    low, high = _bounds(low, min(high, id_floor(utc_now())))
    consumer = consumer_open()
    try:
        while low < high:
            window = _Window((low, _window_end(low, high)), found)
            window.compare(consumer)
            progress(window.events)
            low = window.bounds[1]
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


def resend_tell(ids: Sequence[int]) -> None:
    """Put on record that events are sent again, before they are: subscribers may get old ones twice."""
    data = {
        "events": len(ids),
        "first_event_id": str(min(ids)),
        "last_event_id": str(max(ids)),
    }
    with connection.cursor() as cursor:
        event_append(cursor, [operator_row(EventType.EVENTS_RESENT, data)])


def _bounds(low: int, high: int) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(id) FROM events WHERE id >= %s AND id < %s", (low, high))
        oldest = cursor.fetchone()[0]
    return (high if oldest is None else oldest), high


def _window_end(low: int, high: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_WINDOW_SQL, (low, high, WINDOW_EVENTS))
        row = cursor.fetchone()
    return row[0] if row else high


class _Window:
    """Some events, and what of them was seen in Kafka."""

    def __init__(self, bounds: tuple[int, int], found: KafkaComparison) -> None:
        self.bounds = bounds
        self.found = found
        self.events = 0
        self.digests: dict[TopicPartition, dict[int, bytes]] = defaultdict(dict)
        """The digest of each event's bytes, in every topic partition that may have it."""

        self.owed: dict[TopicPartition, set[int]] = defaultdict(set)
        """What the relay has delivered there and was not seen yet."""

        for record, is_told in _rows(*bounds):
            self._expect(record, is_told)
        found.events += self.events

    def compare(self, consumer: KafkaConsumer) -> None:
        """Read what lies near the events' time, and for what is missing there everything after it."""
        start, end = (id_time(number) for number in self.bounds)
        everywhere = [TopicPartition(topic, n) for topic in TOPICS for n in range(TOPIC_PARTITIONS)]
        ends = offsets_at(consumer, everywhere, end + SLACK)
        for where, first in offsets_at(consumer, everywhere, start - SLACK).items():
            for offset, value in records_between(consumer, where, first, ends[where]):
                self._judge(where, offset, value)
        short = [where for where, ids in self.owed.items() if ids]
        for where, first in offsets_at(consumer, short, start - LOOK_BACK).items():
            for _, value in records_between(consumer, where, first, consumer.end_offsets([where])[where]):
                self.owed[where].discard(_event_id(value) or 0)
        for where, ids in self.owed.items():
            _list(self.found.missing, [(where.topic, number) for number in sorted(ids)])

    def _expect(self, record: EventRecord, is_told: bool) -> None:
        digest, partition = _digest(record.value()), topic_partition(record.user_id)
        self.events += 1
        for topic in event_topics(record.topic):
            where = TopicPartition(topic, partition)
            self.digests[where][record.id] = digest
            if is_told:
                self.owed[where].add(record.id)

    def _judge(self, where: TopicPartition, offset: int, value: bytes) -> None:
        number = _event_id(value)
        if number is not None and not self.bounds[0] <= number < self.bounds[1]:
            return
        self.found.records += 1
        digest = self.digests[where].get(number or 0)
        if number is None or digest is None:
            # An anchor of the hash chain is in no row; another may have been committed since we read.
            if not is_anchor(value) and not (number and _is_in_table(number)):
                _list(self.found.unknown, [(where.topic, f"{where.partition}/{offset}")])
        elif digest != _digest(value):
            _list(self.found.changed, [(where.topic, number)])
        elif number in self.owed[where]:
            self.owed[where].remove(number)
        else:
            self.found.duplicates += 1


def _list(named: list[Any], more: list[Any]) -> None:
    named += more[: max(LISTED_MAX - len(named), 0)]


def _rows(low: int, high: int) -> Iterator[tuple[EventRecord, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(_CURSOR_SQL, (SINK,))
        place = cursor.fetchone() or (0, 0)
    bounds = {"xact_id": str(place[0]), "event_id": place[1], "low": low, "high": high}
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(_TOLD_SQL, bounds)
        while rows := cursor.fetchmany(READ_ROWS):
            for row in rows:
                yield event_record(row[:-1]), row[-1]


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()[:DIGEST_BYTES]


def _event_id(value: bytes) -> int | None:
    """Return the event id a record begins with, None where it is none of ours."""
    try:
        return public_id_decode(Kind.EVENT, UUID(value[13:49].decode()))
    except (ValueError, NotFound):
        return None


def _is_in_table(number: int) -> bool:
    """Say whether the event is there after all: committed since the table was read."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM events WHERE id = %s", (number,))
        return cursor.fetchone() is not None
