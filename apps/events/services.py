"""The one way to write an event: set-based, on the caller's cursor, inside the caller's transaction."""

from collections.abc import Sequence
from typing import Any

from apps.events.facts import EventRow, json_text

_COLUMNS = "topic, event_type, user_id, account_id, account_seq, data, metadata"
_COPY_ROWS_MIN = 4
"""Below this many rows one INSERT is cheaper than a COPY, and it can be pipelined."""


def _values(row: EventRow) -> tuple[Any, ...]:
    return (
        row.topic.value,
        row.event_type,
        row.user_id,
        row.account_id,
        row.account_seq,
        json_text(row.data),
        json_text(row.metadata),
    )


def event_append(cursor: Any, rows: Sequence[EventRow]) -> None:
    """Append facts in the order given, in the transaction that ``cursor`` is in.

    ``cursor`` is a psycopg cursor or Django's. Nothing is published here: the relay reads what commits.
    """
    if not rows:
        return
    if len(rows) < _COPY_ROWS_MIN:
        placeholders = ", ".join(["(%s, %s, %s, %s, %s, %s::jsonb, %s::jsonb)"] * len(rows))
        parameters = [value for row in rows for value in _values(row)]
        cursor.execute(f"INSERT INTO events ({_COLUMNS}) VALUES {placeholders}", parameters)
        return
    with cursor.copy(f"COPY events ({_COLUMNS}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(_values(row))
