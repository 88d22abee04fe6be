"""Events and their chain for tests: writing them in transactions of their own, sealing what has committed."""

import time
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection

from apps.events.anchors import AnchorFiles, anchor_newest
from apps.events.chain import places_read
from apps.events.facts import EventRow
from apps.events.models import EventBlock
from apps.events.records import EventRecord, event_record
from apps.events.relay import Relay
from apps.events.sealing import SINK, ChainSink
from apps.events.services import event_append
from apps.events.types import EventType
from tests.support.matching import matching_url

EVENTS_SQL = """
SELECT id, topic, event_type, user_id, account_id, account_seq, "timestamp",
       data::text, metadata::text, xact_id::text::bigint
FROM events ORDER BY events.xact_id, events.id
"""


def session_open() -> "psycopg.Connection[Any]":
    """Return a session of its own, in which a transaction begins with its first statement."""
    return psycopg.connect(matching_url())


def events_append(session: "psycopg.Connection[Any]", count: int, users: int = 3) -> None:
    """Append so many events of some users in the session's transaction."""
    rows = [
        EventRow(EventType.BALANCE_CHANGED, n % users, {"n": n, "text": 'a "b" \\ c\n'}, account_id=n % users)
        for n in range(count)
    ]
    with session.cursor() as cursor:
        event_append(cursor, rows)


def events_write(count: int, users: int = 3) -> None:
    """Commit so many events of some users."""
    with session_open() as session:
        events_append(session, count, users)


def events_list() -> list[EventRecord]:
    """Return every event in commit order."""
    with connection.cursor() as cursor:
        cursor.execute(EVENTS_SQL)
        return [event_record(row) for row in cursor.fetchall()]


def chain_relay(batch_events_max: int = 500) -> Relay:
    """Return the chain's relay as the platform has it, but with batches of a chosen size."""
    return Relay(SINK, ChainSink(), batch_events_max=batch_events_max)


def events_seal(batch_events_max: int = 500) -> int:
    """Seal whatever has committed; returns how many events the relay delivered."""
    relay, total, deadline = chain_relay(batch_events_max), 0, time.monotonic() + 20
    wanted = {event.id for event in events_list()}
    while time.monotonic() < deadline:
        # An open transaction on the server, anybody's, delays them.
        total += relay.step()
        if wanted.issubset(sealed_ids()):
            break
    return total


def sealed_ids() -> list[int]:
    """Return the ids of all sealed events in sealed order."""
    blocks = EventBlock.objects.order_by("block_no")
    return [number for block in blocks for number in places_read(bytes(block.places))[1]]


def anchored(folder: Path) -> None:
    """Tell the chain's tip to the anchors in a folder."""
    anchor = anchor_newest()
    assert anchor is not None
    AnchorFiles(folder)(anchor)
