"""Reads of market data: candles of every interval, the newest trades, and a line of recent closes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connections

from apps.instruments.calendar import EXCHANGE_ZONE
from apps.marketdata.candles import INTERVALS, Bar, Interval, Tick, interval_get
from apps.primitives.clock import utc_now

__all__ = [
    "INTERVALS",
    "Bar",
    "Tick",
    "bar_latest",
    "bar_list",
    "bar_today",
    "bars_imported",
    "sparkline",
    "tick_list",
]

ALIAS = "marketdata"
BARS_MAX = 10_000
TICKS_MAX = 1_000
SYMBOLS_MAX = 100
SPARKLINE_INTERVAL = "5m"
TICK_WINDOWS = (timedelta(minutes=15), timedelta(days=1), timedelta(days=7), timedelta(days=92))
"""How far back the tape is read before it is read further: few table partitions are opened."""

# The sources are joined at the step, where ticks win over imported history, and only then made longer.
_BARS_SQL = """
WITH made AS (
    SELECT {step} AS time, open, high, low, close, volume FROM {table}
    WHERE symbol = %(symbol)s AND time >= %(low)s AND time < %(high)s
    ORDER BY time DESC LIMIT %(table_rows)s
), history AS (
    SELECT time, open, high, low, close, volume FROM ohlcv
    WHERE symbol = %(symbol)s AND interval = %(imported)s AND time >= %(low)s AND time < %(high)s
    ORDER BY time DESC LIMIT %(imported_rows)s
), imported AS (
    SELECT {step} AS step, {columns} FROM history GROUP BY 1
), steps AS (
    SELECT time, open, high, low, close, volume FROM made
    UNION ALL
    SELECT * FROM imported WHERE step NOT IN (SELECT time FROM made)
)
SELECT {bucket} AS bucket, {columns} FROM steps GROUP BY 1
HAVING {bucket} BETWEEN %(start)s AND %(end)s
ORDER BY 1 DESC LIMIT %(limit)s
"""

_COLUMNS = (
    "(array_agg(open ORDER BY time))[1] AS open, max(high) AS high, min(low) AS low, "
    "(array_agg(close ORDER BY time DESC))[1] AS close, sum(volume)::bigint AS volume"
)

_TICKS_SQL = """
SELECT trade_id, time, symbol, price, quantity, side, exchange FROM market_data_ticks
WHERE symbol = %s AND time >= %s ORDER BY time DESC, trade_id DESC LIMIT %s
"""

_FIRST = datetime(1970, 1, 1, tzinfo=EXCHANGE_ZONE)


@cache
def _bars_sql(interval: Interval) -> str:
    return _BARS_SQL.format(
        step=interval.step, bucket=interval.bucket, table=interval.table, columns=_COLUMNS
    )


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
    # A bucket longer than its step is cut by the bounds, so each source gives one more at either end.
    buckets = limit + 2
    parameters = {
        "symbol": symbol,
        "imported": one.imported,
        "low": start,
        "high": end + one.span,
        "start": start,
        "end": end,
        "table_rows": buckets * one.table_rows,
        "imported_rows": buckets * one.imported_rows,
        "limit": limit,
    }
    return [Bar(*row) for row in reversed(_rows(_bars_sql(one), parameters))]


def _rows(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def bar_today(symbol: str) -> Bar | None:
    """Return the candle of the exchange's present day, None before its first trade."""
    now = utc_now()
    midnight = now.astimezone(EXCHANGE_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    found = bar_list(symbol, "1D", start=midnight, end=now, limit=1)
    return found[0] if found else None


def bar_latest(symbols: Iterable[str]) -> dict[str, Bar]:
    """Return the newest minute candle of each symbol that has one, of at most 100 symbols."""
    newest = {symbol: bar_list(symbol, "1m", limit=1) for symbol in list(symbols)[:SYMBOLS_MAX]}
    return {symbol: bars[0] for symbol, bars in newest.items() if bars}


def sparkline(symbol: str, points: int = 30) -> list[Decimal]:
    """Return the newest five-minute closes, oldest first."""
    return [bar.close for bar in bar_list(symbol, SPARKLINE_INTERVAL, limit=points)]


def tick_list(symbol: str, limit: int = 50) -> list[Tick]:
    """Return the newest trades of a symbol, newest first, from the last 92 days."""
    limit = max(1, min(limit, TICKS_MAX))
    now, found = utc_now(), []
    for window in TICK_WINDOWS:
        found = _rows(_TICKS_SQL, (symbol, now - window, limit))
        if len(found) == limit:
            break
    return [Tick(*row) for row in found]


def bars_imported() -> dict[tuple[str, str], int]:
    """Return how many bars of imported history there are, by symbol and interval."""
    rows = _rows("SELECT symbol, interval, count(*) FROM ohlcv GROUP BY 1, 2", ())
    return {(symbol, interval): count for symbol, interval, count in rows}
