"""Findings as they are kept: a new pattern opens one and is told as an event, more of the same adds to it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.accounts.models import Account
from apps.events.facts import EventRow, json_text
from apps.events.services import event_append
from apps.events.types import EventType
from apps.primitives.clock import iso
from apps.primitives.ids import Kind as IdKind
from apps.primitives.ids import public_id_text
from apps.surveillance.limits import Values
from apps.surveillance.rules import EVIDENCE_MAX, Pattern

Whom = tuple[str, int, int, str]
"""A finding's kind, its account, the other account or 0, and the symbol."""

_DISMISSED_SQL = """
SELECT kind, account_id, other_account_id, symbol, max(last_seen_at) FROM surveillance_findings
WHERE status = 'DISMISSED' AND (kind, account_id, other_account_id, symbol) IN (
    SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::text[]))
GROUP BY 1, 2, 3, 4
"""

_OPEN_SQL = """
INSERT INTO surveillance_findings (kind, account_id, other_account_id, symbol, status, times, first_seen_at,
    last_seen_at, measured, limits, event_ids, reason)
VALUES (%s, %s, %s, %s, 'OPEN', 1, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb, '')
ON CONFLICT (kind, account_id, other_account_id, symbol) WHERE status = 'OPEN' DO NOTHING
RETURNING finding_id
"""

_ADD_SQL = f"""
UPDATE surveillance_findings f SET times = times + 1, last_seen_at = %(last)s,
    first_seen_at = least(first_seen_at, %(first)s), measured = %(measured)s::jsonb,
    limits = %(limits)s::jsonb,
    event_ids = (SELECT coalesce(jsonb_agg(id ORDER BY id::bigint), '[]') FROM (
        SELECT id FROM (
            SELECT jsonb_array_elements_text(f.event_ids) AS id
            UNION SELECT jsonb_array_elements_text(%(events)s::jsonb)) AS all_of_them
        ORDER BY id::bigint DESC LIMIT {EVIDENCE_MAX}) AS newest)
WHERE kind = %(kind)s AND account_id = %(account_id)s AND other_account_id = %(other)s
  AND symbol = %(symbol)s AND status = 'OPEN' AND last_seen_at < %(last)s
"""


def heard_until(cursor: Any, whom: Iterable[Whom]) -> dict[Whom, datetime]:
    """Return until when what an account did was judged already: the end of its last dismissed finding."""
    columns = [list(column) for column in zip(*whom, strict=True)]
    if not columns:
        return {}
    cursor.execute(_DISMISSED_SQL, columns)
    return {(row[0], row[1], row[2], row[3]): row[4] for row in cursor.fetchall()}


def finding_tell(cursor: Any, pattern: Pattern, limits: Values) -> bool:
    """Open a finding and tell it as an event, or add to the open one; returns whether it is a new one."""
    measured, figures = json_text(_texts(pattern.measured)), json_text(_texts(limits))
    events = json_text([str(event_id) for event_id in pattern.event_ids])
    whom = (pattern.kind.value, pattern.account_id, pattern.other_account_id, pattern.symbol)
    cursor.execute(_OPEN_SQL, (*whom, pattern.first_at, pattern.last_at, measured, figures, events))
    opened = cursor.fetchone()
    if opened is None:
        kind, account_id, other, symbol = whom
        cursor.execute(
            _ADD_SQL,
            {
                "kind": kind, "account_id": account_id, "other": other, "symbol": symbol,
                "first": pattern.first_at, "last": pattern.last_at,
                "measured": measured, "limits": figures, "events": events,
            },
        )  # fmt: skip
        return False
    event_append(cursor, [_found_event(cursor, opened[0], pattern, limits)])
    return True


def _found_event(cursor: Any, finding_id: int, pattern: Pattern, limits: Values) -> EventRow:
    """Return the event of a new finding; in no account's stream: nobody is warned of being watched."""
    user_id = Account.objects.values_list("user_id", flat=True).get(pk=pattern.account_id)
    data = {
        "finding_id": str(finding_id),
        "kind": pattern.kind.value,
        "account_ids": account_ids(pattern.account_id, pattern.other_account_id),
        "symbol": pattern.symbol,
        "first_seen_at": iso(pattern.first_at),
        "last_seen_at": iso(pattern.last_at),
        "measured": dict(pattern.measured),
        "limits": dict(limits),
        "event_ids": [public_id_text(IdKind.EVENT, event_id) for event_id in pattern.event_ids],
    }
    return EventRow(EventType.SURVEILLANCE_FOUND, user_id, data)


def account_ids(account_id: int, other: int) -> list[int]:
    """Return whom a finding is about, as events tell it."""
    return [account_id, other] if other else [account_id]


def _texts(figures: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: format(figure, "f") for name, figure in figures.items()}
