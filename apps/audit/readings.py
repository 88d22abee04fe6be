"""Readings of the past: the events that tell how an account or an order stood at an instant.

Every event tells a whole state, so reading goes back only until everything was told once: to the last event
of each thing, and at the furthest to the last close, whose event is a checkpoint of the whole account.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from apps.audit.archives import Archive, archive_lines
from apps.audit.exports import CLOCK
from apps.audit.folding import STATE_TYPES, AccountFold, Told, order_facts
from apps.audit.locks import READ, archiving_locked
from apps.events.models import EventArchive
from apps.events.types import EventType, Topic
from apps.primitives.clock import utc_now
from apps.primitives.errors import Invalid, NotFound, Unavailable
from apps.primitives.fix import LIVE_STATUSES
from apps.primitives.ids import EPOCH, ID_MAX, id_floor, id_time

WINDOWS = (timedelta(days=1), timedelta(days=7), timedelta(days=31), timedelta(days=92))
"""How far back the state of an account is looked for before it is looked for in all that is left."""

ORDER_LIFE = timedelta(days=97)
"""No order is open for longer: 90 days, and a week in which its end may have had to wait."""

BIRTH = timedelta(minutes=1)
"""An order's first event is written within this time of its id, on either side."""

LONGEST = timedelta(hours=1)
"""No transaction that writes events is open for so long."""

OPEN_WAIT_S = 5.0
_OPEN_POLL_S = 0.02
READ_TIMEOUT_MS = 600_000
ORDERS_MAX = 1_000
"""The most orders that one story tells: a chain of replacements, with the legs of its group."""

_COLUMNS = """
    xact_id::text::bigint, id, event_type, user_id, account_id, "timestamp", data::text
"""
_WITHIN = """
    account_id = %(account)s AND id >= %(low)s AND id < %(high)s AND "timestamp" <= %(at)s
"""
_ORDER_ID = "coalesce(data->'order'->>'order_id', data->>'order_id')"
_GROUP_ID = "coalesce(data->'order'->>'group_id', data->>'group_id')"

STATE_SQL = f"""
SELECT DISTINCT ON (subject) {_COLUMNS} FROM (
    SELECT *, CASE event_type
        WHEN 'POSITION_CHANGED' THEN 'POSITION ' || (data->>'symbol')
        WHEN 'POSITIONS_VALUED' THEN 'VALUED ' || (data->>'part')
        WHEN 'BALANCE_CHANGED' THEN 'BALANCE' WHEN 'CASH_DEPOSITED' THEN 'BALANCE'
        WHEN 'CASH_SETTLED' THEN 'BALANCE' ELSE id::text END AS subject
    FROM events WHERE {_WITHIN} AND event_type = ANY(%(types)s)) AS told
ORDER BY subject, xact_id DESC, id DESC
"""

LIVE_SQL = f"""
WITH told AS MATERIALIZED (
    SELECT xact_id, id, {_ORDER_ID} AS order_id, data->>'replacement_id' AS replacement_id, event_type,
           coalesce(data->'order'->>'status', data->>'status') AS status
    FROM events WHERE {_WITHIN} AND topic = '{Topic.ORDERS}')
SELECT order_id FROM (
    SELECT DISTINCT ON (order_id) order_id, status FROM told WHERE status IS NOT NULL
    ORDER BY order_id, xact_id DESC, id DESC) AS last
WHERE status = ANY(%(live)s)
UNION ALL
SELECT replacement_id FROM told WHERE replacement_id IS NOT NULL
GROUP BY replacement_id HAVING bool_and(event_type = 'ORDER_REPLACE_REQUESTED')
"""

ORDERS_SQL = f"""
SELECT {_COLUMNS} FROM events
WHERE {_WITHIN} AND topic = '{Topic.ORDERS}'
  AND ({_ORDER_ID} = ANY(%(orders)s) OR data->>'replacement_id' = ANY(%(orders)s)
       OR {_GROUP_ID} = ANY(%(groups)s))
ORDER BY xact_id, id
"""

BIRTH_SQL = """
SELECT account_id FROM events
WHERE id >= %(low)s AND id < %(high)s AND event_type = ANY(%(types)s)
  AND (data->>'order_id' = %(order)s AND event_type = 'ORDER_PLACED' OR data->>'replacement_id' = %(order)s)
LIMIT 1
"""

CLIENT_SQL = f"""
SELECT coalesce(data->>'replacement_id', data->>'order_id') FROM events
WHERE {_WITHIN} AND event_type = ANY(%(types)s) AND data->>'client_order_id' = %(client)s
LIMIT 1
"""

WRITERS_SQL = """
SELECT transactionid::text FROM pg_locks
WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
"""

BIRTHS = (EventType.ORDER_PLACED, EventType.ORDER_REPLACE_REQUESTED)


def archives_within(low: int, high: int) -> list[Archive]:
    """Return the archives of which ids lie from ``low`` up to before ``high``, newest first."""
    rows = EventArchive.objects.filter(high__gte=low, low__lt=high).order_by("-low")
    folder = str(settings.AUDIT_ARCHIVE_DIR)
    return [Archive(row.name, folder, row.low, row.high) for row in rows]


@dataclass(slots=True)
class Reading:
    """Reads one account's events up to an instant, inside one snapshot."""

    account_id: int
    instant: datetime
    archived: dict[str, list[Told]] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return id_floor(self.instant + CLOCK)

    def rows(self, sql: str, low: int, high: int, **more: Any) -> list[tuple[Any, ...]]:
        named = {"account": self.account_id, "low": low, "high": high, "at": self.instant, **more}
        with connection.cursor() as cursor:
            cursor.execute(sql, named)
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    def windows(self) -> Iterator[tuple[int, int]]:
        """Yield spans of ids, newest first, wider and wider."""
        high = self.end
        for span in (*WINDOWS, None):
            low = 0 if span is None else max(id_floor(max(self.instant - span, EPOCH)), 0)
            if low < high:
                yield low, high
            high = low

    def state(self) -> list[Told]:
        """Return the events that tell money, status and positions, in commit order."""
        told: list[Told] = []
        for low, high in self.windows():
            types = list(map(str, STATE_TYPES))
            told += _told(self.rows(STATE_SQL, low, high, types=types))
            if _is_complete(told):
                return _in_order(told)
        for archive in archives_within(0, self.end):
            told += [event for event in self._archive(archive) if event.event_type in STATE_TYPES]
            if _is_complete(told):
                break
        return _in_order(told)

    def orders_live(self) -> list[Told]:
        """Return the events of the orders that are open at the instant, in commit order."""
        low = id_floor(max(self.instant - ORDER_LIFE, EPOCH))
        live = [status.value for status in LIVE_STATUSES]
        wanted = {int(row[0]) for row in self.rows(LIVE_SQL, low, self.end, live=live)}
        old = AccountFold(ended_kept=False).apply_all(self._archived_orders(low, self.end))
        wanted |= old.orders.keys() | old.queued.keys()
        return self.orders(wanted, set(), low, self.end) if wanted else []

    def orders(self, order_ids: Iterable[int], group_ids: Iterable[int], low: int, high: int) -> list[Told]:
        """Return all events of these orders and groups with ids in a span, in commit order."""
        orders, groups = {str(number) for number in order_ids}, {str(number) for number in group_ids}
        found = self.rows(ORDERS_SQL, low, high, orders=list(orders), groups=list(groups))
        old = [event for event in self._archived_orders(low, high) if _is_of(event, orders, groups)]
        return _in_order([*old, *_told(found)])

    def story(self, order_id: int) -> AccountFold:
        """Return an order, what it replaced and was replaced by, and its group, as far as they are told."""
        orders, groups, life = {order_id}, set[int](), WINDOWS[0]
        while True:
            low = id_floor(max(id_time(min(orders | groups)) - BIRTH, EPOCH))
            high = min(id_floor(id_time(max(orders)) + life), self.end)
            fold = AccountFold().apply_all(self.orders(orders, groups, low, high))
            more, more_groups = _relatives(fold, orders)
            if not (more <= orders and more_groups <= groups) and len(orders) < ORDERS_MAX:
                orders, groups = orders | more, groups | more_groups
            elif high < self.end and life < ORDER_LIFE and not _is_over(fold):
                life = ORDER_LIFE
            else:
                return fold

    def account_of(self, order_id: int) -> int:
        """Return whose order it is, by its first event, which lies beside its id."""
        born = id_time(order_id)
        low, high = id_floor(max(born - BIRTH, EPOCH)), min(id_floor(born + BIRTH), self.end)
        types = list(map(str, BIRTHS))
        for row in self.rows(BIRTH_SQL, low, high, types=types, order=str(order_id)):
            return int(row[0])
        for archive in archives_within(low, high):
            for event in _archive_told(archive, low, high, b'"%d"' % order_id):
                if event.event_type in BIRTHS and event.account_id is not None:
                    return event.account_id
        raise order_unknown(str(order_id), self.instant)

    def order_of_client(self, client_order_id: str) -> int:
        """Return the order that used a client id."""
        types = list(map(str, BIRTHS))
        for low, high in self.windows():
            for row in self.rows(CLIENT_SQL, low, high, types=types, client=client_order_id):
                return int(row[0])
        for archive in archives_within(0, self.end):
            for event in self._archive(archive):
                if event.event_type in BIRTHS and event.data["client_order_id"] == client_order_id:
                    return int(event.data.get("replacement_id") or event.data["order_id"])
        raise order_unknown(client_order_id, self.instant)

    def _archived_orders(self, low: int, high: int) -> list[Told]:
        events = (e for a in reversed(archives_within(low, high)) for e in self._archive(a))
        return [e for e in events if e.event_type.startswith("ORDER_") and low <= e.place[1] < high]

    def _archive(self, archive: Archive) -> list[Told]:
        """Return the account's events of one archive, in commit order; each is read once."""
        if archive.name not in self.archived:
            mark = b'"account_id":%d,"account_seq"' % self.account_id
            found = _archive_told(archive, 0, ID_MAX, mark)
            self.archived[archive.name] = _in_order(e for e in found if e.timestamp <= self.instant)
        return self.archived[archive.name]


@contextmanager
def reading_open(account_id: int, instant: datetime) -> Iterator[Reading]:
    """Open one snapshot in which everything written by ``instant`` is committed; archives stay as they are.

    Raises ``Invalid`` for an instant to come, ``NotFound`` for one before all events, ``Unavailable`` when
    what was written by then is not all committed yet, and ``Conflict`` while days are being archived.
    """
    if instant > utc_now():
        raise Invalid("in_the_future", "That instant is still to come.", field="instant")
    if instant < EPOCH:
        raise NotFound("no_events", f"There are no events before {EPOCH:%Y-%m-%d}.")
    committed_wait(instant)
    connection.ensure_connection()
    # The archives must not take a day away between the list of them and the reading of the table.
    with archiving_locked(connection.connection, READ), transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(f"SET LOCAL statement_timeout = {READ_TIMEOUT_MS}")
        yield Reading(account_id, instant)


def committed_wait(instant: datetime) -> None:
    """Wait until no transaction is open that may have written an event by ``instant``.

    Raises ``Unavailable`` when one stays open for longer than a few seconds.
    """
    if utc_now() - instant > LONGEST:
        return
    waited_for, deadline = _writers(), time.monotonic() + OPEN_WAIT_S
    while not waited_for.isdisjoint(_writers()):
        if time.monotonic() > deadline:
            message = "A transaction that began before that instant is still open. Try again."
            raise Unavailable("not_final", message)
        time.sleep(_OPEN_POLL_S)


def _writers() -> set[str]:
    """Return the transactions that are open and have written; each holds a lock on its own id."""
    with connection.cursor() as cursor:
        cursor.execute(WRITERS_SQL)
        return {row[0] for row in cursor.fetchall()}


def _told(rows: Iterable[tuple[Any, ...]]) -> list[Told]:
    return [
        Told((xact_id, number), kind, user_id, account_id, at, json.loads(data, parse_float=Decimal))
        for xact_id, number, kind, user_id, account_id, at, data in rows
    ]


def _archive_told(archive: Archive, low: int, high: int, mark: bytes) -> Iterator[Told]:
    """Yield an archive's events with these bytes in them, in the order of ids."""
    for xact_id, number, user_id, value in archive_lines(archive, low, high):
        if mark in value:
            event = json.loads(value, parse_float=Decimal)
            at = datetime.fromisoformat(event["timestamp"])
            place = (xact_id, number)
            yield Told(place, event["event_type"], user_id, event["account_id"], at, event["data"])


def _in_order(events: Iterable[Told]) -> list[Told]:
    return sorted(events, key=lambda told: told.place)


def _is_complete(events: Sequence[Told]) -> bool:
    """Return whether nothing older can tell more: all parts of one close are there, or the beginning is."""
    closes: dict[int, int] = {}
    for told in events:
        if told.event_type == EventType.ACCOUNT_OPENED:
            return True
        if told.event_type == EventType.POSITIONS_VALUED:
            closes[told.place[0]] = closes.get(told.place[0], 0) + 1
            if closes[told.place[0]] == told.data["parts"]:
                return True
    return False


def _is_of(event: Told, orders: set[str], groups: set[str]) -> bool:
    facts = order_facts(event)
    ids = {facts.get("order_id"), event.data.get("replacement_id")}
    return bool(ids & orders) or facts.get("group_id") in groups


def _relatives(fold: AccountFold, orders: set[int]) -> tuple[set[int], set[int]]:
    """Return the orders and groups that belong to these: replaced ones, replacements, legs."""
    found, groups = set[int](), set[int]()
    for order in fold.orders.values():
        if order.order_id in orders or order.group_id is not None:
            found |= {number for number in (order.replaces, order.replaced_by) if number}
            groups |= {order.group_id} if order.group_id else set()
    for queued in fold.queued.values():
        found |= {queued.order_id, queued.replaces}
    return found, groups


def _is_over(fold: AccountFold) -> bool:
    """Return whether nothing more can happen to these orders."""
    return bool(fold.orders) and not fold.queued and not any(o.is_live for o in fold.orders.values())


def order_unknown(reference: str, instant: datetime) -> NotFound:
    """Return the refusal of an order that nothing tells of by then."""
    at = f"{instant:%Y-%m-%d %H:%M:%S}"
    return NotFound("unknown_order", f"No event before {at} is of an order {reference[:128]}.")
