"""What a matching partition's books must contain, read from the open orders when a runner begins to lead."""

from decimal import Decimal
from typing import Any

from apps.matching.journal import books_settings
from apps.matching.messages import BookState, OpenOrder
from apps.orders.engine_terms import flags_of, stop_units, trail_units, type_in_engine
from apps.primitives.fix import OrderType
from apps.primitives.money import price_to_units

_LAST_PRICES_SQL = """
SELECT i.instrument_id, i.symbol, p.last_price, p.day_volume FROM instruments i
LEFT JOIN instrument_prices p ON p.symbol = i.symbol AND p.day_open IS NOT NULL
WHERE i.matching_partition = %s
"""
"""A price that a symbol was listed with is no trade: a book that was never told of one has no last price."""

_OPEN_ORDERS_SQL = """
SELECT o.order_id, o.account_id, i.instrument_id, o.side, o.order_type, o.time_in_force, o.price,
       o.collar_price, o.stop_price, o.trail_amount, o.trail_percent, o.high_water_mark,
       o.triggered_at IS NOT NULL, o.quantity, o.filled_quantity
FROM live_orders l
JOIN orders o ON o.order_id = l.order_id
JOIN instruments i ON i.symbol = o.symbol
WHERE l.matching_partition = %s AND l.status IN ('NEW', 'PARTIALLY_FILLED')
ORDER BY l.priority, l.order_id
"""


def book_state_load(cursor: Any, matching_partition: int) -> BookState:
    """Return what a matching partition's books hold, in priority order, read on the runner's cursor."""
    cursor.execute(_LAST_PRICES_SQL, (matching_partition,))
    listed = cursor.fetchall()
    settings = books_settings(cursor, matching_partition)
    cursor.execute(_OPEN_ORDERS_SQL, (matching_partition,))
    orders = [_open_order(*row) for row in cursor.fetchall()]
    return BookState(
        symbols={symbol_id: symbol for symbol_id, symbol, *_ in listed},
        settings=settings,
        open_orders=orders,
        last_prices={
            symbol_id: (price_to_units(price), volume)
            for symbol_id, _, price, volume in listed
            if price is not None
        },
    )


def _open_order(
    order_id: int,
    account_id: int,
    symbol_id: int,
    side: str,
    order_type: str,
    time_in_force: str,
    price: Decimal | None,
    collar: Decimal | None,
    stop_price: Decimal | None,
    trail_amount: Decimal | None,
    trail_percent: Decimal | None,
    mark: Decimal | None,
    triggered: bool,
    quantity: int,
    filled: int,
) -> OpenOrder:
    worst = price if price is not None else collar
    assert worst is not None, "an order in the engine has a limit or a collar"
    kind = type_in_engine(order_type, triggered=triggered)
    return OpenOrder(
        order_id=order_id,
        owner=account_id,
        symbol_id=symbol_id,
        side=side,
        order_type=kind,
        time_in_force=time_in_force,
        price_units=price_to_units(worst),
        quantity=quantity,
        cum_quantity=filled,
        stop_price_units=0 if kind == OrderType.LIMIT else stop_units(kind, stop_price, mark),
        trail=trail_units(trail_amount, trail_percent),
        flags=flags_of(side, trail_percent),
    )
