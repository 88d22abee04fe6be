"""Acts on market data: append ticks with the candles they change, and import history."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.db import connections, transaction

from apps.marketdata.candles import CANDLE_TABLES, Bar, Tick
from apps.primitives.errors import Invalid
from apps.primitives.money import decimal_parse

_Row = TypeVar("_Row")

ALIAS = "marketdata"
ROWS_MAX = 5_000
"""How many rows one statement takes; longer input goes in several, in one transaction."""

IMPORTED_INTERVALS = ("1m", "1d")

_FRESH_SQL = """
WITH fresh AS (
    INSERT INTO market_data_ticks (time, symbol, price, quantity, side, exchange, trade_id)
    SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::numeric[], %s::int[], %s::text[], %s::text[],
                         %s::bigint[])
    ON CONFLICT (symbol, time, trade_id) DO NOTHING
    RETURNING time, symbol, price, quantity, trade_id
)"""

# A candle merges exactly: the keys of its first and last tick say whether a late tick moves open or close.
_CANDLE_SQL = """
    INSERT INTO {table} AS c (symbol, time, open, high, low, close, volume,
                              opened_at, open_trade_id, closed_at, close_trade_id)
    SELECT symbol, {bucket},
           (array_agg(price ORDER BY time, trade_id))[1], max(price), min(price),
           (array_agg(price ORDER BY time DESC, trade_id DESC))[1], sum(quantity),
           min(time), (array_agg(trade_id ORDER BY time, trade_id))[1],
           max(time), (array_agg(trade_id ORDER BY time DESC, trade_id DESC))[1]
    FROM fresh GROUP BY 1, 2 ORDER BY 1, 2
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
        volume = c.volume + excluded.volume"""

_APPEND_SQL = "".join(
    [
        _FRESH_SQL,
        *(
            f",\n{table}_written AS ({_CANDLE_SQL.format(table=table, bucket=bucket)}\n)"
            for table, bucket in CANDLE_TABLES.items()
        ),
        "\nSELECT count(*) FROM fresh",
    ]
)

_IMPORT_SQL = """
INSERT INTO ohlcv AS o (symbol, interval, time, open, high, low, close, volume)
SELECT %s, %s, v.*
FROM unnest(%s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::bigint[]) AS v
ON CONFLICT (time, symbol, interval) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume
"""


def _chunks(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    for start in range(0, len(rows), ROWS_MAX):
        yield rows[start : start + ROWS_MAX]


def ticks_append(rows: Iterable[Tick]) -> int:
    """Append trades to the tape and merge them into their candles; returns how many were new.

    Appending a tick again changes nothing, and a late tick corrects the candles it belongs to: both are one
    statement on the ``marketdata`` database. Rows are written in key order, so two appenders cannot deadlock.
    """
    ticks = sorted(set(rows), key=lambda tick: (tick.symbol, tick.time, tick.trade_id))
    added = 0
    with transaction.atomic(using=ALIAS), connections[ALIAS].cursor() as cursor:
        for chunk in _chunks(ticks):
            cursor.execute(_APPEND_SQL, _tick_columns(chunk))
            added += cursor.fetchone()[0]
    return added


def _tick_columns(ticks: Sequence[Tick]) -> list[list[Any]]:
    return [
        [tick.time for tick in ticks],
        [tick.symbol for tick in ticks],
        [tick.price for tick in ticks],
        [tick.quantity for tick in ticks],
        [tick.side for tick in ticks],
        [tick.exchange for tick in ticks],
        [tick.trade_id for tick in ticks],
    ]


def ticks_from_events(rows: Iterable[Mapping[str, Any]]) -> list[Tick]:
    """Return one tick a trade from the data of TRADE_EXECUTED events, of which every trade has two.

    The buyer's event is taken. Prices must arrive as text or Decimal: a float raises ``Invalid``.
    """
    return [_tick_from_event(data) for data in rows if data["side"] == "BUY"]


def _tick_from_event(data: Mapping[str, Any]) -> Tick:
    return Tick(
        trade_id=int(data["trade_id"]),
        time=datetime.fromisoformat(data["executed_at"]),
        symbol=data["symbol"],
        price=decimal_parse(data["price"], "price"),
        quantity=int(data["quantity"]),
        side=data.get("aggressor_side"),
    )


def bars_import(symbol: str, interval: str, bars: Sequence[Bar]) -> int:
    """Write imported history of one symbol, ``1m`` or ``1d``, in one transaction; returns how many bars.

    A bar that is there already is replaced. ``time`` is the start of the minute, or midnight in New York.
    """
    if interval not in IMPORTED_INTERVALS:
        raise Invalid("bad_interval", f"History is imported as one of {', '.join(IMPORTED_INTERVALS)}.")
    with transaction.atomic(using=ALIAS), connections[ALIAS].cursor() as cursor:
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
    ]
