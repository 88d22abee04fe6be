"""The upkeep of price bands in a session: bands follow the price, and a limit state that lasts is a pause."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import connection, transaction

from apps.events.facts import EventRow
from apps.events.services import event_append
from apps.events.types import EventType
from apps.instruments.bands import band_times
from apps.instruments.selectors import (
    band_widths_in_force,
    market_calendar,
    market_session,
    ticks_in_force,
)
from apps.marketdata.quotes import books_latest
from apps.matching.codes import Phase
from apps.matching.services import matching_wake
from apps.operations.band_acts import BandAct, BandPlan, BandState, BandStep, band_act
from apps.operations.book_reads import BandBook, band_books, limit_side_of
from apps.operations.locks import act_is_ours
from apps.operations.models import BandsSource, BookSession
from apps.operations.rules import Stage, stage_at
from apps.operations.services.books import Book, book_event, books_locked, books_tell

BOOKS_MAX = 200
"""Books changed in one transaction."""

Seen = tuple[str, datetime | None]


def bands_upkeep(now: datetime) -> int:
    """Do what the bands' rules ask for in every book that trades or pauses; returns how many books changed.

    What is decided on an unlocked reading is decided again under the book's lock. The limit state comes
    from the tape, a hint that may be lost: without Redis the database is asked instead, and it is asked
    before every pause.
    """
    calendar = market_calendar()
    if stage_at(calendar, now) is not Stage.CONTINUOUS:
        return 0
    session = market_session(now)
    plan = BandPlan(
        widths=band_widths_in_force(session.trade_date),
        times=band_times(session.trade_date),
        ticks=ticks_in_force(session.trade_date),
        session=session,
    )
    books = {book.symbol: book for book in band_books(now - plan.times.reference_window, session.trade_date)}
    seen = _limits_seen(list(books.values()))
    due = [
        book
        for book in books.values()
        if band_act(state_of(book.session), seen[book.symbol], book.prices, plan, now)
    ]
    chunks = [due[start : start + BOOKS_MAX] for start in range(0, len(due), BOOKS_MAX)]
    return sum(_books_change(chunk, seen, plan, now) for chunk in chunks)


def state_of(row: BookSession) -> BandState:
    """Return what a book was last told of bands."""
    bands = (row.lower_band, row.upper_band) if row.lower_band and row.upper_band else None
    return BandState(
        phase=row.phase,
        bands=bands,
        reference=row.band_reference,
        banded_at=row.banded_at,
        limit_side=row.limit_side,
        limit_since=row.limit_since,
        paused_until=row.paused_until,
    )


def _limits_seen(books: Sequence[BandBook]) -> dict[str, Seen]:
    banded = [book for book in books if book.session.lower_band is not None]
    seen: dict[str, Seen] = {book.symbol: ("", None) for book in books}
    told = books_latest([book.symbol for book in banded])
    for book in banded:
        if told is None:
            seen[book.symbol] = (limit_side_of(book.session), None)
        elif book.symbol in told and (status := told[book.symbol].status):
            seen[book.symbol] = (status.limit_side, status.limit_since)
    return seen


def _books_change(due: Sequence[BandBook], seen: Mapping[str, Seen], plan: BandPlan, now: datetime) -> int:
    prices = {book.symbol: book.prices for book in due}
    changed: list[Book] = []
    events: list[EventRow] = []
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        if not act_is_ours(cursor, "bands"):
            return 0
        for book in books_locked(prices):
            if not _is_ours(book):
                continue
            act = band_act(state_of(book.session), seen[book.symbol], prices[book.symbol], plan, now)
            if act is not None:
                events += _book_change(book, act, plan, now)
                changed.append(book)
        partitions = books_tell(cursor, changed)
        event_append(cursor, events)
    for matching_partition in partitions:
        matching_wake(matching_partition)
    return len(changed)


def _is_ours(book: Book) -> bool:
    row = book.session
    is_free = row.bands_source != BandsSource.STAFF and not book.instrument.halted
    return is_free and row.stage == Stage.CONTINUOUS


def _book_change(book: Book, act: BandAct, plan: BandPlan, now: datetime) -> list[EventRow]:
    before, row = book.facts(), book.session
    if act.step is BandStep.SET:
        book.bands(act.bands, BandsSource.RULE, act.reference, now)
        return [book_event(EventType.BANDS_CHANGED, book, before, "REFERENCE_PRICE")]
    if act.step is BandStep.RESUME:
        book.phase(Phase.CONTINUOUS)
        return [book_event(EventType.SYMBOL_RESUMED, book, before, "PAUSE_OVER")]
    if act.step is BandStep.PAUSE and limit_side_of(row) == act.side:
        book.phase(Phase.PAUSED)
        row.paused_until = now + plan.times.pause
        return [book_event(EventType.SYMBOL_PAUSED, book, before, f"LIMIT_STATE_{act.side}")]
    is_noted = act.step is BandStep.LIMIT
    book.limit(act.side if is_noted else "", act.since if is_noted else None)
    return []
