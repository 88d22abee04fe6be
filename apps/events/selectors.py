"""Reads of an account's stream of events, for those who missed some of it."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.events.relay import EventRecord
from apps.primitives.clock import utc_now
from apps.primitives.ids import id_floor

LOOK_BACK = timedelta(days=2)
"""How far back a missed event is looked for: a socket that was away for longer reads the state instead."""

LIST_MAX = 500

_READ_SQL = """
SELECT id, topic, event_type, user_id, account_id, account_seq, "timestamp",
       data::text, metadata::text, xact_id::text::bigint
FROM events
WHERE account_id = %s AND account_seq > %s AND id >= %s
ORDER BY account_seq LIMIT %s
"""


def account_event_list(account_id: int, after_seq: int, limit: int = LIST_MAX) -> list[EventRecord]:
    """Return an account's committed events after a position of its stream, in order, at most 500."""
    floor = id_floor(utc_now() - LOOK_BACK)
    with connection.cursor() as cursor:
        cursor.execute(_READ_SQL, (account_id, after_seq, floor, min(limit, LIST_MAX)))
        rows = cursor.fetchall()
    return [_record(row) for row in rows]


def _record(row: tuple[Any, ...]) -> EventRecord:
    data, metadata = (json.loads(text, parse_float=Decimal) for text in row[7:9])
    return EventRecord(*(*row[:7], data, metadata, row[9]))
