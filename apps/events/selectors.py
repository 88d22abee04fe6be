"""Reads of the events: an account's stream for those who missed some of it, and how far sinks are behind."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from apps.events.records import EventRecord, event_record
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
    return [event_record(row) for row in rows]


LAG_COUNT_MAX = 10_000
"""Events counted as waiting for one sink: beyond that the figure says enough."""

_LAG_SQL = f"""
SELECT c.sink, c.updated_at, w.waiting, w.oldest_at
FROM relay_cursors c CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, min(at) AS oldest_at FROM (
        SELECT e."timestamp" AS at FROM events e
        WHERE e.id >= least(c.event_id, ((extract(epoch FROM now()) * 1000)::bigint - 1577836800000) << 21)
                      - (600000::bigint << 21)
          AND (e.xact_id, e.id) > (c.xact_id::text::xid8, c.event_id)
        ORDER BY e.xact_id, e.id LIMIT {LAG_COUNT_MAX}) AS first) AS w
ORDER BY c.sink
"""


@dataclass(frozen=True, slots=True)
class RelayLag:
    """How far one sink is behind: how many committed events wait, and since when."""

    sink: str
    moved_at: datetime
    waiting: int
    oldest_at: datetime | None


def relay_lag_list() -> list[RelayLag]:
    """Return every sink's lag; ``waiting`` stops counting at ten thousand."""
    with connection.cursor() as cursor:
        cursor.execute(_LAG_SQL)
        return [RelayLag(*row) for row in cursor.fetchall()]


_SUBSCRIPTIONS_SQL = """
SELECT p.subscription, sum(greatest(p.end_offset - p.next_offset, 0))::bigint,
       count(*) FILTER (WHERE p.tries > 0 OR p.problem <> ''), min(p.looked_at),
       (SELECT count(*) FROM subscription_quarantine q WHERE q.subscription = p.subscription)
FROM subscription_positions p GROUP BY p.subscription ORDER BY p.subscription
"""


@dataclass(frozen=True, slots=True)
class SubscriptionLag:
    """How far a subscription is behind in messages, as of ``looked_at``, the longest ago of its partitions.

    ``failing`` counts topic partitions in which it cannot go on.
    """

    subscription: str
    waiting: int
    failing: int
    looked_at: datetime
    quarantined: int


def subscription_lag_list() -> list[SubscriptionLag]:
    """Return how far every subscription is behind, and what it could not handle."""
    with connection.cursor() as cursor:
        cursor.execute(_SUBSCRIPTIONS_SQL)
        return [SubscriptionLag(*row) for row in cursor.fetchall()]
