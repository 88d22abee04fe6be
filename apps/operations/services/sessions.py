"""The market's day: orders expire when their time has come, books close and open, positions get a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import connection, transaction

from apps.events.facts import EventRow, Topic
from apps.events.services import event_append
from apps.instruments.calendar import MarketCalendar, Session, session_is_open
from apps.instruments.models import Instrument, InstrumentStatus
from apps.instruments.selectors import market_calendar
from apps.matching.messages import Command
from apps.matching.services import command_append, matching_wake
from apps.operations.models import BookSession
from apps.operations.services.controls import book_command
from apps.operations.services.valuation import positions_value
from apps.orders.selectors import orders_expired
from apps.primitives.clock import iso

EXPIRIES_MAX = 500
"""Orders expired in one transaction."""

ROUNDS_MAX = 200
BOOKS_MAX = 500
"""Books opened or closed in one transaction."""

LOCK_CLASS = 0x0B_E13
LOOK_BACK_DAYS_MAX = 15
"""Days to look back for the last close: far beyond the longest closure."""


@dataclass(slots=True)
class SessionUpkeep:
    """What one round of upkeep queued or stored."""

    expired: int = 0
    opened: int = 0
    closed: int = 0
    valued: int = 0


def session_upkeep(now: datetime) -> SessionUpkeep:
    """Bring the market's day up to ``now``: expiries first, then the books, then end-of-day values.

    Safe to repeat and to run twice at once: each part asks what is still to do under its own lock.
    """
    calendar = market_calendar()
    done = SessionUpkeep(expired=orders_expire(now))
    done.opened, done.closed = books_turn(now, calendar)
    ended = session_ended(calendar, now)
    if ended is not None:
        done.valued = positions_value(ended.trade_date)
    return done


def session_ended(calendar: MarketCalendar, now: datetime) -> Session | None:
    """Return the last session that has closed by ``now``."""
    for days in range(LOOK_BACK_DAYS_MAX):
        session = calendar.session_at(now - timedelta(days=days))
        if session.closes_at <= now:
            return session
    return None


def turn_next(now: datetime, within: timedelta) -> datetime | None:
    """Return the next open or close if it lies within a span, so that upkeep can be there on time."""
    session = market_calendar().session_at(now)
    turn = session.closes_at if session_is_open(session, now) else session.opens_at
    return turn if turn - now <= within else None


def _alone(cursor: Any, part: str) -> bool:
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", (LOCK_CLASS, part))
    return bool(cursor.fetchone()[0])


# -- expiry --------------------------------------------------------------------------------------------------


def orders_expire(now: datetime) -> int:
    """Queue an EXPIRE for every live order whose time has come; the runner decides what becomes of it."""
    expired = 0
    for _ in range(ROUNDS_MAX):
        count = _expiries_queue(now)
        expired += count
        if count < EXPIRIES_MAX:
            break
    return expired


def _expiries_queue(now: datetime) -> int:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        if not _alone(cursor, "expiry"):
            return 0
        due = sorted(orders_expired(now, EXPIRIES_MAX), key=lambda row: row["matching_partition"])
        partitions = _commands_queue(cursor, [(row["matching_partition"], _expire(row, now)) for row in due])
    for matching_partition in partitions:
        matching_wake(matching_partition)
    return len(due)


def _commands_queue(cursor: Any, commands: Sequence[tuple[int, Command]]) -> list[int]:
    """Append commands, which come in order of their matching partition; returns the partitions."""
    partitions = []
    for matching_partition, group in groupby(commands, key=lambda pair: pair[0]):
        command_append(cursor, matching_partition, [command for _, command in group])
        partitions.append(matching_partition)
    return partitions


def _expire(row: dict[str, Any], now: datetime) -> Command:
    return Command(
        command_id=0,
        kind="EXPIRE",
        symbol=row["symbol"],
        instrument_id=row["instrument_id"],
        order_id=0,
        orig_order_id=row["order_id"],
        account_id=row["account_id"],
        user_id=row["user_id"],
        side="",
        order_type="",
        time_in_force="",
        price_units=0,
        quantity=0,
        client_order_id="",
        created_at=now,
    )


# -- open and close ------------------------------------------------------------------------------------------


def books_turn(now: datetime, calendar: MarketCalendar) -> tuple[int, int]:
    """Open or close every book that was not told yet; returns how many of each.

    A closed book is a halted one: limit orders wait in it. A symbol that staff have halted stays halted
    at the open. Where the market never closes, only books that an earlier calendar closed are opened.
    """
    session = calendar.session_at(now)
    is_open = calendar.always_open or session_is_open(session, now)
    turned = 0
    for _ in range(ROUNDS_MAX):
        count = _books_turn_some(now, session, is_open, calendar.always_open)
        turned += count
        if count < BOOKS_MAX:
            break
    return (turned, 0) if is_open else (0, turned)


def _books_turn_some(now: datetime, session: Session, is_open: bool, always_open: bool) -> int:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        if not _alone(cursor, "books"):
            return 0
        due = _books_due(is_open, always_open)
        kind = "RESUME" if is_open else "HALT"
        commands = [
            (row.matching_partition, book_command(kind, row)) for row in due if not (is_open and row.halted)
        ]
        partitions = _commands_queue(cursor, commands)
        BookSession.objects.bulk_create(
            [
                BookSession(symbol=r.symbol, is_open=is_open, trade_date=session.trade_date, changed_at=now)
                for r in due
            ],
            update_conflicts=True,
            unique_fields=["symbol"],
            update_fields=["is_open", "trade_date", "changed_at"],
        )
        if due:
            event_append(cursor, [_turn_event(is_open, session, [row.symbol for row in due], now)])
    for matching_partition in partitions:
        matching_wake(matching_partition)
    return len(due)


def _books_due(is_open: bool, always_open: bool) -> list[Instrument]:
    """Return instruments whose book is not in the wanted phase, locked against a staff halt meanwhile."""
    rows = Instrument.objects.filter(status=InstrumentStatus.ACTIVE).order_by("matching_partition", "symbol")
    told = BookSession.objects.filter(is_open=False if always_open else is_open).values("symbol")
    rows = rows.filter(symbol__in=told) if always_open else rows.exclude(symbol__in=told)
    return list(rows.select_for_update(of=("self",), no_key=True)[:BOOKS_MAX])


def _turn_event(is_open: bool, session: Session, symbols: list[str], now: datetime) -> EventRow:
    return EventRow(
        topic=Topic.AUDIT,
        event_type="MARKET_OPENED" if is_open else "MARKET_CLOSED",
        user_id=0,
        data={
            "trade_date": session.trade_date.isoformat(),
            "reason": "MARKET_OPEN" if is_open else "MARKET_CLOSED",
            "symbols": symbols,
            "at": iso(now),
        },
    )
