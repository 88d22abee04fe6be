"""Acts on instruments: list, set a price, halt, and the set-based write of last prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Model

from apps.events.before_after import rule_event
from apps.events.facts import EventRow
from apps.events.origins import origin_current
from apps.events.services import event_append
from apps.events.types import EventType
from apps.instruments.bands import BAND_WIDTHS, BAND_WIDTHS_FROM
from apps.instruments.models import BandRule, Instrument, InstrumentPrice, PriceBand, TickSize
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import Conflict, NotFound
from apps.primitives.literals import array_text

DEFAULT_BAND_BPS = 1_000
"""Openbell's own collar of 10 % for a market that has no row yet; operations change the row."""


@dataclass(frozen=True, slots=True)
class LastPrice:
    """What one batch did to a symbol's prices of the day."""

    symbol: str
    trade_date: date
    first: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    volume: int


LAST_PRICES_SQL = """
UPDATE instrument_prices AS p SET
    prev_close = CASE WHEN p.trade_date = v.trade_date THEN p.prev_close ELSE p.last_price END,
    day_open   = CASE WHEN p.trade_date = v.trade_date THEN coalesce(p.day_open, v.first) ELSE v.first END,
    day_high   = CASE WHEN p.trade_date = v.trade_date THEN greatest(p.day_high, v.high) ELSE v.high END,
    day_low    = CASE WHEN p.trade_date = v.trade_date THEN least(p.day_low, v.low) ELSE v.low END,
    day_volume = CASE WHEN p.trade_date = v.trade_date THEN p.day_volume + v.volume ELSE v.volume END,
    last_price = v.last,
    trade_date = v.trade_date,
    updated_at = clock_timestamp()
FROM unnest(%s::text[], %s::date[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::bigint[])
     AS v (symbol, trade_date, first, high, low, last, volume)
WHERE p.symbol = v.symbol AND p.symbol = ANY(%s::text[])
"""


def last_prices_write(cursor: Any, rows: Sequence[LastPrice]) -> None:
    """Write the prices that a booked batch made, in its transaction."""
    if rows:
        columns = zip(
            *((r.symbol, r.trade_date, r.first, r.high, r.low, r.last, r.volume) for r in rows), strict=True
        )
        texts = [array_text(column) for column in columns]
        cursor.execute(LAST_PRICES_SQL, [*texts, texts[0]])


@transaction.atomic
def instrument_add(
    *, symbol: str, name: str, exchange: str, price: Decimal, trade_date: date, simulated: bool = False
) -> Instrument:
    """List a share with a starting price; an instrument that is listed already is returned as it is."""
    instrument, created = Instrument.objects.get_or_create(
        symbol=symbol, defaults={"name": name, "exchange": exchange, "simulated": simulated}
    )
    if created:
        _listed_tell(instrument, price)
        InstrumentPrice.objects.create(
            symbol=symbol, last_price=price, prev_close=price, trade_date=trade_date
        )
    return instrument


def _listed_tell(instrument: Instrument, price: Decimal) -> None:
    origin = origin_current()
    data = {
        "symbol": instrument.symbol,
        "name": instrument.name,
        "exchange": instrument.exchange,
        "price": price,
        "simulated": instrument.simulated,
        "at": iso(utc_now()),
    }
    row = EventRow(EventType.INSTRUMENT_LISTED, origin.actor_id or 0, data, metadata=origin.metadata())
    with connection.cursor() as cursor:
        event_append(cursor, [row])


@transaction.atomic
def market_rules_default(effective_from: date) -> None:
    """Write the first rows of the dated rules: Rule 612 ticks, the default collar, and the bands' widths."""
    found: list[tuple[Model, bool]] = [
        TickSize.objects.get_or_create(
            effective_from=effective_from,
            price_from=Decimal(price_from),
            defaults={"increment": Decimal(increment)},
        )
        for price_from, increment in (("0.0001", "0.0001"), ("1.0000", "0.0100"))
    ]
    found.append(
        PriceBand.objects.get_or_create(
            effective_from=effective_from, symbol="", defaults={"limit_bps": DEFAULT_BAND_BPS}
        )
    )
    found += [
        BandRule.objects.get_or_create(
            effective_from=BAND_WIDTHS_FROM,
            tier=width.tier,
            price_from=width.price_from,
            defaults={
                "limit_bps": width.limit_bps,
                "limit_amount": width.limit_amount,
                "doubled_at_close": width.doubled_at_close,
            },
        )
        for width in BAND_WIDTHS
    ]
    rules = [rule for rule, is_new in found if is_new]
    with connection.cursor() as cursor:
        event_append(
            cursor, [rule_event(rule, origin_current(), "the market's first rules") for rule in rules]
        )


def halt_set(*, symbol: str, halted: bool, reason: str) -> Instrument:
    """Halt or resume a symbol in the caller's transaction; raises ``Conflict`` when it is so already."""
    row = Instrument.objects.select_for_update().filter(symbol=symbol).first()
    if row is None:
        raise NotFound("unknown_symbol", f"There is no instrument {symbol}.")
    if row.halted == halted:
        raise Conflict("halt_unchanged", f"{symbol} is already {'halted' if halted else 'trading'}.")
    row.halted, row.halt_reason = halted, reason if halted else ""
    row.halted_at = utc_now() if halted else None
    row.save(update_fields=["halted", "halt_reason", "halted_at"])
    return row
