"""Candles on plain PostgreSQL: tables that new ticks are merged into, and that are made anew from ticks.

Merging and making anew exclude one another by New York day: whoever merges shares the day's lock, whoever
makes a day's candles anew holds it alone. Both are exact, so all that matters is that neither misses the
other's ticks.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.instruments.calendar import exchange_date
from apps.marketdata.candles import LEVELS, Level

LOCK_CLASS = 0x0B_CA4D
"""First key of the advisory locks on days; the second is the day's number."""

_VALUES = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "trade_count",
    "turnover",
    "opened_at",
    "open_trade_id",
    "closed_at",
    "close_trade_id",
)
_COLUMNS = ", ".join(["symbol", "time", *_VALUES])

# One order for all that is first or last: one sort, and one array each of prices and of ids, serve them all.
_GROUP_TICKS_SQL = """
SELECT symbol, {bucket} AS bucket,
       (array_agg(price ORDER BY time, trade_id))[1], max(price), min(price),
       (array_agg(price ORDER BY time, trade_id))[count(*)],
       sum(quantity), count(*), sum(price * quantity),
       min(time), (array_agg(trade_id ORDER BY time, trade_id))[1],
       max(time), (array_agg(trade_id ORDER BY time, trade_id))[count(*)]
FROM {source} WHERE {where} GROUP BY 1, 2"""

_GROUP_CANDLES_SQL = """
SELECT symbol, {bucket} AS bucket,
       (array_agg(open ORDER BY time))[1], max(high), min(low), (array_agg(close ORDER BY time))[count(*)],
       sum(volume), sum(trade_count), sum(turnover),
       min(opened_at), (array_agg(open_trade_id ORDER BY time))[1],
       max(closed_at), (array_agg(close_trade_id ORDER BY time))[count(*)]
FROM {source} WHERE {where} GROUP BY 1, 2"""

# A candle merges exactly: the keys of its first and last tick say whether a late tick moves open or close.
_MERGE_SQL = """
    INSERT INTO {table} AS c ({columns})
    {group} ORDER BY 1, 2
    ON CONFLICT (symbol, time) DO UPDATE SET
        open = CASE WHEN (excluded.opened_at, excluded.open_trade_id) < (c.opened_at, c.open_trade_id)
                    THEN excluded.open ELSE c.open END,
        close = CASE WHEN (excluded.closed_at, excluded.close_trade_id) > (c.closed_at, c.close_trade_id)
                     THEN excluded.close ELSE c.close END,
        (opened_at, open_trade_id) = (SELECT * FROM (VALUES (c.opened_at, c.open_trade_id),
            (excluded.opened_at, excluded.open_trade_id)) AS k (t, i) ORDER BY t, i LIMIT 1),
        (closed_at, close_trade_id) = (SELECT * FROM (VALUES (c.closed_at, c.close_trade_id),
            (excluded.closed_at, excluded.close_trade_id)) AS k (t, i) ORDER BY t DESC, i DESC LIMIT 1),
        high = greatest(c.high, excluded.high),
        low = least(c.low, excluded.low),
        volume = c.volume + excluded.volume,
        trade_count = c.trade_count + excluded.trade_count,
        turnover = c.turnover + excluded.turnover"""

FRESH_SQL = """
WITH fresh AS (
    INSERT INTO market_data_ticks (time, symbol, price, quantity, side, exchange, trade_id, in_session)
    SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::numeric[], %s::int[], %s::text[], %s::text[],
                         %s::bigint[], %s::boolean[])
    ON CONFLICT (symbol, time, trade_id) DO NOTHING
    RETURNING time, symbol, price, quantity, trade_id, in_session
)"""


def ticks_group_sql(level: Level, source: str, where: str) -> str:
    """Return the SELECT that makes a level's candles of some of a table's ticks in one grouping."""
    return _GROUP_TICKS_SQL.format(bucket=level.bucket, source=source, where=where)


def _merge_sql(level: Level) -> str:
    group = ticks_group_sql(level, "fresh", "in_session")
    return _MERGE_SQL.format(table=level.table, columns=_COLUMNS, group=group)


APPEND_SQL = "".join(
    [
        FRESH_SQL,
        *(f",\n{level.table}_written AS ({_merge_sql(level)}\n)" for level in LEVELS),
        ", changed AS (SELECT DISTINCT symbol, ",
        LEVELS[0].bucket,
        " AS minute FROM fresh WHERE in_session)\n",
        "SELECT (SELECT count(*) FROM fresh), array_agg(symbol ORDER BY symbol, minute), "
        "array_agg(minute ORDER BY symbol, minute) FROM changed",
    ]
)
"""Appends ticks and merges those that were new; gives how many, and the minutes that changed."""


def _level_group_sql(level: Level, where: str) -> str:
    """Return the SELECT that makes a level's candles, of what ``where`` finds, from what it is made from."""
    place = LEVELS.index(level)
    if place == 0:
        return ticks_group_sql(level, "market_data_ticks", f"in_session AND {where}")
    return _GROUP_CANDLES_SQL.format(bucket=level.bucket, source=LEVELS[place - 1].table, where=where)


_FORMER = "c.symbol = ANY(%(former)s) AND c.time >= %(start)s AND c.time < %(end)s"

_ANY_SQL = f"SELECT EXISTS (SELECT FROM {{table}} AS c WHERE {_FORMER})"

_MAKE_SQL = f"INSERT INTO {{table}} ({_COLUMNS}) {{group}}"

# Nobody else writes these candles meanwhile, and most are as they were: those are read, and not written.
_RENEW_SQL = f"""
WITH made ({_COLUMNS}) AS MATERIALIZED ({{group}}),
gone AS (
    DELETE FROM {{table}} AS c
    WHERE {_FORMER} AND NOT EXISTS (SELECT FROM made AS m WHERE (m.symbol, m.time) = (c.symbol, c.time))
),
changed AS (
    UPDATE {{table}} AS c SET ({", ".join(_VALUES)}) = ROW({", ".join(f"m.{name}" for name in _VALUES)})
    FROM made AS m
    WHERE {_FORMER} AND (m.symbol, m.time) = (c.symbol, c.time)
      AND ({", ".join(f"m.{name}" for name in _VALUES)})
          IS DISTINCT FROM ({", ".join(f"c.{name}" for name in _VALUES)})
)
INSERT INTO {{table}} ({_COLUMNS})
SELECT * FROM made AS m
WHERE NOT EXISTS (SELECT FROM {{table}} AS c WHERE {_FORMER} AND (m.symbol, m.time) = (c.symbol, c.time))"""

_SYMBOLS_SQL = """
WITH RECURSIVE known AS (
    (SELECT symbol FROM ohlcv_1d ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT symbol FROM ohlcv_1d WHERE symbol > known.symbol ORDER BY symbol LIMIT 1)
    FROM known WHERE known.symbol IS NOT NULL
) SELECT array_agg(symbol) FROM known WHERE symbol IS NOT NULL
"""


def days_lock(cursor: Any, times: Iterable[datetime], *, alone: bool, whole: bool = False) -> None:
    """Take the locks of these instants' New York days, if ``whole`` of those between, until the commit.

    In the days' order, so that two of us wait and never stand in each other's way.
    """
    lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    days = sorted({day_number(instant) for instant in times})
    if whole:
        days = list(range(days[0], days[-1] + 1))
    cursor.execute(f"SELECT {lock}(%s, day) FROM unnest(%s::int[]) AS day", (LOCK_CLASS, days))


def day_number(instant: datetime) -> int:
    """Return the number of an instant's New York day."""
    return exchange_date(instant).toordinal()


def span_rebuild(cursor: Any, symbols: Sequence[str] | None, start: datetime, end: datetime) -> None:
    """Make the candles of whole minutes from ``start`` up to ``end`` anew from their ticks, and those above.

    All symbols when none are named. Candles whose ticks are gone go as well, those that are right stay.
    """
    days_lock(cursor, [start, end - timedelta(microseconds=1)], alone=True, whole=True)
    named = list(symbols) if symbols is not None else None
    if named is None:
        cursor.execute(_SYMBOLS_SQL)
        former = cursor.fetchone()[0] or []
    else:
        former = named
    inside = "time >= %(start)s AND time < %(end)s"
    where = inside if named is None else f"symbol = ANY(%(named)s) AND {inside}"
    for level in LEVELS:
        values = {
            "start": level.floor(start),
            "end": level.ceil(end),
            "named": named,
            "former": former,
        }
        cursor.execute(_ANY_SQL.format(table=level.table), values)
        sql = _RENEW_SQL if cursor.fetchone()[0] else _MAKE_SQL
        cursor.execute(sql.format(table=level.table, group=_level_group_sql(level, where)), values)
