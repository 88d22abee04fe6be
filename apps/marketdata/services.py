"""Acts on market data: append ticks with the candles they change, load many at once, and import history."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import connections, transaction
from psycopg.errors import UniqueViolation

from apps.marketdata import aggregates, rollup
from apps.marketdata.backends import ALIAS, Backend, backend_current
from apps.marketdata.candles import LEVELS, Bar, Tick
from apps.marketdata.models import TICKS_KEPT_DAYS
from apps.marketdata.sessions import tick_in_session
from apps.primitives.clock import utc_now
from apps.primitives.errors import Invalid
from apps.primitives.money import decimal_parse

_Row = TypeVar("_Row")

ROWS_MAX = 5_000
"""How many rows one statement takes; longer input goes in several, in one transaction."""

IMPORTED_INTERVALS = ("1m", "1d")

TICK_COLUMNS = "time, symbol, price, quantity, side, exchange, trade_id, in_session"
"""The order of a tick's columns in a COPY stream."""

_ON_TIMESCALE_SQL = f"""{rollup.FRESH_SQL}, changed AS (
    SELECT DISTINCT symbol, {LEVELS[0].bucket} AS minute FROM fresh WHERE in_session)
SELECT (SELECT count(*) FROM fresh), array_agg(symbol ORDER BY symbol, minute),
       array_agg(minute ORDER BY symbol, minute) FROM changed
"""

_IMPORT_SQL = """
INSERT INTO ohlcv AS o (symbol, interval, time, open, high, low, close, volume, trade_count, vwap)
SELECT %s, %s, v.*
FROM unnest(%s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::bigint[],
            %s::bigint[], %s::numeric[]) AS v
ON CONFLICT (time, symbol, interval) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume, trade_count = excluded.trade_count, vwap = excluded.vwap
"""

_STAGING_SQL = "CREATE TEMPORARY TABLE ticks_staged (LIKE market_data_ticks) ON COMMIT DROP"
_UNSTAGE_SQL = """
INSERT INTO market_data_ticks (time, symbol, price, quantity, side, exchange, trade_id, in_session)
SELECT time, symbol, price, quantity, side, exchange, trade_id, in_session FROM ticks_staged
ORDER BY symbol, time, trade_id ON CONFLICT (symbol, time, trade_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Appended:
    """What appending did: how many ticks were new; symbol and start of each minute that changed, sorted."""

    added: int
    minutes: tuple[tuple[str, datetime], ...]


def ticks_kept_since() -> datetime:
    """Return the instant from which on ticks are kept: nothing is stored or made of older ones."""
    return LEVELS[-1].ceil(utc_now() - timedelta(days=TICKS_KEPT_DAYS))


def ticks_append(rows: Iterable[Tick]) -> Appended:
    """Append trades to the tape and bring their candles up to date.

    Appending a tick again changes nothing, and a late tick corrects the candles it belongs to. Ticks older
    than what is kept are left out. Rows are written in key order, so two appenders cannot deadlock.
    """
    since = ticks_kept_since()
    fresh = {(tick.symbol, tick.time, tick.trade_id): tick for tick in rows if tick.time >= since}
    ticks = [fresh[key] for key in sorted(fresh)]
    if not ticks:
        return Appended(0, ())
    if backend_current() is Backend.PLAIN:
        return _group_append(ticks, rollup.APPEND_SQL, days_are_locked=True)
    done = [_group_append(group, _ON_TIMESCALE_SQL) for group in aggregates.ticks_grouped(ticks)]
    minutes = {minute for one in done for minute in one.minutes}
    aggregates.minutes_refresh(minute for _, minute in minutes)
    return Appended(sum(one.added for one in done), tuple(sorted(minutes)))


def _group_append(ticks: Sequence[Tick], sql: str, *, days_are_locked: bool = False) -> Appended:
    """Append ticks, which come in key order, in one transaction."""
    added, minutes = 0, set[tuple[str, datetime]]()
    times = [tick.time for tick in ticks]
    with transaction.atomic(using=ALIAS), connections[ALIAS].cursor() as cursor:
        if days_are_locked:
            # A second chunk would take its minutes while the first one's days are held.
            rollup.days_lock(cursor, times, alone=len(ticks) > ROWS_MAX)
        for chunk in _chunks(ticks):
            cursor.execute(sql, _tick_columns(chunk))
            count, symbols, starts = cursor.fetchone()
            added += count
            minutes.update(zip(symbols or (), starts or (), strict=True))
    return Appended(added, tuple(sorted(minutes)))


def _chunks(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    for start in range(0, len(rows), ROWS_MAX):
        yield rows[start : start + ROWS_MAX]


def _tick_columns(ticks: Sequence[Tick]) -> list[list[Any]]:
    return [
        [tick.time for tick in ticks],
        [tick.symbol for tick in ticks],
        [tick.price for tick in ticks],
        [tick.quantity for tick in ticks],
        [tick.side for tick in ticks],
        [tick.exchange for tick in ticks],
        [tick.trade_id for tick in ticks],
        [tick.in_session for tick in ticks],
    ]


def ticks_from_events(rows: Iterable[Mapping[str, Any]]) -> list[Tick]:
    """Return one tick a trade from the data of TRADE_EXECUTED events, of which every trade has two.

    The buyer's event is taken. Prices must arrive as text or Decimal: a float raises ``Invalid``.
    """
    return [_tick_from_event(data) for data in rows if data["side"] == "BUY"]


def _tick_from_event(data: Mapping[str, Any]) -> Tick:
    time = datetime.fromisoformat(data["executed_at"])
    return Tick(
        trade_id=int(data["trade_id"]),
        time=time,
        symbol=data["symbol"],
        price=decimal_parse(data["price"], "price"),
        quantity=int(data["quantity"]),
        side=data.get("aggressor_side"),
        in_session=tick_in_session(time),
    )


# -- many at once --------------------------------------------------------------------------------------------


def ticks_copy(cursor: Any, blocks: Sequence[bytes], first: datetime, last: datetime) -> int:
    """Write a binary COPY stream of ticks into the tape, without their candles; returns how many were new.

    To be called in a transaction on ``marketdata`` that goes on to ``candles_rebuild``. ``first`` and
    ``last`` bound the ticks' times: on plain PostgreSQL their days are locked until the transaction ends.
    Rows come in key order; those that are there already, or come twice, are left out. What the server refuses
    (a price of zero) raises psycopg's error.
    """
    if backend_current() is Backend.PLAIN:
        rollup.days_lock(cursor, [first, last], alone=True, whole=True)
    try:
        with transaction.atomic(using=ALIAS):
            return _blocks_copy(cursor, "market_data_ticks", blocks)
    except UniqueViolation:
        cursor.execute(_STAGING_SQL)
        _blocks_copy(cursor, "ticks_staged", blocks)
        cursor.execute(_UNSTAGE_SQL)
        added = int(cursor.rowcount)
        cursor.execute("DROP TABLE ticks_staged")
        return added


def _blocks_copy(cursor: Any, table: str, blocks: Sequence[bytes]) -> int:
    with cursor.copy(f"COPY {table} ({TICK_COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
        for block in blocks:
            copy.write(block)
    return int(cursor.rowcount)


def candles_rebuild(
    symbols: Sequence[str] | None, start: datetime, end: datetime, *, force: bool = False
) -> None:
    """Make the candles from ``start`` up to ``end`` anew from their ticks: of these symbols, or of all.

    Whole minutes are taken, and no candle whose ticks retention has dropped. Candles without ticks go. On
    plain PostgreSQL it is part of the caller's transaction, or one of its own; on TimescaleDB it follows the
    commit, where a change of the ticks is noted or everywhere with ``force``, and the refresh policies repair
    what a crash in between leaves.
    """
    low = max(LEVELS[0].floor(start), ticks_kept_since())
    high = LEVELS[0].ceil(end)
    if low >= high:
        return
    if backend_current() is Backend.TIMESCALE:
        transaction.on_commit(lambda: aggregates.span_refresh(low, high, force=force), using=ALIAS)
        return
    with transaction.atomic(using=ALIAS), connections[ALIAS].cursor() as cursor:
        rollup.span_rebuild(cursor, symbols, low, high)


# -- imported history ----------------------------------------------------------------------------------------


def bars_import(symbol: str, interval: str, bars: Sequence[Bar]) -> int:
    """Write imported history of one symbol, ``1m`` or ``1d``, in one transaction; returns how many bars.

    A bar that is there already is replaced. ``time`` is the start of the minute, or midnight in New York.
    """
    if interval not in IMPORTED_INTERVALS:
        raise Invalid("bad_interval", f"History is imported as one of {', '.join(IMPORTED_INTERVALS)}.")
    with transaction.atomic(using=ALIAS), connections[ALIAS].cursor() as cursor:
        if backend_current() is Backend.TIMESCALE:
            # Old bars are compressed by the thousand: to correct one of them opens all.
            cursor.execute("SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
        for chunk in _chunks(bars):
            cursor.execute(_IMPORT_SQL, [symbol, interval, *_bar_columns(chunk)])
    return len(bars)


def _bar_columns(bars: Sequence[Bar]) -> list[list[Any]]:
    return [
        [bar.time for bar in bars],
        [bar.open for bar in bars],
        [bar.high for bar in bars],
        [bar.low for bar in bars],
        [bar.close for bar in bars],
        [bar.volume for bar in bars],
        [bar.trade_count for bar in bars],
        [bar.vwap for bar in bars],
    ]
