"""The one way to write an event: set-based, on the caller's cursor, inside the caller's transaction."""

from collections.abc import Sequence
from typing import Any

from apps.events.facts import SYSTEM_METADATA, EventRow, json_text
from apps.primitives.literals import copy_field, copy_text, copy_write

_COLUMNS = "topic, event_type, user_id, account_id, account_seq, data, metadata"
EVENTS_SQL = f"COPY events ({_COLUMNS}) FROM STDIN"
_COPY_ROWS_MIN = 4
"""Below this many rows one INSERT is cheaper than a COPY, and it can be pipelined."""


_SYSTEM_TEXT = json_text(SYSTEM_METADATA)


def _data_text(row: EventRow) -> str:
    return row.data if isinstance(row.data, str) else json_text(row.data)


def _values(row: EventRow) -> tuple[Any, ...]:
    return (
        row.topic.value,
        row.event_type,
        row.user_id,
        row.account_id,
        row.account_seq,
        _data_text(row),
        json_text(row.metadata),
    )


def _line(row: EventRow) -> str:
    account_id, account_seq = copy_field(row.account_id), copy_field(row.account_seq)
    metadata = _SYSTEM_TEXT if row.metadata is SYSTEM_METADATA else copy_text(json_text(row.metadata))
    facts = f"{row.topic.value}\t{row.event_type}\t{row.user_id}\t{account_id}\t{account_seq}"
    return f"{facts}\t{copy_text(_data_text(row))}\t{metadata}\n"


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
    copy_write(cursor, EVENTS_SQL, [_line(row) for row in rows])
