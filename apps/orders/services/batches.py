"""The set-based reads and writes of orders and holds that booking uses, on the runner's own cursor."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from apps.orders.executions import OrderState
from apps.primitives.fix import OrdStatus

_READ_SQL = """
SELECT o.order_id, o.user_id, o.account_id, o.client_order_id, o.symbol, o.side, o.order_type,
       o.time_in_force, o.price, o.collar_price, o.quantity, o.filled_quantity, o.filled_value, o.status,
       o.reason, o.replaces, o.replaced_by, o.created_at, o.expires_at,
       coalesce(l.hold_price, 0), coalesce(l.priority, 0)
FROM orders o LEFT JOIN live_orders l ON l.order_id = o.order_id
WHERE o.order_id = ANY(%s)
"""

_UPDATE_SQL = """
UPDATE orders AS o SET
    status = v.status, filled_quantity = v.filled_quantity, filled_value = v.filled_value,
    reason = v.reason, replaced_by = v.replaced_by, updated_at = %(now)s,
    filled_at    = CASE WHEN v.filled_quantity > o.filled_quantity THEN %(now)s ELSE o.filled_at END,
    cancelled_at = CASE WHEN v.status = 'CANCELLED' THEN %(now)s ELSE o.cancelled_at END,
    ended_at     = CASE WHEN v.live THEN NULL ELSE %(now)s::timestamptz END
FROM unnest(%(ids)s::bigint[], %(statuses)s::text[], %(filled)s::int[], %(values)s::numeric[],
            %(reasons)s::text[], %(replaced_by)s::bigint[], %(live)s::boolean[])
     AS v (order_id, status, filled_quantity, filled_value, reason, replaced_by, live)
WHERE o.order_id = v.order_id AND o.order_id = ANY(%(ids)s)
"""

_INSERT_COLUMNS = (
    "order_id, user_id, account_id, client_order_id, symbol, side, order_type, price, collar_price, "
    "quantity, filled_quantity, filled_value, status, time_in_force, matching_partition, reason, replaces, "
    "created_at, updated_at, filled_at, cancelled_at, ended_at, expires_at"
)

_HOLD_UPDATE_SQL = """
UPDATE live_orders AS l SET
    status = v.status, remaining = v.remaining, hold_price = v.hold_price, held_cash = v.held_cash,
    held_shares = v.held_shares, priority = v.priority
FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::numeric[], %s::numeric[], %s::int[], %s::bigint[])
     AS v (order_id, status, remaining, hold_price, held_cash, held_shares, priority)
WHERE l.order_id = v.order_id
"""


def orders_read(cursor: Any, order_ids: Sequence[int]) -> dict[int, OrderState]:
    """Return orders by id with their holds, as the batch finds them."""
    cursor.execute(_READ_SQL, (list(order_ids),))
    found = {}
    for row in cursor.fetchall():
        state = OrderState(*row)
        state.status = OrdStatus(state.status)
        found[state.order_id] = state
    return found


def orders_write(cursor: Any, states: Sequence[OrderState], partition: int, now: datetime) -> None:
    """Write orders as they now are: replacements by COPY, the rest by one UPDATE that names each id."""
    _orders_insert(cursor, [s for s in states if s.is_new_row], partition, now)
    changed = [s for s in states if not s.is_new_row]
    if not changed:
        return
    cursor.execute(
        _UPDATE_SQL,
        {
            "now": now,
            "ids": [s.order_id for s in changed],
            "statuses": [s.status.value for s in changed],
            "filled": [s.filled_quantity for s in changed],
            "values": [s.filled_value for s in changed],
            "reasons": [s.reason for s in changed],
            "replaced_by": [s.replaced_by for s in changed],
            "live": [s.is_live for s in changed],
        },
    )
    assert cursor.rowcount == len(changed), "an order that was read is gone"


def _orders_insert(cursor: Any, states: Sequence[OrderState], partition: int, now: datetime) -> None:
    if not states:
        return
    with cursor.copy(f"COPY orders ({_INSERT_COLUMNS}) FROM STDIN") as copy:
        for s in states:
            copy.write_row(
                (
                    s.order_id,
                    s.user_id,
                    s.account_id,
                    s.client_order_id,
                    s.symbol,
                    s.side,
                    s.order_type,
                    s.price,
                    s.collar_price,
                    s.quantity,
                    s.filled_quantity,
                    s.filled_value,
                    s.status.value,
                    s.time_in_force,
                    partition,
                    s.reason,
                    s.replaces,
                    s.created_at,
                    now,
                    now if s.filled_quantity else None,
                    now if s.status is OrdStatus.CANCELLED else None,
                    None if s.is_live else now,
                    s.expires_at,
                )
            )


def holds_write(cursor: Any, states: Sequence[OrderState], released_ids: Sequence[int]) -> None:
    """Bring every hold in line with its order: live ones hold what remains, ended ones hold nothing."""
    live = [s for s in states if s.is_live]
    ended = [s.order_id for s in states if not s.is_live]
    if live:
        rows = [
            (
                s.order_id,
                s.status.value,
                s.leaves_quantity,
                s.hold_price,
                s.held_cash,
                s.held_shares,
                s.priority,
            )
            for s in live
        ]
        cursor.execute(_HOLD_UPDATE_SQL, [list(column) for column in zip(*rows, strict=True)])
        assert cursor.rowcount == len(live), "a live order has no hold"
    if ended or released_ids:
        cursor.execute("DELETE FROM live_orders WHERE order_id = ANY(%s)", ([*ended, *released_ids],))
