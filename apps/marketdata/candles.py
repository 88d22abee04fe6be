"""What a candle is, which intervals there are, and what each is made from."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from apps.primitives.errors import Invalid

DAY_ZONE = "America/New_York"
"""Days and weeks are the exchange's: they begin at midnight in New York, weeks on Monday."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle; ``time`` is the start of its bucket (UTC), prices in dollars, volume in shares."""

    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(frozen=True, slots=True)
class Tick:
    """One trade on the tape; ``side`` is the aggressor's where it is known."""

    trade_id: int
    time: datetime
    symbol: str
    price: Decimal
    quantity: int
    side: str | None = None
    exchange: str | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A candle length: its longest span, its steps, and how many rows of each source fill one bucket."""

    name: str
    span: timedelta
    bucket: str
    """SQL of the bucket that ``time`` falls into."""
    step: str
    """SQL of the bucket of the candles it is made from."""
    table: str
    """The table of candles made from ticks, and how many of its rows fill one bucket."""
    table_rows: int
    imported: str
    """The interval of imported history that it is made from, and how many rows of that fill one bucket."""
    imported_rows: int


def _bin(length: str) -> str:
    return f"date_bin('{length}', time, '2000-01-01 00:00:00+00')"


def _day(unit: str) -> str:
    return f"date_trunc('{unit}', time, '{DAY_ZONE}')"


CANDLE_TABLES = {
    "ohlcv_1m": _bin("1 minute"),
    "ohlcv_5m": _bin("5 minutes"),
    "ohlcv_1h": _bin("1 hour"),
    "ohlcv_1d": _day("day"),
}
"""The tables of candles made from ticks, each with the SQL of its bucket."""

# A day of 25 hours exists once a year; spans are the longest that a bucket can be.
INTERVALS = {
    one.name: one
    for one in (
        Interval("1m", timedelta(minutes=1), _bin("1 minute"), _bin("1 minute"), "ohlcv_1m", 1, "1m", 1),
        Interval("5m", timedelta(minutes=5), _bin("5 minutes"), _bin("5 minutes"), "ohlcv_5m", 1, "1m", 5),
        Interval(
            "15m", timedelta(minutes=15), _bin("15 minutes"), _bin("5 minutes"), "ohlcv_5m", 3, "1m", 15
        ),
        Interval("1h", timedelta(hours=1), _bin("1 hour"), _bin("1 hour"), "ohlcv_1h", 1, "1m", 60),
        Interval("1D", timedelta(hours=25), _day("day"), _day("day"), "ohlcv_1d", 1, "1d", 1),
        Interval("1W", timedelta(days=7, hours=1), _day("week"), _day("day"), "ohlcv_1d", 7, "1d", 7),
    )
}


def interval_get(name: str) -> Interval:
    """Return an interval by name; raises ``Invalid`` listing those there are."""
    if name not in INTERVALS:
        raise Invalid("bad_interval", f"Choose one of {', '.join(INTERVALS)}.", field="interval")
    return INTERVALS[name]
