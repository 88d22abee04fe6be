"""The one way to write an event: set-based, on the caller's cursor, inside the caller's transaction."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from apps.events.facts import SYSTEM_METADATA, EventRow, json_text
from apps.primitives.literals import copy_field, copy_json, copy_write

_FACT_COLUMNS = "topic, event_type, user_id, account_id, account_seq, data"

EVENT_COLUMNS = f"{_FACT_COLUMNS}, metadata"
"""What the application says of an event; id, time and transaction are the server's own."""

SYSTEM_EVENTS_SQL = f"COPY events ({_FACT_COLUMNS}) FROM STDIN"
"""The system's metadata are the column's own, ready made: a booking has thousands of facts to be read."""

_EVENTS_SQL = f"COPY events ({EVENT_COLUMNS}) FROM STDIN"
_COPY_ROWS_MIN = 4
"""Below this many rows one INSERT is cheaper than a COPY, and it can be pipelined."""

_STREAM_ROWS = 200
"""So many rows are worth a piece of a COPY: some tens of kilobytes."""


def _data_text(row: EventRow) -> str:
    return row.data if isinstance(row.data, str) else json_text(row.data)


def _values(row: EventRow) -> tuple[Any, ...]:
    return (
        row.event_type.topic.value,
        row.event_type,
        row.user_id,
        row.account_id,
        row.account_seq,
        _data_text(row),
        json_text(row.metadata),
    )


def _line(row: EventRow) -> str:
    account_id, account_seq = copy_field(row.account_id), copy_field(row.account_seq)
    facts = f"{row.event_type.head}\t{row.user_id}\t{account_id}\t{account_seq}"
    return f"{facts}\t{copy_json(_data_text(row))}"


def _lines(rows: Sequence[EventRow]) -> tuple[str, list[str]]:
    """Return the COPY statement for some facts, and its lines."""
    if all([row.metadata is SYSTEM_METADATA for row in rows]):
        return SYSTEM_EVENTS_SQL, [f"{_line(row)}\n" for row in rows]
    return _EVENTS_SQL, [f"{_line(row)}\t{copy_json(json_text(row.metadata))}\n" for row in rows]


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
        statement, lines = _lines(self.rows)
        assert statement is SYSTEM_EVENTS_SQL, "what somebody else did is told by event_append"
        self._copy.write("".join(lines))
        self.rows.clear()

    @contextmanager
    def streaming(self, cursor: Any) -> Iterator[None]:
        """Let the server write what has been told while more is worked out; nothing else may use ``cursor``.

        Too few rows for a COPY are kept for ``event_append``.
        """
        with ExitStack() as ending:
            self._copy_begin = lambda: ending.enter_context(cursor.copy(SYSTEM_EVENTS_SQL))
            yield
            if self._copy is not None:
                self._send(self._copy_begin)
        self._copy_begin = self._copy = None


def event_append(cursor: Any, rows: Sequence[EventRow]) -> None:
    """Append facts in the order given, in the transaction that ``cursor`` is in.

    ``cursor`` is a psycopg cursor or Django's. Nothing is published here: the relay reads what commits.
    """
    if not rows:
        return
    if len(rows) < _COPY_ROWS_MIN:
        placeholders = ", ".join(["(%s, %s, %s, %s, %s, %s::jsonb, %s::jsonb)"] * len(rows))
        parameters = [value for row in rows for value in _values(row)]
        cursor.execute(f"INSERT INTO events ({EVENT_COLUMNS}) VALUES {placeholders}", parameters)
        return
    statement, lines = _lines(rows)
    copy_write(cursor, statement, lines)
