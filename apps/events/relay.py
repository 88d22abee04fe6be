"""The relay: reads committed events in commit order and hands them to a sink, never one twice without need.

Delivery is at least once: the cursor moves after the sink has taken the events, so a crash in between
repeats them with the same event ids. Order within one account never changes.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from django.db import connection, transaction

from apps.events.models import RelayCursor
from apps.primitives.clock import iso, utc_now
from apps.primitives.ids import Kind, id_floor, id_time, public_id

logger = logging.getLogger(__name__)

BATCH_EVENTS_MAX = 500
WAKE_CHANNEL = "events:wake"
"""The Redis channel on which a writer hints that new events have committed."""

LOOK_BACK = timedelta(minutes=10)
"""How much older than the cursor an event's id can be: longer than any allowed writing transaction."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One committed event as sinks get it."""

    id: int
    topic: str
    event_type: str
    user_id: int
    account_id: int | None
    account_seq: int | None
    timestamp: datetime
    data: dict[str, Any]
    metadata: dict[str, Any]
    xact_id: int

    def message(self) -> dict[str, Any]:
        """Return the specification's event, with the account's stream position beside it."""
        return {
            "event_id": str(public_id(Kind.EVENT, self.id)),
            "timestamp": iso(self.timestamp),
            "event_type": self.event_type,
            "user_id": self.user_id,
            "account_id": self.account_id,
            "account_seq": self.account_seq,
            "data": self.data,
            "metadata": self.metadata,
        }


class Sink(Protocol):
    """Takes events in commit order; returning means they are delivered, raising means none are."""

    def __call__(self, events: Sequence[EventRecord]) -> None: ...


class ServerChanged(RuntimeError):
    """The database behind the cursor is another one, or an older copy of it."""


_READ_SQL = """
SELECT id, topic, event_type, user_id, account_id, account_seq, "timestamp",
       data::text, metadata::text, xact_id::text::bigint
FROM events
WHERE id >= %(floor)s
  AND (xact_id, id) > (%(xact_id)s::text::xid8, %(event_id)s::bigint)
  AND xact_id < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xact_id, id LIMIT %(limit)s
"""

_SERVER_SQL = """
SELECT (SELECT system_identifier::text FROM pg_control_system()),
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""


def _record(row: tuple[Any, ...]) -> EventRecord:
    decoded = [json.loads(text, parse_float=Decimal) for text in row[7:9]]
    return EventRecord(*[*row[:7], *decoded, row[9]])


class Relay:
    """One sink's reader. ``step`` is safe to repeat after any crash."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self.sink = sink
        self.cursor, _ = RelayCursor.objects.get_or_create(sink=name)

    def start(self) -> None:
        """Check that the server is the one the cursor was made on; raises ``ServerChanged``.

        From here on this session's commits do not wait for the disk: a cursor that a crash sets back only
        delivers again.
        """
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
        identifier, newest = self._server()
        known = self.cursor.system_identifier
        if known and (known != identifier or self.cursor.xact_id > newest):
            raise ServerChanged(
                f"the cursor {self.name} was made on another database server or on newer data (a restored "
                "dump?). Run `manage.py events_rebase` to deliver again from the cursor's time on."
            )
        if not known:
            self._save(system_identifier=identifier)

    def rebase(self) -> None:
        """Accept the present server: open a new epoch, deliver again from just before the cursor's time."""
        identifier, _ = self._server()
        self._save(system_identifier=identifier, stream_epoch=self.cursor.stream_epoch + 1, xact_id=0)

    def step(self) -> int:
        """Deliver the next events, if any, and move the cursor; returns how many were delivered."""
        events = self._read()
        if events:
            self.sink(events)
            last = events[-1]
            self._save(xact_id=last.xact_id, event_id=last.id)
        return len(events)

    def _read(self) -> list[EventRecord]:
        position = self.cursor
        floor = id_floor(id_time(position.event_id) - LOOK_BACK) if position.event_id else 0
        parameters: dict[str, Any] = {
            "floor": floor,
            "xact_id": str(position.xact_id),
            "event_id": position.event_id,
            "limit": BATCH_EVENTS_MAX,
        }
        with connection.cursor() as cursor:
            cursor.execute(_READ_SQL, parameters)
            return [_record(row) for row in cursor.fetchall()]

    def _server(self) -> tuple[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(_SERVER_SQL)
            return cursor.fetchone()

    def _save(self, **values: Any) -> None:
        with transaction.atomic():
            for name, value in values.items():
                setattr(self.cursor, name, value)
            self.cursor.updated_at = utc_now()
            self.cursor.save()


def relay_run(relays: Sequence[Relay], wait: Callable[[float], None], stopping: Callable[[], bool]) -> None:
    """Deliver until asked to stop; when idle, wait for a wake-up or the poll interval."""
    for relay in relays:
        relay.start()
    idle = 0
    while not stopping():
        moved = sum(relay.step() for relay in relays)
        idle = 0 if moved else idle + 1
        if not moved:
            # Soon after a wake-up an older transaction may still be hiding the newest events.
            wait(0.005 if idle <= 3 else 0.1)
