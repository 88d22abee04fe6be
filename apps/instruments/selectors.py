"""Reads of instruments, their prices of the day, the rules in force, and the market's clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

from django.conf import settings

from apps.instruments.bands import BandWidth
from apps.instruments.calendar import (
    MarketCalendar,
    Session,
    calendar_named,
    session_is_open,
    settl_date,
)
from apps.instruments.models import BandRule, Instrument, InstrumentPrice, InstrumentStatus, TickSize
from apps.instruments.rules import auction_rule, tick_at
from apps.primitives.clock import utc_now
from apps.primitives.errors import NotFound
from apps.primitives.ids import Kind, public_id, public_id_decode


@dataclass(frozen=True, slots=True)
class InstrumentView:
    """A listed share with its prices of the day; a price is None until there is one."""

    instrument_id: int
    symbol: str
    name: str
    exchange: str
    status: str
    tradable: bool
    halted: bool
    halt_reason: str
    halted_at: datetime | None
    matching_partition: int
    simulated: bool
    last_price: Decimal | None
    prev_close: Decimal | None
    day_open: Decimal | None
    day_high: Decimal | None
    day_low: Decimal | None
    day_volume: int
    tick: Decimal

    @property
    def public_id(self) -> UUID:
        return public_id(Kind.INSTRUMENT, self.instrument_id)

    @property
    def change(self) -> Decimal | None:
        if self.last_price is None or self.prev_close is None:
            return None
        return self.last_price - self.prev_close


@dataclass(frozen=True, slots=True)
class MarketClock:
    """Whether the market is open now, and when that changes."""

    timestamp: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime
    trade_date: date
    always_open: bool


def market_calendar() -> MarketCalendar:
    """Return the calendar that this deployment trades by."""
    return calendar_named(settings.MARKET_CALENDAR)


def market_session(instant: datetime | None = None) -> Session:
    """Return the session of an instant (now by default), or the next one."""
    return market_calendar().session_at(instant or utc_now())


def closing_is_near(session: Session, now: datetime) -> bool:
    """Return whether a closing auction is so near that it takes no more orders for itself."""
    lead = auction_rule(session.trade_date).closing_lead
    return market_calendar().has_auctions and session.closes_at - lead <= now < session.closes_at


@lru_cache(maxsize=64)
def settlement_date(trade_date: date) -> date:
    """Return T+1 of a trade date by the exchange calendar."""
    return settl_date(trade_date)


def market_clock() -> MarketClock:
    """Return the market's state now; while open, ``next_open`` is the following session's."""
    now, calendar = utc_now(), market_calendar()
    session = calendar.session_at(now)
    is_open = session_is_open(session, now)
    opening = calendar.session_after(session.trade_date) if is_open else session
    return MarketClock(
        timestamp=now,
        is_open=is_open,
        next_open=opening.opens_at,
        next_close=session.closes_at,
        trade_date=session.trade_date,
        always_open=calendar.always_open,
    )


def ticks_in_force(on: date) -> tuple[tuple[Decimal, Decimal], ...]:
    """Return (price from, increment) of the rules in force on a date; the newest row of each price counts."""
    rows = TickSize.objects.filter(effective_from__lte=on).order_by("price_from", "-effective_from")
    return tuple(rows.distinct("price_from").values_list("price_from", "increment"))


def band_widths_in_force(on: date) -> list[BandWidth]:
    """Return the bands' widths in force on a date; of each tier and price the newest row counts."""
    rows = BandRule.objects.filter(effective_from__lte=on).order_by("tier", "price_from", "-effective_from")
    columns = ("tier", "price_from", "limit_bps", "limit_amount", "doubled_at_close")
    return [BandWidth(*row) for row in rows.distinct("tier", "price_from").values_list(*columns)]


def _view(
    row: Instrument, price: InstrumentPrice | None, ticks: tuple[tuple[Decimal, Decimal], ...]
) -> InstrumentView:
    today = price if price and price.trade_date == market_session().trade_date else None
    return InstrumentView(
        instrument_id=row.instrument_id,
        symbol=row.symbol,
        name=row.name,
        exchange=row.exchange,
        status=row.status,
        tradable=row.tradable,
        halted=row.halted,
        halt_reason=row.halt_reason,
        halted_at=row.halted_at,
        matching_partition=row.matching_partition,
        simulated=row.simulated,
        last_price=price.last_price if price else None,
        prev_close=None if price is None else price.prev_close if today else price.last_price,
        day_open=today.day_open if today else None,
        day_high=today.day_high if today else None,
        day_low=today.day_low if today else None,
        day_volume=today.day_volume if today else 0,
        tick=tick_at(price.last_price if price else Decimal(1), ticks).normalize(),
    )


def instrument_list(symbols: Iterable[str] | None = None) -> list[InstrumentView]:
    """Return instruments in symbol order: all of them, or those named."""
    rows = Instrument.objects.order_by("symbol")
    if symbols is not None:
        rows = rows.filter(symbol__in=list(symbols))
    found = list(rows)
    if not found:
        return []
    prices = InstrumentPrice.objects.in_bulk([row.symbol for row in found])
    ticks = ticks_in_force(market_session().trade_date)
    return [_view(row, prices.get(row.symbol), ticks) for row in found]


def instrument_get(symbol: str) -> InstrumentView:
    """Return one instrument; raises ``NotFound``."""
    found = instrument_list([symbol.upper()]) if len(symbol) <= 10 else []
    if not found:
        raise NotFound("unknown_symbol", f"There is no instrument {symbol[:20]!r}.", symbol=symbol[:20])
    return found[0]


def instrument_get_by_public_id(public: UUID) -> InstrumentView:
    """Return the instrument behind a public asset id; raises ``NotFound``."""
    number = public_id_decode(Kind.INSTRUMENT, public)
    row = Instrument.objects.filter(pk=number).first()
    if row is None:
        raise NotFound("unknown_symbol", f"There is no instrument {public}.")
    return instrument_get(row.symbol)


@lru_cache(maxsize=16_384)
def instrument_id_of(symbol: str) -> int:
    """Return the number of a listed symbol, which never changes; raises ``NotFound``."""
    number = Instrument.objects.filter(symbol=symbol).values_list("instrument_id", flat=True).first()
    if number is None:
        raise NotFound("unknown_symbol", f"There is no instrument {symbol[:20]!r}.", symbol=symbol[:20])
    return number


def asset_id_of(symbol: str) -> UUID:
    """Return the public id of a listed symbol; raises ``NotFound``."""
    return public_id(Kind.INSTRUMENT, instrument_id_of(symbol))


def instruments_active() -> list[InstrumentView]:
    """Return the instruments that are listed now."""
    return [view for view in instrument_list() if view.status == InstrumentStatus.ACTIVE]
