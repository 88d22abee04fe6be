"""What a matching partition's books must contain, read from the open orders when an engine begins anew.

The server works out the engine's integers and gives each book's orders as arrays, one a column, whose binary
form numpy reads as it is: a million orders are a million rows for the server and none for Python.
"""

from enum import IntEnum
from typing import Any

import numpy as np

from apps.matching.codes import OPEN_ORDER_DTYPE, OrderFlag, OrdType, Side, TimeInForce
from apps.matching.journal import books_settings
from apps.matching.messages import BookState
from apps.orders.engine_terms import PPM_OF_PERCENT
from apps.primitives.money import PRICE_SCALE, price_to_units

LAST_PRICES_SQL = """
SELECT i.instrument_id, p.last_price, p.day_volume FROM instruments i
JOIN instrument_prices p ON p.symbol = i.symbol AND p.day_open IS NOT NULL
WHERE i.matching_partition = %s
"""
"""A price that a symbol was listed with is no trade: a book that was never told of one has no last price."""


def _codes_sql(column: str, kind: type[IntEnum]) -> str:
    return f"CASE {column} " + " ".join(f"WHEN '{code.name}' THEN {code.value}" for code in kind) + " END"


# A stop limit that was triggered is a limit order; nobody is short, so that every sale reduces a position.
_TYPE = (
    "CASE WHEN o.order_type = 'STOP_LIMIT' AND o.triggered_at IS NOT NULL THEN 'LIMIT' ELSE o.order_type END"
)
_STOP = (
    "CASE t.kind WHEN 'LIMIT' THEN 0 WHEN 'TRAIL' THEN o.high_water_mark ELSE coalesce(o.stop_price, 0) END"
)
_FLAGS = (
    f"CASE o.side WHEN 'SELL' THEN {OrderFlag.REDUCE_ONLY:d} ELSE 0 END"
    f" + CASE WHEN o.trail_percent IS NULL THEN 0 ELSE {OrderFlag.TRAIL_PERCENT:d} END"
)
_TRAIL = f"coalesce(o.trail_percent * {PPM_OF_PERCENT}, o.trail_amount * {PRICE_SCALE}, 0)"

_COLUMNS = {
    "priority": "l.priority",
    "order_id": "o.order_id",
    "owner": "o.account_id",
    "price": f"(coalesce(o.price, o.collar_price) * {PRICE_SCALE})::bigint",
    "stop_price": f"({_STOP} * {PRICE_SCALE})::bigint",
    "quantity": "o.quantity::bigint",
    "cum_quantity": "o.filled_quantity::bigint",
    "trail": f"({_TRAIL})::bigint",
    "side": f"({_codes_sql('o.side', Side)})::bigint",
    "ord_type": f"({_codes_sql('t.kind', OrdType)})::bigint",
    "tif": f"({_codes_sql('o.time_in_force', TimeInForce)})::bigint",
    "flags": f"({_FLAGS})::bigint",
}

OPEN_ORDERS_SQL = f"""
SELECT i.instrument_id, {", ".join(f"array_agg({column})" for column in _COLUMNS.values())}
FROM live_orders l
JOIN orders o ON o.order_id = l.order_id
JOIN instruments i ON i.symbol = o.symbol
CROSS JOIN LATERAL (SELECT {_TYPE} AS kind) AS t
WHERE l.matching_partition = %s AND l.status IN ('NEW', 'PARTIALLY_FILLED')
GROUP BY i.instrument_id
"""

# An array of bigint on the wire: dimensions, whether it has NULLs, type, length, first index; then elements.
_ARRAY_HEAD = np.dtype(">i4")
_ARRAY_HEAD_BYTES = 5 * _ARRAY_HEAD.itemsize
_ELEMENT = np.dtype([("bytes", ">i4"), ("value", ">i8")])


def book_state_load(cursor: Any, matching_partition: int) -> BookState:
    """Return what a matching partition's books hold, each book's orders in the order of their priority."""
    cursor.execute(LAST_PRICES_SQL, (matching_partition,))
    last_prices = {
        symbol_id: (price_to_units(price), volume) for symbol_id, price, volume in cursor.fetchall()
    }
    settings = books_settings(cursor, matching_partition)
    return BookState(settings, _open_orders(cursor, matching_partition), last_prices)


def _open_orders(cursor: Any, matching_partition: int) -> np.ndarray:
    cursor.execute(OPEN_ORDERS_SQL, (matching_partition,), binary=True)
    result = cursor.pgresult
    books = [_book_orders(result, row) for row in range(result.ntuples)]
    return np.concatenate(books) if books else np.zeros(0, dtype=OPEN_ORDER_DTYPE)


def _book_orders(result: Any, row: int) -> np.ndarray:
    columns = {name: _array_read(result.get_value(row, at), name) for at, name in enumerate(_COLUMNS, 1)}
    in_order = np.lexsort((columns["order_id"], columns.pop("priority")))
    orders = np.zeros(len(in_order), dtype=OPEN_ORDER_DTYPE)
    orders["symbol_id"] = int.from_bytes(result.get_value(row, 0), "big")
    for name, values in columns.items():
        orders[name] = values[in_order]
        if not np.array_equal(orders[name], values[in_order]):
            raise ValueError(f"an open order's {name} is beyond what the engine can hold")
    return orders


def _array_read(raw: bytes, name: str) -> np.ndarray:
    _, has_nulls, *_ = np.frombuffer(raw, dtype=_ARRAY_HEAD, count=5)
    if has_nulls:
        raise ValueError(f"an open order has no {name} that the engine knows")
    return np.frombuffer(raw, dtype=_ELEMENT, offset=_ARRAY_HEAD_BYTES)["value"].astype("i8")
