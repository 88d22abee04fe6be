"""The relay: reads committed events in commit order and hands them to a sink, never one twice without need.

Delivery is at least once: the cursor moves after the sink has taken the events, so a crash in between
repeats them with the same event ids. Order within one account never changes. Nothing here asks a clock,
sleeps or opens a connection: all that is handed in.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Protocol

from django.db import connection

from apps.events.records import EventRecord, event_record
from apps.events.states import BACK_SQL, away_tell
from apps.primitives.failpoints import failpoint
from apps.primitives.ids import id_floor, id_span, id_time

logger = logging.getLogger(__name__)

BATCH_EVENTS_MAX = 500
WAKE_CHANNEL = "events:wake"
"""The Redis channel on which a writer hints that new events have committed."""

LOOK_BACK = timedelta(minutes=10)
"""How much older than the cursor an event's id can be: longer than any allowed writing transaction."""

LOOK_BACK_IDS = id_span(LOOK_BACK)
"""By how much ids may lie apart from the order of commits."""

IDLE_S, SOON_S, AWAY_S = 0.1, 0.005, 1.0
"""Waits when nothing is new, when it may be in a moment, and while the sink's other end is away."""

LOOK_EVERY_IDLES = 50
"""How often, in idle turns, the relay asks whether it is held back and its sink still has what it took."""

ALARM_EVERY_TRIES = 100
"""How often, in vain tries of a second or more, it is said again that a sink is away."""

HELD_BACK_S = 5
"""Writers commit within a second: an event that waits longer for an older transaction raises an alarm."""

SESSION_SQL = "SET synchronous_commit = off"

CURSOR_OPEN_SQL = """
INSERT INTO relay_cursors (sink, stream_epoch, xact_id, event_id, system_identifier)
VALUES (%(sink)s, 1, 0, 0, '') ON CONFLICT (sink) DO NOTHING
"""

CURSOR_READ_SQL = """
SELECT stream_epoch, xact_id, event_id, system_identifier FROM relay_cursors WHERE sink = %(sink)s
"""

CURSOR_SET_SQL = """
UPDATE relay_cursors SET stream_epoch = %(stream_epoch)s, xact_id = %(xact_id)s, event_id = %(event_id)s,
       system_identifier = %(system_identifier)s, updated_at = clock_timestamp()
WHERE sink = %(sink)s AND stream_epoch = %(old_epoch)s
"""

# One statement, so that the cursor and the count of what was delivered can never disagree.
CURSOR_MOVE_SQL = """
WITH moved AS (
    UPDATE relay_cursors SET xact_id = %(xact_id)s, event_id = %(event_id)s, updated_at = clock_timestamp()
    WHERE sink = %(sink)s AND stream_epoch = %(epoch)s
      AND xact_id = %(old_xact_id)s AND event_id = %(old_event_id)s
    RETURNING sink, stream_epoch)
INSERT INTO relay_days AS d (sink, stream_epoch, day, delivered)
SELECT sink, stream_epoch, day, delivered
FROM moved, unnest(%(days)s::date[], %(counts)s::bigint[]) AS told (day, delivered)
ON CONFLICT (sink, stream_epoch, day) DO UPDATE SET delivered = d.delivered + excluded.delivered
"""

# An id from the future, of a clock that has since stepped back, must not hide what is written now.
_FLOOR = "least(%(floor)s, ((extract(epoch FROM now()) * 1000)::bigint - 1577836800000 - 600000) << 21)"

# The order is named by the table's columns: the text made of one has its name, and no index.
EVENTS_READ_SQL = f"""
SELECT id, topic, event_type, user_id, account_id, account_seq, "timestamp",
       data::text, metadata::text, xact_id::text::bigint
FROM events
WHERE id >= {_FLOOR}
  AND (xact_id, id) > (%(xact_id)s::text::xid8, %(event_id)s::bigint)
  AND xact_id < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY events.xact_id, events.id LIMIT %(limit)s
"""

# A restored dump keeps the transaction ids of its old server, which may be far ahead of this one's.
STRANGERS_READ_SQL = """
SELECT id, topic, event_type, user_id, account_id, account_seq, "timestamp",
       data::text, metadata::text, xact_id::text::bigint
FROM events
WHERE id > %(after)s AND xact_id >= %(newest)s::text::xid8
ORDER BY id LIMIT %(limit)s
"""

# The lock on its own transaction id names the session that holds us back, whatever database it writes to.
HELD_BACK_SQL = f"""
SELECT e.id, extract(epoch FROM clock_timestamp() - e."timestamp")::int AS waiting_s,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
       (SELECT pid FROM pg_locks WHERE locktype = 'transactionid' AND granted
        AND transactionid = pg_snapshot_xmin(pg_current_snapshot())::xid LIMIT 1) AS pid
FROM (SELECT id, "timestamp" FROM events
      WHERE id >= {_FLOOR} AND (xact_id, id) > (%(xact_id)s::text::xid8, %(event_id)s::bigint)
      ORDER BY xact_id, id LIMIT 1) AS e
"""

SERVER_SQL = """
SELECT (SELECT system_identifier::text FROM pg_control_system()),
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""


class Sink(Protocol):
    """Takes events in commit order; returning means they are delivered, raising means none are."""

    def __call__(self, events: Sequence[EventRecord]) -> None: ...


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the commit order of events."""

    xact_id: int
    event_id: int


class Standing(Protocol):
    """Says up to which place a sink that keeps what it took still has it."""

    def __call__(self) -> Place: ...


@dataclass(frozen=True, slots=True)
class Position:
    """How far a sink has read, in which epoch, of which server's events."""

    stream_epoch: int
    xact_id: int
    event_id: int
    system_identifier: str

    @property
    def place(self) -> Place:
        return Place(self.xact_id, self.event_id)

    @property
    def floor(self) -> int:
        """Return the smallest id that an event after this position can have."""
        return max(id_floor(id_time(self.event_id) - LOOK_BACK), 0) if self.event_id else 0


class ServerChanged(RuntimeError):
    """The database behind the cursor is another one, or an older copy of it."""


class CursorMoved(RuntimeError):
    """Somebody else moved the cursor: two relays deliver to one sink, and this one has to end."""


class SinkUnavailable(RuntimeError):
    """The sink's other end is away; nothing was delivered, and the same events come again later."""


class SinkRefuses(SinkUnavailable):
    """The sink's other end is there, and does not take these events: somebody has to act."""


def _django_cursor() -> AbstractContextManager[Any]:
    return connection.cursor()


class Relay:
    """One sink's reader. ``step`` is safe to repeat after any crash.

    ``cursor_open`` opens a cursor of an autocommitting session; ``standing`` is asked of sinks that keep
    what they took and may lose it.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        standing: Standing | None = None,
        cursor_open: Callable[[], AbstractContextManager[Any]] = _django_cursor,
        batch_events_max: int = BATCH_EVENTS_MAX,
    ) -> None:
        self.name = name
        self.sink = sink
        self.standing = standing
        self.cursor_open = cursor_open
        self.batch_events_max = batch_events_max
        self._execute(CURSOR_OPEN_SQL, sink=name)
        self.position = Position(*self._fetch(CURSOR_READ_SQL, sink=name)[0])

    def start(self) -> None:
        """Check that the server is the one the cursor was made on; raises ``ServerChanged``.

        From here on this session's commits do not wait for the disk: a cursor that a crash sets back only
        delivers again.
        """
        self._execute(SESSION_SQL)
        identifier, newest = self._server()
        known = self.position.system_identifier
        if known and (known != identifier or self.position.xact_id > newest):
            raise ServerChanged(
                f"the cursor {self.name} was made on another database server or on newer data (a restored "
                "dump?). Run `manage.py events_rebase` to deliver again from the cursor's time on."
            )
        if not known:
            self._set(replace(self.position, system_identifier=identifier))

    def rebase(self) -> None:
        """Accept the present server: open a new epoch, deliver again from just before the cursor's time.

        Events that the former server wrote under transaction ids which this one has not reached are
        delivered here, by id: no cursor would come to them in time. A sink that keeps what it took says
        itself where it stands.
        """
        identifier, newest = self._server()
        after = self.position.floor
        while self.standing is None:
            rows = self._fetch(
                STRANGERS_READ_SQL, after=after, newest=str(newest), limit=self.batch_events_max
            )
            if not rows:
                break
            self.sink([event_record(row) for row in rows])
            after = rows[-1][0]
        epoch = self.position.stream_epoch + 1
        self._set(replace(self.position, stream_epoch=epoch, xact_id=0, system_identifier=identifier))

    def step(self) -> int:
        """Deliver the next events, if any, and move the cursor; returns how many were delivered."""
        events = self._read()
        if not events or self.place_take():
            return 0
        failpoint("relay.before_send", sink=self.name)
        self.sink(events)
        failpoint("relay.after_send", sink=self.name)
        self._move(events)
        return len(events)

    def place_take(self) -> bool:
        """Go, in a new epoch, to where the sink itself says it stands; returns whether that was elsewhere.

        Behind us when it lost what it had taken, ahead of us when it was filled by other means.
        """
        place = self.standing() if self.standing else None
        if place is None or place == self.position.place:
            return False
        level = logging.WARNING if self.position.event_id else logging.INFO
        logger.log(level, "the sink %s stands at %s, not at %s", self.name, place, self.position.place)
        epoch = self.position.stream_epoch + 1
        self._set(replace(self.position, stream_epoch=epoch, xact_id=place.xact_id, event_id=place.event_id))
        return True

    def held_back_tell(self) -> bool:
        """Raise an alarm when an older transaction has kept committed events from us for too long."""
        rows = self._fetch(HELD_BACK_SQL, **self._after())
        if not rows or rows[0][1] < HELD_BACK_S:
            return False
        event_id, waiting_s, oldest, pid = rows[0]
        logger.error(
            "the sink %s is held back: event %s waits for %s s, because transaction %s (process %s) is open",
            self.name, event_id, waiting_s, oldest, pid or "of a prepared transaction",
        )  # fmt: skip
        return True

    def away_tell(self, error: SinkUnavailable, is_news: bool) -> None:
        """Write down why the events wait, and say it where it is news; a refusal is an alarm."""
        away_tell(self.name, str(error))
        if is_news and isinstance(error, SinkRefuses):
            logger.error("the sink %s takes no events, all of them wait: %s", self.name, error)
        elif is_news:
            logger.warning("the sink %s is away, its events wait: %s", self.name, error)

    def back_tell(self) -> None:
        """Say that the sink takes events again, if it was said that it does not."""
        if self._execute(BACK_SQL, sink=self.name):
            logger.warning("the sink %s goes on", self.name)

    def _after(self) -> dict[str, Any]:
        position = self.position
        return {
            "floor": position.floor,
            "xact_id": str(position.xact_id),
            "event_id": position.event_id,
        }

    def _read(self) -> list[EventRecord]:
        rows = self._fetch(EVENTS_READ_SQL, **self._after(), limit=self.batch_events_max)
        return [event_record(row) for row in rows]

    def _server(self) -> tuple[str, int]:
        identifier, newest = self._fetch(SERVER_SQL)[0]
        return identifier, newest

    def _move(self, events: Sequence[EventRecord]) -> None:
        old, last = self.position, events[-1]
        days: Counter[date] = Counter(id_time(event.id).date() for event in events)
        moved = self._execute(
            CURSOR_MOVE_SQL,
            sink=self.name,
            epoch=old.stream_epoch,
            xact_id=last.xact_id,
            event_id=last.id,
            old_xact_id=old.xact_id,
            old_event_id=old.event_id,
            days=list(days),
            counts=list(days.values()),
        )
        self._check(moved)
        self.position = replace(old, xact_id=last.xact_id, event_id=last.id)

    def _set(self, position: Position) -> None:
        changed = self._execute(
            CURSOR_SET_SQL,
            sink=self.name,
            old_epoch=self.position.stream_epoch,
            stream_epoch=position.stream_epoch,
            xact_id=position.xact_id,
            event_id=position.event_id,
            system_identifier=position.system_identifier,
        )
        self._check(changed)
        self.position = position

    def _check(self, rows: int) -> None:
        if not rows:
            raise CursorMoved(f"another relay moved the cursor {self.name}: only one may deliver to a sink")

    def _execute(self, sql: str, **parameters: Any) -> int:
        with self.cursor_open() as cursor:
            cursor.execute(sql, parameters)
            return cursor.rowcount

    def _fetch(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.cursor_open() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()


def relay_run(relay: Relay, wait: Callable[[float], None], stopping: Callable[[], bool]) -> None:
    """Deliver until asked to stop; when idle, wait for a wake-up or the poll interval.

    While the sink's other end is away its events wait; any other error ends the relay, and its next start
    goes on at the cursor.
    """
    relay.start()
    idle, away = 0, 0
    # What an earlier process said of its sink is over with the first events that this one delivers.
    is_back_told = False
    while not stopping():
        try:
            count, away = relay.step(), 0
            if count and not is_back_told:
                relay.back_tell()
                is_back_told = True
            if count == relay.batch_events_max:
                continue
            idle = 0 if count else idle + 1
            if idle and idle % LOOK_EVERY_IDLES == 0:
                relay.held_back_tell()
                relay.place_take()
        except SinkUnavailable as error:
            relay.away_tell(error, is_news=away % ALARM_EVERY_TRIES == 0)
            away += 1
            is_back_told = False
            wait(AWAY_S)
            continue
        # Soon after a wake-up an older transaction may still be hiding the newest events.
        wait(SOON_S if idle <= 3 else IDLE_S)
