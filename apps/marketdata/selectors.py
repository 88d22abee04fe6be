"""Reads of market data: candles of every interval, the newest trades, and a line of recent closes."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from apps.instruments.calendar import EXCHANGE_ZONE
from apps.marketdata.candles import INTERVALS, Bar, Tick, interval_get
from apps.marketdata.joining import Span, bars_read, rows_read
from apps.primitives.clock import utc_now
from apps.primitives.errors import Invalid

__all__ = [
    "INTERVALS",
    "Bar",
    "Tick",
    "bar_latest",
    "bar_list",
    "bar_today",
    "bars_at",
    "bars_imported",
    "sparkline",
    "tick_list",
]

BARS_MAX = 10_000
TICKS_MAX = 1_000
SYMBOLS_MAX = 100
SPARKLINE_INTERVAL = "5m"
TICK_WINDOWS = (timedelta(minutes=15), timedelta(days=1), timedelta(days=7), timedelta(days=92))
"""How far back the tape is read before it is read further: few table partitions are opened."""

_TICKS_SQL = """
SELECT trade_id, time, symbol, price, quantity, side, exchange, in_session FROM market_data_ticks
WHERE symbol = %s AND time >= %s ORDER BY time DESC, trade_id DESC LIMIT %s
"""

_AT_SQL = """
SELECT symbol, time, open, high, low, close, volume, trade_count, round(turnover / volume, 6)
FROM {table} WHERE symbol = ANY(%s) AND time = ANY(%s)
"""

_FIRST = datetime(1970, 1, 1, tzinfo=EXCHANGE_ZONE)


def bar_list(
    symbol: str,
    interval: str,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int = 500,
) -> list[Bar]:
    """Return the newest ``limit`` candles that begin from ``start`` to ``end``, both included, oldest first.

    Imported history and candles made from ticks are joined; where both know a bucket, ticks win. Buckets
    without a trade are left out. Raises ``Invalid`` for an unknown interval.
    """
    one, start, end = interval_get(interval), start or _FIRST, end or utc_now()
    limit = max(1, min(limit, BARS_MAX))
    rows = bars_read([Span(symbol, start, end)], one, "desc", each=limit, limit=limit)
    return [bar for _, bar in reversed(rows)]


def bars_at(keys: Sequence[tuple[str, datetime]], interval: str = "1m") -> dict[tuple[str, datetime], Bar]:
    """Return the candles made from ticks that begin exactly there, by symbol and start; those there are.

    Raises ``Invalid`` for an interval that is not kept: 15m and 1W are made on reading only.
    """
    one = interval_get(interval)
    if one.table_rows != 1:
        raise Invalid("bad_interval", f"Candles of {interval} are not kept.", field="interval")
    wanted = set(keys)
    if not wanted:
        return {}
    values = [sorted({symbol for symbol, _ in wanted}), sorted({start for _, start in wanted})]
    found = {(row[0], row[1]): Bar(*row[1:]) for row in rows_read(_AT_SQL.format(table=one.table), values)}
    return {key: bar for key, bar in found.items() if key in wanted}


def bar_today(symbol: str) -> Bar | None:
    """Return the candle of the exchange's present day, None before its first trade."""
    now = utc_now()
    midnight = now.astimezone(EXCHANGE_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    found = bar_list(symbol, "1D", start=midnight, end=now, limit=1)
    return found[0] if found else None


def bar_latest(symbols: Iterable[str]) -> dict[str, Bar]:
    """Return the newest minute candle of each symbol that has one, of at most 100 symbols."""
    now = utc_now()
    spans = [Span(symbol, _FIRST, now) for symbol in list(symbols)[:SYMBOLS_MAX]]
    return dict(bars_read(spans, interval_get("1m"), "desc", each=1, limit=SYMBOLS_MAX))


def sparkline(symbol: str, points: int = 30) -> list[Decimal]:
    """Return the newest five-minute closes, oldest first."""
    return [bar.close for bar in bar_list(symbol, SPARKLINE_INTERVAL, limit=points)]


def tick_list(symbol: str, limit: int = 50) -> list[Tick]:
    """Return the newest trades of a symbol, newest first, from the last 92 days."""
    limit = max(1, min(limit, TICKS_MAX))
    now, found = utc_now(), []
    for window in TICK_WINDOWS:
        found = rows_read(_TICKS_SQL, (symbol, now - window, limit))
        if len(found) == limit:
            break
    return [Tick(*row) for row in found]


def bars_imported() -> dict[tuple[str, str], int]:
    """Return how many bars of imported history there are, by symbol and interval."""
    rows = rows_read("SELECT symbol, interval, count(*) FROM ohlcv GROUP BY 1, 2", ())
    return {(symbol, interval): count for symbol, interval, count in rows}
