"""The one way to write an event: set-based, on the caller's cursor, inside the caller's transaction."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from apps.events.facts import SYSTEM_METADATA, EventRow, json_text
from apps.primitives.appending import AppendTable, rows_append

_FACT_COLUMNS = {
    "topic": "text",
    "event_type": "text",
    "user_id": "bigint",
    "account_id": "bigint",
    "account_seq": "bigint",
    "data": "jsonb",
}

EVENT_COLUMNS = ", ".join([*_FACT_COLUMNS, "metadata"])
"""What the application says of an event; id, time and transaction are the server's own."""

SYSTEM_EVENTS = AppendTable("events", _FACT_COLUMNS)
"""The system's metadata are the column's own, ready made: a booking has thousands of facts to be read."""

_EVENTS = AppendTable("events", _FACT_COLUMNS | {"metadata": "jsonb"})

_STREAM_ROWS = 200
"""So many rows are worth a piece of a COPY: some tens of kilobytes."""


def _fact(row: EventRow) -> tuple[Any, ...]:
    kind, data = row.event_type, row.data
    text = data if isinstance(data, str) else json_text(data)
    return (kind.topic, kind, row.user_id, row.account_id, row.account_seq, text)


def _is_systems(rows: Sequence[EventRow]) -> bool:
    return all([row.metadata is SYSTEM_METADATA for row in rows])


class EventStream:
    """The system's facts in the order told. While it streams, they go to the server by the hundred."""

    def __init__(self) -> None:
        self.rows: list[EventRow] = []
        """What is yet to be written, by ``event_append`` once the streaming has ended."""
        self._copy: Any = None
        self._copy_begin: Callable[[], Any] | None = None

    def append(self, row: EventRow) -> None:
        """Take one fact."""
        self.rows.append(row)
        if self._copy_begin is not None and len(self.rows) >= _STREAM_ROWS:
            self._send(self._copy_begin)

    def _send(self, copy_begin: Callable[[], Any]) -> None:
        self._copy = self._copy or copy_begin()
        assert _is_systems(self.rows), "what somebody else did is told by event_append"
        self._copy.write(SYSTEM_EVENTS.lines([_fact(row) for row in self.rows]))
        self.rows.clear()

    @contextmanager
    def streaming(self, cursor: Any) -> Iterator[None]:
        """Let the server write what has been told while more is worked out; nothing else may use ``cursor``.

        Too few rows for a COPY are kept for ``event_append``.
        """
        with ExitStack() as ending:
            self._copy_begin = lambda: ending.enter_context(cursor.copy(SYSTEM_EVENTS.copy_sql))
            yield
            if self._copy is not None:
                self._send(self._copy_begin)
        self._copy_begin = self._copy = None


def event_append(cursor: Any, rows: Sequence[EventRow]) -> None:
    """Append facts in the order given, in the transaction that ``cursor`` is in.

    ``cursor`` is a psycopg cursor or Django's. Nothing is published here: the relay reads what commits.
    """
    facts = [_fact(row) for row in rows]
    if _is_systems(rows):
        rows_append(cursor, SYSTEM_EVENTS, facts)
    else:
        whole = [(*fact, json_text(row.metadata)) for fact, row in zip(facts, rows, strict=True)]
        rows_append(cursor, _EVENTS, whole)
