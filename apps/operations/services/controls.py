"""The market's controls: what staff do to a symbol's book or an account, each with a reason and on record."""

from collections.abc import Callable
from decimal import Decimal

from django.db import connection, transaction

from apps.accounts.models import AccountStatus
from apps.accounts.services import account_status_change, reason_check
from apps.events.facts import Origin
from apps.events.services import event_append
from apps.events.types import EventType
from apps.instruments.models import InstrumentPrice
from apps.instruments.selectors import market_calendar
from apps.instruments.services import halt_set
from apps.matching.codes import Mode, Phase
from apps.matching.services import matching_wake
from apps.operations.models import BandsSource
from apps.operations.rules import Stage, opening_is_delayed
from apps.operations.services.books import Book, book_event, book_locked, books_tell
from apps.primitives.clock import utc_now
from apps.primitives.errors import Conflict, Invalid
from apps.primitives.money import price_parse

REASON_LENGTH_MAX = 200
"""What the instrument's row can hold."""

PHASES_OUTSIDE_SESSION = (Phase.CLOSED, Phase.PRE_OPEN, Phase.OPENING_AUCTION)
"""Nothing trades in these, nor on the way into them."""


def symbol_halt(*, symbol: str, reason: str, origin: Origin) -> None:
    """Halt a symbol: resting orders stay, limit orders wait, the rest is refused, cancels work.

    A closed book stays closed and is halted when the market opens. Raises ``NotFound``, ``Invalid`` for a
    reason that says nothing, ``Conflict`` when it is halted already.
    """

    def halt(book: Book, why: str) -> None:
        book.instrument = halt_set(symbol=symbol, halted=True, reason=why)
        if book.session.stage != Stage.CLOSED:
            book.phase(Phase.HALTED)

    _book_change(symbol, reason, origin, EventType.SYMBOL_HALTED, halt)


def symbol_resume(*, symbol: str, reason: str, origin: Origin) -> None:
    """Resume a halted symbol by an auction; while the market is closed its book stays closed until the open.

    A symbol that was halted when the market opened has its opening auction now.
    """

    def resume(book: Book, why: str) -> None:
        halted_at = book.instrument.halted_at
        book.instrument = halt_set(symbol=symbol, halted=False, reason=why)
        if book.session.stage == Stage.CLOSED:
            return
        if book.session.stage == Stage.OPENING_AUCTION or opening_is_delayed(
            market_calendar(), halted_at, utc_now()
        ):
            book.phase(Phase.OPENING_AUCTION)
        if book.session.stage == Stage.CONTINUOUS:
            book.phase(Phase.CONTINUOUS)

    _book_change(symbol, reason, origin, EventType.SYMBOL_RESUMED, resume)


def symbol_phase(*, symbol: str, phase: Phase, reason: str, origin: Origin) -> None:
    """Send a symbol's book to a phase; the calendar takes it on from there at its next turn.

    Raises ``Conflict`` for a halted symbol, for the phase it is in, and while the market is closed for
    phases in which something might trade; ``Invalid`` for HALTED, which is an act of its own.
    """

    def change(book: Book, why: str) -> None:
        if phase is Phase.HALTED:
            raise Invalid("halt_is_an_act", "Halt the symbol instead: then it is also marked as halted.")
        if book.instrument.halted:
            raise Conflict("symbol_halted", f"{symbol} is halted: resume it first.")
        if book.session.phase == phase.name:
            raise Conflict("phase_unchanged", f"{symbol} is already in {phase.name}.")
        if book.session.stage == Stage.CLOSED and phase not in PHASES_OUTSIDE_SESSION:
            words = ", ".join(one.name for one in PHASES_OUTSIDE_SESSION)
            raise Conflict(
                "market_closed", f"The market is closed: until it opens, {symbol} may be in {words} only."
            )
        book.phase(phase)

    _book_change(symbol, reason, origin, EventType.PHASE_CHANGED, change)


def symbol_mode(*, symbol: str, mode: Mode, reason: str, origin: Origin) -> None:
    """Say which orders a symbol's book accepts; raises ``Conflict`` when it does so already."""

    def change(book: Book, why: str) -> None:
        if book.session.mode == mode.name:
            raise Conflict("mode_unchanged", f"{symbol} is already in mode {mode.name}.")
        book.mode(mode)

    _book_change(symbol, reason, origin, EventType.MODE_CHANGED, change)


def symbol_bands(
    *, symbol: str, lower: Decimal | None, upper: Decimal | None, reason: str, origin: Origin
) -> None:
    """Set a symbol's price bands, which the rules then leave alone; without prices, let the rules set them.

    Orders that rest beyond the new bands are cancelled. Raises ``Invalid`` for bands that are no prices, that
    are the wrong way round or that leave out the last price.
    """
    bands = _bands_check(symbol, lower, upper)

    def change(book: Book, why: str) -> None:
        row = book.session
        if bands is None and row.lower_band is None:
            raise Conflict("no_bands", f"{symbol} has no price bands.")
        if bands == (row.lower_band, row.upper_band) and row.bands_source == BandsSource.STAFF:
            raise Conflict("bands_unchanged", f"{symbol} has these price bands already.")
        book.bands(bands, BandsSource.STAFF if bands else BandsSource.NONE, at=utc_now())

    _book_change(symbol, reason, origin, EventType.BANDS_CHANGED, change)


def symbol_tier(*, symbol: str, tier: int | None, reason: str, origin: Origin) -> None:
    """Put a symbol into a tier of the bands' rules, or into none; raises ``Conflict`` when it is there."""
    if tier not in (1, 2, None):
        raise Invalid("bad_tier", "The tier is 1 or 2, or none.", field="tier")

    def change(book: Book, why: str) -> None:
        if book.instrument.band_tier == tier:
            raise Conflict("tier_unchanged", f"{symbol} is in this tier already.")
        book.instrument.band_tier = tier
        book.instrument.save(update_fields=["band_tier"])
        if tier is None and book.session.bands_source == BandsSource.RULE:
            book.bands(None)

    _book_change(symbol, reason, origin, EventType.TIER_CHANGED, change)


def _bands_check(symbol: str, lower: Decimal | None, upper: Decimal | None) -> tuple[Decimal, Decimal] | None:
    if lower is None and upper is None:
        return None
    if lower is None or upper is None:
        raise Invalid("bands_incomplete", "Give both bands, or neither to take them away.")
    lower, upper = price_parse(lower, "lower"), price_parse(upper, "upper")
    if lower > upper:
        raise Invalid("bands_reversed", "The lower band must not be above the upper one.")
    last = InstrumentPrice.objects.filter(symbol=symbol).values_list("last_price", flat=True).first()
    if last is not None and not lower <= last <= upper:
        raise Invalid(
            "bands_off_market",
            f"{symbol} traded at {last.normalize():f} last, which these bands leave out.",
        )
    return lower, upper


def _book_change(
    symbol: str, reason: str, origin: Origin, event_type: EventType, change: Callable[[Book, str], None]
) -> None:
    why = reason_check(reason)
    if len(why) > REASON_LENGTH_MAX:
        raise Invalid("reason_too_long", f"Give a reason of at most {REASON_LENGTH_MAX} characters.")
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # The instrument's row lock comes first: opening and closing of the market take it as well.
        book = book_locked(symbol)
        before = book.facts()
        change(book, why)
        partitions = books_tell(cursor, [book])
        event_append(cursor, [book_event(event_type, book, before, why, origin)])
    for matching_partition in partitions:
        matching_wake(matching_partition)


def account_suspend(*, account_id: int, reason: str, origin: Origin) -> None:
    """Stop an account from entering orders; what it has working stays and may be cancelled."""
    account_status_change(account_id=account_id, status=AccountStatus.SUSPENDED, reason=reason, origin=origin)


def account_restore(*, account_id: int, reason: str, origin: Origin) -> None:
    """Let a suspended account trade again; raises ``Conflict`` for one that is closed for good."""
    account_status_change(account_id=account_id, status=AccountStatus.ACTIVE, reason=reason, origin=origin)
