"""The one statement that joins imported history with candles made from ticks, for many symbols at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any, Literal

from django.db import connections

from apps.marketdata.candles import Bar, Interval
from apps.marketdata.written import written_of

ALIAS = "marketdata"
Direction = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked of one symbol: everything from ``start`` to ``end``, both included."""

    symbol: str
    start: datetime
    end: datetime


# The sources are joined at the step, where ticks win over imported history, and only then made longer. The
# bounds are the statement's own: only what the planner knows beforehand keeps whole days closed, and lets it
# see that a symbol has more rows than a page, which are then read in their order and no further.
_SQL = """
SELECT s.symbol, b.*
FROM (SELECT * FROM unnest(%(symbols)s::text[]) WITH ORDINALITY AS u (symbol, n) ORDER BY n) AS s
CROSS JOIN LATERAL (
    WITH made AS (
        SELECT {step} AS time, open, high, low, close, volume, trade_count, turnover
        FROM {made} AS candles
        ORDER BY candles.time {direction} LIMIT %(table_rows)s
    ), history AS (
        SELECT time, open, high, low, close, volume, trade_count,
               CASE volume WHEN 0 THEN 0 ELSE vwap * volume END AS turnover FROM ohlcv
        WHERE symbol = s.symbol AND interval = %(imported)s AND time >= %(start)s AND time < %(high)s
        ORDER BY ohlcv.time {direction} LIMIT %(imported_rows)s
    ), imported AS (
        {imported}
    ), steps AS (
        SELECT * FROM made
        UNION ALL
        SELECT * FROM imported WHERE step NOT IN (SELECT time FROM made)
    ), buckets AS (
        {buckets}
    )
    SELECT bucket, open, high, low, close, volume, trade_count,
           round(turnover / nullif(volume, 0), 6) AS vwap
    FROM buckets WHERE bucket BETWEEN %(start)s AND %(end)s
    ORDER BY bucket {direction} LIMIT %(each)s
) AS b
ORDER BY s.n, b.bucket {direction} LIMIT %(limit)s
"""

_CANDLES_SQL = """
(SELECT time, open, high, low, close, volume, trade_count, turnover FROM {table}
 WHERE symbol = s.symbol AND time >= {low} AND time < {high}
 ORDER BY time {direction} LIMIT %(table_rows)s)
"""

_ALONE = "SELECT {bucket} AS {name}, open, high, low, close, volume, trade_count, turnover FROM {source}"

# A count or a turnover that one part does not know is not known of the whole. One order for what is first and
# what is last: one sort serves both.
_GROUPED = """
SELECT {bucket} AS {name}, (array_agg(open ORDER BY time))[1] AS open, max(high) AS high, min(low) AS low,
       (array_agg(close ORDER BY time))[count(*)] AS close, sum(volume)::bigint AS volume,
       CASE WHEN count(trade_count) = count(*) THEN sum(trade_count)::bigint END AS trade_count,
       CASE WHEN count(turnover) = count(*) THEN sum(turnover) END AS turnover
FROM {source} GROUP BY 1
"""


def _made_sql(table: str, written: str | None, direction: Direction) -> str:
    """Return the candles of a table; what is written down is read there, and only the rest from a view."""
    if written is None:
        return _CANDLES_SQL.format(table=table, low="%(start)s", high="%(high)s", direction=direction)
    before = _CANDLES_SQL.format(table=written, low="%(start)s", high="%(written_high)s", direction=direction)
    since = _CANDLES_SQL.format(table=table, low="%(fresh_start)s", high="%(high)s", direction=direction)
    return f"({before} UNION ALL {since})"


@cache
def _bars_sql(interval: Interval, direction: Direction, written: str | None) -> str:
    step_is_bucket = interval.table_rows == 1
    imported = _ALONE if interval.imported_rows == interval.table_rows else _GROUPED
    buckets = _ALONE if step_is_bucket else _GROUPED
    return _SQL.format(
        step=interval.step,
        made=_made_sql(interval.table, written, direction),
        direction=direction.upper(),
        imported=imported.format(bucket=interval.step, name="step", source="history"),
        buckets=buckets.format(
            bucket="time" if step_is_bucket else interval.bucket, name="bucket", source="steps"
        ),
    )


def bars_read(
    spans: Sequence[Span], interval: Interval, direction: Direction, *, each: int, limit: int
) -> list[tuple[str, Bar]]:
    """Return bars that begin inside the spans: in the spans' order, then by time; at most ``each`` a span.

    Imported history and candles made from ticks are joined; where both know a step, ticks win. Buckets
    without a trade are left out. Spans of the same bounds that follow one another are one statement.
    """
    # A bucket longer than its step is cut by the bounds, so each source gives one more at either end.
    buckets = each + 2
    written = written_of(interval.table)
    sql = _bars_sql(interval, direction, written and written.table)
    found: list[tuple[str, Bar]] = []
    for (start, end), alike in groupby(spans, key=lambda span: (span.start, span.end)):
        parameters = {
            "symbols": [span.symbol for span in alike],
            "start": start,
            "end": end,
            "high": (high := end + interval.span),
            "written_high": written and min(high, written.until),
            "fresh_start": written and max(start, written.until),
            "imported": interval.imported,
            "table_rows": buckets * interval.table_rows,
            "imported_rows": buckets * interval.imported_rows,
            "each": each,
            "limit": limit - len(found),
        }
        found += [(symbol, Bar(*values)) for symbol, *values in rows_read(sql, parameters)]
        if len(found) >= limit:
            break
    return found


def rows_read(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    """Return what one statement finds in the market-data database."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
