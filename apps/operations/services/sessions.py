"""The market's day: orders expire when their time has come, books close and open, positions get a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import connection, transaction

from apps.events.facts import EventRow
from apps.events.services import event_append
from apps.events.types import EventType
from apps.instruments.calendar import MarketCalendar, Session
from apps.instruments.models import Instrument, InstrumentStatus
from apps.instruments.selectors import market_calendar
from apps.matching.messages import Command
from apps.matching.services import command_append, matching_wake
from apps.operations.locks import act_is_ours
from apps.operations.models import BookSession
from apps.operations.rules import Stage, stage_at, turn_phases, turns_of
from apps.operations.services.books import Book, books_locked, books_tell
from apps.operations.services.valuation import positions_value
from apps.orders.selectors import orders_expired
from apps.primitives.clock import iso

EXPIRIES_MAX = 500
"""Orders expired in one transaction."""

ROUNDS_MAX = 200
BOOKS_MAX = 500
"""Books opened or closed in one transaction."""

LOOK_BACK_DAYS_MAX = 15
"""Days to look back for the last close: far beyond the longest closure."""


@dataclass(slots=True)
class SessionUpkeep:
    """What one round of upkeep queued or stored."""

    expired: int = 0
    turned: int = 0
    stage: Stage = Stage.CONTINUOUS
    valued: int = 0


def session_upkeep(now: datetime) -> SessionUpkeep:
    """Bring the market's day up to ``now``: the books, expiries, then end-of-day values.

    What ends with the session still takes part in its closing auction, so at the close the books come first;
    before an auction it is the other way round, so that nothing takes part whose time is over. Safe to
    repeat and to run twice at once: each part asks what is still to do under its own lock, and no order
    expires at the close while another process is about to turn the books.
    """
    calendar = market_calendar()
    done = SessionUpkeep(stage=stage_at(calendar, now))
    if done.stage is not Stage.CLOSED:
        done.expired = orders_expire(now)
    turned = books_turn(now, calendar)
    done.turned = turned or 0
    if done.stage is Stage.CLOSED and turned is not None:
        done.expired = orders_expire(now)
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
    """Return the next auction, open or close if it lies within a span, so that upkeep is there on time."""
    turns = turns_of(market_calendar(), now)
    return turns[0] if turns and turns[0] - now <= within else None


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
        if not act_is_ours(cursor, "expiry"):
            return 0
        due = sorted(orders_expired(now, EXPIRIES_MAX), key=lambda row: row["matching_partition"])
        partitions = _commands_queue(cursor, [(row["matching_partition"], _expire(row)) for row in due])
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


def _expire(row: dict[str, Any]) -> Command:
    return Command(
        kind="EXPIRE",
        symbol=row["symbol"],
        instrument_id=row["instrument_id"],
        orig_order_id=row["order_id"],
        account_id=row["account_id"],
        user_id=row["user_id"],
    )


# -- open and close ------------------------------------------------------------------------------------------


def books_turn(now: datetime, calendar: MarketCalendar) -> int | None:
    """Tell every book the stage of the day that it was not told yet; returns how many, or None.

    None says that another process is doing it. Before the open books collect for the opening auction; at the
    open they trade, what crosses at one price first; at the close they have the closing auction and rest. A
    symbol that staff have halted stays halted at the open. Where the market never closes, only books that
    an earlier calendar closed are opened.
    """
    turn = _turn_of(now, calendar)
    turned = 0
    for _ in range(ROUNDS_MAX):
        count = _books_turn_some(turn)
        if count is None:
            return None
        turned += count
        if count < BOOKS_MAX:
            break
    return turned


@dataclass(frozen=True, slots=True)
class Turn:
    """A stage to tell the books: of which session, and of which day the books may have been open till now."""

    stage: Stage
    at: datetime
    trade_date: date
    open_date: date
    always_open: bool


def _turn_of(now: datetime, calendar: MarketCalendar) -> Turn:
    stage, session = stage_at(calendar, now), calendar.session_at(now)
    ended = session_ended(calendar, now) if stage is Stage.CLOSED else None
    open_date = ended.trade_date if ended else session.trade_date
    return Turn(stage, now, session.trade_date, open_date, calendar.always_open)


def _books_turn_some(turn: Turn) -> int | None:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        if not act_is_ours(cursor, "books"):
            return None
        books = books_locked(_books_due(turn))
        for book in books:
            _book_turn(book, turn)
        partitions = books_tell(cursor, books)
        if books:
            event_append(cursor, [_turn_event(turn, [book.symbol for book in books])])
    for matching_partition in partitions:
        matching_wake(matching_partition)
    return len(books)


def _books_due(turn: Turn) -> list[str]:
    """Return symbols whose book was not told this stage of this session; staff cannot change what it says."""
    told = BookSession.objects.filter(stage=turn.stage, trade_date=turn.trade_date).values("symbol")
    rows = Instrument.objects.filter(status=InstrumentStatus.ACTIVE).exclude(symbol__in=told)
    if turn.always_open:
        others = BookSession.objects.exclude(stage=turn.stage).values("symbol")
        rows = Instrument.objects.filter(status=InstrumentStatus.ACTIVE, symbol__in=others)
    ordered = rows.order_by("matching_partition", "symbol")
    return list(ordered.values_list("symbol", flat=True)[:BOOKS_MAX])


def _book_turn(book: Book, turn: Turn) -> None:
    row = book.session
    was_open = book.is_told and row.stage == Stage.CONTINUOUS
    for phase in turn_phases(
        turn.stage,
        row.phase,
        halted=book.instrument.halted,
        is_told=book.is_told,
        is_overdue=was_open and row.trade_date != turn.open_date,
    ):
        book.phase(phase)
    row.stage, row.trade_date = turn.stage.value, turn.trade_date


_TURN_EVENTS = {
    Stage.CLOSED: (EventType.MARKET_CLOSED, "MARKET_CLOSE"),
    Stage.OPENING_AUCTION: (EventType.MARKET_OPENING, "OPENING_AUCTION"),
    Stage.CONTINUOUS: (EventType.MARKET_OPENED, "MARKET_OPEN"),
}


def _turn_event(turn: Turn, symbols: list[str]) -> EventRow:
    event_type, reason = _TURN_EVENTS[turn.stage]
    return EventRow(
        event_type=event_type,
        user_id=0,
        data={
            "trade_date": turn.trade_date.isoformat(),
            "reason": reason,
            "symbols": symbols,
            "at": iso(turn.at),
        },
    )
