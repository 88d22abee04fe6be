"""Where a subscription keeps its place: positions, remembered events, the quarantine.

Everything here happens on the caller's cursor, in the transaction of the effect: place and effect agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kafka import TopicPartition

from apps.events.messages import EventMessage
from apps.primitives.ids import id_span

REMEMBERED = timedelta(hours=1)
"""How far behind the newest event of a topic partition a handled event is still known as handled.

The relay repeats what it was sending when it died, and after a restored dump the ten minutes before its
cursor. An unknown event that is older than this is quarantined: it may be a repetition.
"""

TOO_OLD = "older than what is remembered"
PROBLEM_LENGTH_MAX = 300
_REMEMBERED_IDS = id_span(REMEMBERED)

_OPEN_SQL = """
INSERT INTO subscription_positions
    (subscription, topic, topic_partition, newest_id, tries, problem, end_offset)
SELECT %s, topic, partition, 0, 0, '', 0 FROM unnest(%s::text[], %s::int[]) AS t (topic, partition)
ON CONFLICT (subscription, topic, topic_partition) DO NOTHING
"""

_READ_SQL = """
SELECT p.topic, p.topic_partition, p.id, p.next_offset, p.newest_id, p.tries, p.may_jump
FROM subscription_positions p
JOIN unnest(%s::text[], %s::int[]) AS t (topic, partition)
  ON p.topic = t.topic AND p.topic_partition = t.partition
WHERE p.subscription = %s ORDER BY p.id
"""

_LOCK_SQL = _READ_SQL + "FOR NO KEY UPDATE OF p"

_MOVE_SQL = """
UPDATE subscription_positions p
SET next_offset = t.next_offset, newest_id = t.newest_id, tries = 0, problem = '',
    updated_at = clock_timestamp()
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS t (id, next_offset, newest_id) WHERE p.id = t.id
"""

_REMEMBER_SQL = """
INSERT INTO subscription_events (position_id, event_id)
SELECT * FROM unnest(%s::bigint[], %s::bigint[]) ON CONFLICT DO NOTHING RETURNING position_id, event_id
"""

_FORGET_SQL = """
DELETE FROM subscription_events e USING unnest(%s::bigint[], %s::bigint[]) AS t (id, floor)
WHERE e.position_id = t.id AND e.event_id < t.floor
"""

_QUARANTINE_SQL = """
INSERT INTO subscription_quarantine
    (subscription, topic, topic_partition, topic_offset, event_id, value, problem, tries)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""

_FAILURES_SQL = "SELECT count(*) FROM subscription_quarantine WHERE subscription = %s AND tries > 0"
_UNTRIED_SQL = "SELECT count(*) FROM subscription_quarantine WHERE subscription = %s AND tries = 0"

_LOOKED_SQL = """
UPDATE subscription_positions p SET end_offset = t.end_offset, looked_at = clock_timestamp()
FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS t (topic, partition, end_offset)
WHERE p.subscription = %s AND p.topic = t.topic AND p.topic_partition = t.partition
"""


class PositionMoved(RuntimeError):
    """Somebody else has handled what was to be handled: the topic partition is theirs now."""


@dataclass(slots=True)
class Position:
    """Where a subscription stands in one topic partition; no ``next_offset`` before it has begun."""

    id: int
    next_offset: int | None
    newest_id: int
    tries: int
    may_jump: bool


def positions_open(cursor: Any, name: str, where: Iterable[TopicPartition]) -> None:
    """Make sure that there is a position for each of these topic partitions."""
    topics, partitions = _columns(where)
    cursor.execute(_OPEN_SQL, (name, topics, partitions))


def positions_read(cursor: Any, name: str, where: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:
    """Return where the subscription stands in these topic partitions."""
    return _positions(cursor, _READ_SQL, name, where)


def positions_lock(
    cursor: Any, name: str, offsets: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Position]:
    """Lock the positions until the transaction ends, and return them.

    Raises ``PositionMoved`` where the next offset is not the one that is about to be handled: a process that
    lost its topic partition without knowing it cannot write.
    """
    found = _positions(cursor, _LOCK_SQL, name, offsets)
    for tp, offset in offsets.items():
        if tp not in found or found[tp].next_offset != offset:
            at = found[tp].next_offset if tp in found else None
            raise PositionMoved(f"{tp.topic} partition {tp.partition} stands at {at}, not at {offset}")
    return found


def positions_move(cursor: Any, positions: Iterable[Position]) -> None:
    """Store what was handled; the caller's transaction holds the locks."""
    rows = list(positions)
    columns = ([p.id for p in rows], [p.next_offset for p in rows], [p.newest_id for p in rows])
    cursor.execute(_MOVE_SQL, columns)


def position_begin(cursor: Any, position: Position, offset: int) -> None:
    """Set a position that has not begun or may jump, or keep where another process has set it meanwhile."""
    cursor.execute(
        "UPDATE subscription_positions SET problem = '', may_jump = false, "
        "next_offset = CASE WHEN next_offset IS NULL OR may_jump THEN %s ELSE next_offset END "
        "WHERE id = %s RETURNING next_offset",
        (offset, position.id),
    )
    position.next_offset = cursor.fetchone()[0]


def try_count(cursor: Any, position: Position) -> int:
    """Count one more try of the event at the position, and return how many that makes."""
    cursor.execute(
        "UPDATE subscription_positions SET tries = tries + 1 WHERE id = %s RETURNING tries", (position.id,)
    )
    return int(cursor.fetchone()[0])


def problem_note(cursor: Any, position: Position, problem: str) -> None:
    """Write down why the subscription cannot go on in a topic partition."""
    cursor.execute(
        "UPDATE subscription_positions SET problem = %s WHERE id = %s",
        (problem[:PROBLEM_LENGTH_MAX], position.id),
    )


def events_remember(
    cursor: Any, events: Sequence[tuple[Position, EventMessage]]
) -> tuple[list[EventMessage], list[tuple[Position, EventMessage]]]:
    """Remember events as handled; returns those never seen, in order, and those too old to be sure of."""
    cursor.execute(_REMEMBER_SQL, ([p.id for p, _ in events], [event.id for _, event in events]))
    unseen = set(cursor.fetchall())
    fresh, doubtful = [], []
    for position, event in events:
        if (position.id, event.id) not in unseen:
            continue
        unseen.remove((position.id, event.id))
        if event.id < position.newest_id - _REMEMBERED_IDS:
            doubtful.append((position, event))
        else:
            fresh.append(event)
            position.newest_id = max(position.newest_id, event.id)
    return fresh, doubtful


def events_forget(cursor: Any, positions: Iterable[Position]) -> None:
    """Forget the events of these topic partitions that are too old to be repeated unnoticed."""
    rows = list(positions)
    floors = [position.newest_id - _REMEMBERED_IDS for position in rows]
    cursor.execute(_FORGET_SQL, ([position.id for position in rows], floors))


def message_quarantine(
    cursor: Any, name: str, message: Any, event_id: int | None, problem: str, tries: int
) -> None:
    """Keep a Kafka message that cannot be handled, whole."""
    row = (name, message.topic, message.partition, message.offset, event_id, message.value or b"")
    cursor.execute(_QUARANTINE_SQL, (*row, problem, tries))


def failures_count(cursor: Any, name: str) -> int:
    """Return how many messages of a subscription are in quarantine because they failed."""
    cursor.execute(_FAILURES_SQL, (name,))
    return int(cursor.fetchone()[0])


def untried_count(cursor: Any, name: str) -> int:
    """Return how many are there untried, since they may be repetitions."""
    cursor.execute(_UNTRIED_SQL, (name,))
    return int(cursor.fetchone()[0])


def ends_note(cursor: Any, name: str, ends: Mapping[TopicPartition, int]) -> None:
    """Write down where the topic partitions end now, for the lag."""
    topics, partitions = _columns(ends)
    cursor.execute(_LOOKED_SQL, (topics, partitions, list(ends.values()), name))


def _columns(where: Iterable[TopicPartition]) -> tuple[list[str], list[int]]:
    found = list(where)
    return [tp.topic for tp in found], [tp.partition for tp in found]


def _positions(
    cursor: Any, sql: str, name: str, where: Iterable[TopicPartition]
) -> dict[TopicPartition, Position]:
    topics, partitions = _columns(where)
    cursor.execute(sql, (topics, partitions, name))
    return {TopicPartition(row[0], row[1]): Position(*row[2:]) for row in cursor.fetchall()}
