"""Bars, trades and quotes as published: short keys, and numbers for figures."""

from decimal import Decimal
from typing import Any

from apps.marketdata.candles import Bar, Tick
from apps.marketdata.keyed import Quote
from apps.marketdata.venue import QUOTE_CONDITIONS, TRADE_CONDITIONS, VENUE, trade_number
from apps.primitives.clock import iso

_ZERO = Decimal(0)


def bar_render(bar: Bar) -> dict[str, Any]:
    """Return a bar as published; trades and weighted price are null where history does not know them."""
    return {
        "t": iso(bar.time),
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume,
        "n": bar.trade_count,
        "vw": bar.vwap,
    }


def trade_render(tick: Tick, tape: str) -> dict[str, Any]:
    """Return a trade as published."""
    return {
        "t": iso(tick.time),
        "x": VENUE,
        "p": tick.price,
        "s": tick.quantity,
        "i": trade_number(tick.trade_id),
        "c": list(TRADE_CONDITIONS),
        "z": tape,
    }


def quote_render(quote: Quote, tape: str) -> dict[str, Any]:
    """Return a quote as published; a side without orders is zero."""
    return {
        "t": iso(quote.time),
        "ax": VENUE,
        "ap": quote.ask_price or _ZERO,
        "as": quote.ask_size,
        "bx": VENUE,
        "bp": quote.bid_price or _ZERO,
        "bs": quote.bid_size,
        "c": list(QUOTE_CONDITIONS),
        "z": tape,
    }
