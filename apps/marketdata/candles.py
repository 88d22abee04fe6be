"""What a candle is, which intervals there are, and what each is made from."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from apps.instruments.calendar import EXCHANGE_ZONE
from apps.primitives.errors import Invalid

DAY_ZONE = EXCHANGE_ZONE.key
"""Days and weeks are the exchange's: they begin at midnight in New York, weeks on Monday."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle; ``time`` is the start of its bucket (UTC), prices in dollars, volume in shares.

    ``vwap`` is the average price by volume, to six decimals; imported history may know neither it nor the
    count of trades.
    """

    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    trade_count: int | None = None
    vwap: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """One trade on the tape; ``side`` is the aggressor's where it is known.

    A trade outside the exchange's sessions stays on the tape, but no candle is made of it.
    """

    trade_id: int
    time: datetime
    symbol: str
    price: Decimal
    quantity: int
    side: str | None = None
    exchange: str | None = None
    in_session: bool = True


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


@dataclass(frozen=True, slots=True)
class Level:
    """One of the four lengths that candles are kept in; ``step`` is None for New York's day."""

    table: str
    step: timedelta | None
    batch: int
    """How many buckets TimescaleDB writes down in one transaction: work of some seconds at most.

    Hours go one by one: of a change that spans two days and ends with the second's first hour, the extension
    forgets the second day (seen in 2.29).
    """

    @property
    def bucket(self) -> str:
        """SQL of the bucket that ``time`` falls into."""
        return CANDLE_TABLES[self.table]

    def floor(self, instant: datetime) -> datetime:
        """Return the start, in UTC, of the bucket that an instant falls into."""
        if self.step is None:
            midnight = instant.astimezone(EXCHANGE_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
            return midnight.astimezone(UTC)
        return instant.astimezone(UTC) - (instant - _EPOCH) % self.step

    def ceil(self, instant: datetime) -> datetime:
        """Return the first start of a bucket that is not before an instant."""
        start = self.floor(instant)
        if start == instant:
            return start
        # A day has at most 25 hours, and 26 hours after its start it is always the next day.
        return self.floor(start + (self.step or timedelta(hours=26)))


LEVELS = (
    Level("ohlcv_1m", timedelta(minutes=1), batch=7 * 1_440),
    Level("ohlcv_5m", timedelta(minutes=5), batch=60 * 288),
    Level("ohlcv_1h", timedelta(hours=1), batch=1),
    Level("ohlcv_1d", None, batch=3_660),
)
"""From the finest up: each is made from the one before it, the first from ticks."""

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
