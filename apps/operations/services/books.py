"""What books are told: each command about a book is queued together with the row that remembers it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from apps.events.facts import SYSTEM, EventRow, Origin
from apps.events.types import EventType
from apps.instruments.models import Instrument
from apps.instruments.selectors import market_session
from apps.matching.codes import Mode, Phase
from apps.matching.messages import Command
from apps.matching.services import command_append
from apps.operations.locks import instruments_locked
from apps.operations.models import BandsSource, BookSession
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import NotFound
from apps.primitives.money import price_to_units

_UPDATED = [f.name for f in BookSession._meta.concrete_fields if not f.primary_key]


@dataclass(slots=True)
class Book:
    """One symbol under its lock: what its book was last told, and the commands it is told now."""

    instrument: Instrument
    session: BookSession
    is_told: bool
    commands: list[Command] = field(default_factory=list)

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def phase(self, phase: Phase) -> None:
        """Send the book to a phase; a pause ends with it, and the rules' bands end with trading.

        Left in force they would cancel what the auction that begins trading again leaves beyond them.
        """
        self.session.phase = phase.name
        self.session.paused_until = None
        self.limit("", None)
        self._command("PHASE", argument=phase)
        if phase is not Phase.CONTINUOUS and self.session.bands_source == BandsSource.RULE:
            self.bands(None)

    def mode(self, mode: Mode) -> None:
        """Say which orders the book accepts."""
        self.session.mode = mode.name
        self._command("MODE", argument=mode)

    def bands(
        self,
        bands: tuple[Decimal, Decimal] | None,
        source: BandsSource = BandsSource.NONE,
        reference: Decimal | None = None,
        at: datetime | None = None,
    ) -> None:
        """Set the book's price bands, or take them away."""
        row = self.session
        row.lower_band, row.upper_band = bands or (None, None)
        row.bands_source, row.band_reference, row.banded_at = source, reference, at
        lower, upper = (price_to_units(price) for price in bands) if bands else (0, 0)
        self._command("BANDS", price_units=lower, stop_price_units=upper)

    def limit(self, side: str, since: datetime | None) -> None:
        """Remember the limit state that was seen; the book is told nothing."""
        self.session.limit_side, self.session.limit_since = side, since

    def facts(self) -> dict[str, Any]:
        """Return what the book was last told, as events tell it."""
        row = self.session
        bands = None if row.lower_band is None else [row.lower_band, row.upper_band]
        return {
            "phase": row.phase,
            "mode": row.mode,
            "halted": self.instrument.halted,
            "bands": bands,
            "bands_source": str(row.bands_source),
            "band_tier": self.instrument.band_tier,
            "paused_until": None if row.paused_until is None else iso(row.paused_until),
        }

    def _command(self, kind: str, **more: Any) -> None:
        one = self.instrument
        self.commands.append(Command(kind=kind, symbol=one.symbol, instrument_id=one.instrument_id, **more))


def books_locked(symbols: Iterable[str]) -> list[Book]:
    """Lock symbols in this transaction and return their books; a book that was told nothing trades."""
    instruments = instruments_locked(symbols)
    told = BookSession.objects.in_bulk([row.symbol for row in instruments])
    trade_date = market_session().trade_date
    return [
        Book(
            row,
            told.get(row.symbol) or BookSession(symbol=row.symbol, trade_date=trade_date),
            row.symbol in told,
        )
        for row in instruments
    ]


def book_locked(symbol: str) -> Book:
    """Lock one symbol in this transaction and return its book; raises ``NotFound``."""
    found = books_locked([symbol])
    if not found:
        raise NotFound("unknown_symbol", f"There is no instrument {symbol}.")
    return found[0]


def books_tell(cursor: Any, books: Sequence[Book]) -> list[int]:
    """Store what books are told and queue their commands; returns the matching partitions to wake.

    Books come in order of their matching partition, as ``books_locked`` returns them.
    """
    now = utc_now()
    for book in books:
        book.session.changed_at = now
    BookSession.objects.bulk_create(
        [book.session for book in books],
        update_conflicts=True,
        unique_fields=["symbol"],
        update_fields=_UPDATED,
    )
    partitions = []
    for partition, group in groupby(books, key=lambda book: book.instrument.matching_partition):
        commands = [command for book in group for command in book.commands]
        if commands:
            command_append(cursor, partition, commands)
            partitions.append(partition)
    return partitions


def book_event(
    event_type: EventType, book: Book, before: dict[str, Any], reason: str, origin: Origin = SYSTEM
) -> EventRow:
    """Return the audit event of a change to a book: who, why, and the book before and after."""
    data = {"symbol": book.symbol, "reason": reason, "before": before, "after": book.facts()}
    return EventRow(
        event_type=event_type,
        user_id=origin.actor_id or 0,
        data={**data, "at": iso(utc_now())},
        metadata=origin.metadata(),
    )
