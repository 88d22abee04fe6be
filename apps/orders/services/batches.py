"""The set-based reads and writes of orders and holds that booking uses, on the runner's own cursor."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.orders.executions import OrderState
from apps.primitives.appending import AppendTable, rows_append
from apps.primitives.fix import OrdStatus
from apps.primitives.literals import array_text
from apps.primitives.pipelining import rows_expect

_COLUMNS = """
       o.order_id, o.user_id, o.account_id, o.client_order_id, o.symbol, o.side, o.order_type,
       o.time_in_force, o.price, o.collar_price, o.quantity, o.filled_quantity, o.filled_value, o.status,
       o.reason, o.replaces, o.replaced_by, o.created_at, o.expires_at, o.stop_price, o.trail_amount,
       o.trail_percent, o.high_water_mark, o.triggered_at, o.order_class, o.group_id, o.leg
"""

# Holds are looked up order by order: of an array the planner expects ten, and would compare a thousand orders
# with a thousand holds.
ORDERS_READ_SQL = f"""
SELECT {_COLUMNS},
       coalesce(l.hold_price, 0), coalesce(l.priority, 0), l.trigger_price,
       CASE WHEN l.status = 'HELD' THEN l.held_shares ELSE 0 END
FROM orders o
LEFT JOIN LATERAL (
    SELECT hold_price, priority, trigger_price, status, held_shares FROM live_orders
    WHERE order_id = o.order_id OFFSET 0) AS l ON true
WHERE o.order_id = ANY(%(ids)s::bigint[]) AND o.order_id BETWEEN %(low)s::bigint AND %(high)s::bigint
"""

ORDERS_ACCEPT_SQL = f"""
UPDATE orders AS o SET status = 'NEW', updated_at = %(now)s
WHERE o.order_id = ANY(%(ids)s::bigint[]) AND o.order_id BETWEEN %(low)s::bigint AND %(high)s::bigint
  AND o.status = 'PENDING' AND o.group_id IS NULL
RETURNING {_COLUMNS}
"""

HOLDS_ACCEPT_SQL = """
UPDATE live_orders AS l SET status = 'NEW', priority = v.priority
FROM unnest(%(ids)s::bigint[], %(priorities)s::bigint[]) AS v (order_id, priority)
WHERE l.order_id = v.order_id AND l.order_id = ANY(%(ids)s::bigint[])
"""

ORDERS_UPDATE_SQL = """
UPDATE orders AS o SET
    status = v.status, filled_quantity = v.filled_quantity, filled_value = v.filled_value,
    reason = v.reason, replaced_by = v.replaced_by, quantity = v.quantity, stop_price = v.stop_price,
    high_water_mark = v.high_water_mark, triggered_at = v.triggered_at, expires_at = v.expires_at,
    updated_at = %(now)s,
    filled_at    = CASE WHEN v.filled_quantity > o.filled_quantity THEN %(now)s ELSE o.filled_at END,
    cancelled_at = CASE WHEN v.status = 'CANCELLED' THEN %(now)s ELSE o.cancelled_at END,
    ended_at     = CASE WHEN v.live THEN NULL ELSE %(now)s::timestamptz END
FROM unnest(%(ids)s::bigint[], %(statuses)s::text[], %(filled)s::int[], %(values)s::numeric[],
            %(reasons)s::text[], %(replaced_by)s::bigint[], %(live)s::boolean[], %(quantities)s::int[],
            %(stops)s::numeric[], %(marks)s::numeric[], %(triggered)s::timestamptz[],
            %(expiries)s::timestamptz[])
     AS v (order_id, status, filled_quantity, filled_value, reason, replaced_by, live, quantity, stop_price,
           high_water_mark, triggered_at, expires_at)
WHERE o.order_id = v.order_id AND o.order_id = ANY(%(ids)s::bigint[])
  AND o.order_id BETWEEN %(low)s::bigint AND %(high)s::bigint
"""

_REPLACEMENTS = AppendTable(
    "orders",
    {
        "order_id": "bigint",
        "user_id": "bigint",
        "account_id": "bigint",
        "client_order_id": "text",
        "symbol": "text",
        "side": "text",
        "order_type": "text",
        "price": "numeric",
        "collar_price": "numeric",
        "quantity": "integer",
        "filled_quantity": "integer",
        "filled_value": "numeric",
        "status": "text",
        "time_in_force": "text",
        "matching_partition": "smallint",
        "reason": "text",
        "replaces": "bigint",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
        "filled_at": "timestamptz",
        "cancelled_at": "timestamptz",
        "ended_at": "timestamptz",
        "expires_at": "timestamptz",
        "stop_price": "numeric",
        "trail_amount": "numeric",
        "trail_percent": "numeric",
        "high_water_mark": "numeric",
        "triggered_at": "timestamptz",
        "order_class": "text",
        "group_id": "bigint",
        "leg": "text",
    },
)

HOLDS_UPDATE_SQL = """
UPDATE live_orders AS l SET
    status = v.status, remaining = v.remaining, hold_price = v.hold_price, held_cash = v.held_cash,
    held_shares = v.held_shares, priority = v.priority, trigger_price = v.trigger_price
FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::numeric[], %s::numeric[], %s::int[], %s::bigint[],
            %s::numeric[])
     AS v (order_id, status, remaining, hold_price, held_cash, held_shares, priority, trigger_price)
WHERE l.order_id = v.order_id AND l.order_id = ANY(%s::bigint[])
"""

HOLDS_DELETE_SQL = "DELETE FROM live_orders WHERE order_id = ANY(%s::bigint[])"

# Only live members matter: what a group did before is in how these stand. The armed ones are looked up symbol
# by symbol, from the lowest trade upwards, however many listen.
MEMBERS_SQL = """
SELECT order_id, group_id FROM live_orders
WHERE group_id = ANY(%(groups)s::bigint[] || ARRAY(
    SELECT armed.group_id FROM unnest(%(symbols)s::text[], %(lows)s::numeric[]) AS v (symbol, low)
    CROSS JOIN LATERAL (
        SELECT group_id FROM live_orders
        WHERE symbol = v.symbol AND trigger_price >= v.low OFFSET 0) AS armed))
"""


def orders_read(cursor: Any, order_ids: Sequence[int]) -> dict[int, OrderState]:
    """Return orders by id with their holds, as the batch finds them."""
    if not order_ids:
        return {}
    cursor.execute(ORDERS_READ_SQL, _named(order_ids))
    return _states(cursor)


def _named(order_ids: Collection[int]) -> dict[str, Any]:
    """Return ids as parameters, with the span in which they lie.

    From an array a plan that is kept cannot tell which days it needs; from the span it can.
    """
    return {"ids": array_text(order_ids), "low": min(order_ids), "high": max(order_ids)}


def orders_accept(cursor: Any, priorities: Mapping[int, int], now: datetime) -> dict[int, OrderState]:
    """Write and return the orders that the batch accepts and does nothing else to; it says their priorities.

    One statement reads and writes them, since what becomes of them is known. Orders of groups are left out:
    what follows from their acceptance takes more than this.
    """
    if not priorities:
        return {}
    cursor.execute(ORDERS_ACCEPT_SQL, {"now": now, **_named(priorities)})
    found = _states(cursor)
    if found:
        places = array_text([priorities[order_id] for order_id in found])
        cursor.execute(HOLDS_ACCEPT_SQL, {"ids": array_text(found), "priorities": places})
        rows_expect(cursor, len(found), AssertionError("an order that was accepted has no hold"))
    return found


_STATUSES: dict[str, OrdStatus] = {status.value: status for status in OrdStatus}
"""To call the enumeration took a thirteenth of all that a trade takes its runner."""


def _states(cursor: Any) -> dict[int, OrderState]:
    found = {}
    for row in cursor.fetchall():
        state = found[row[0]] = OrderState(*row)
        state.status = _STATUSES[state.status]
    return found


def group_members_read(
    cursor: Any, group_ids: Collection[int], lows: Mapping[str, Decimal]
) -> dict[int, int]:
    """Return the live orders, with their groups, of these groups and of those whose stop-loss was reached."""
    if not group_ids and not lows:
        return {}
    texts = {"groups": group_ids, "symbols": lows, "lows": lows.values()}
    values = {name: array_text(column) for name, column in texts.items()}
    cursor.execute(MEMBERS_SQL, values)
    return dict(cursor.fetchall())


def orders_write(cursor: Any, states: Sequence[OrderState], partition: int, now: datetime) -> None:
    """Write orders as they now are: replacements are appended, the rest is one UPDATE that names each id."""
    _orders_insert(cursor, [s for s in states if s.is_new_row], partition, now)
    changed = [s for s in states if not s.is_new_row]
    if not changed:
        return
    cursor.execute(
        ORDERS_UPDATE_SQL,
        {
            "now": now,
            **_named([s.order_id for s in changed]),
            "statuses": array_text([s.status.value for s in changed]),
            "filled": array_text([s.filled_quantity for s in changed]),
            "values": array_text([s.filled_value for s in changed]),
            "reasons": array_text([s.reason for s in changed]),
            "replaced_by": array_text([s.replaced_by for s in changed]),
            "live": array_text([s.is_live for s in changed]),
            "quantities": array_text([s.quantity for s in changed]),
            "stops": array_text([s.stop_price for s in changed]),
            "marks": array_text([s.high_water_mark for s in changed]),
            "triggered": array_text([s.triggered_at for s in changed]),
            "expiries": array_text([s.expires_at for s in changed]),
        },
    )
    rows_expect(cursor, len(changed), AssertionError("an order that was read is gone"))


def _orders_insert(cursor: Any, states: Sequence[OrderState], partition: int, now: datetime) -> None:
    rows = [
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
            s.stop_price,
            s.trail_amount,
            s.trail_percent,
            s.high_water_mark,
            s.triggered_at,
            s.order_class,
            s.group_id,
            s.leg,
        )
        for s in states
    ]
    rows_append(cursor, _REPLACEMENTS, rows)


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
                s.trigger_price,
            )
            for s in live
        ]
        columns = [array_text(column) for column in zip(*rows, strict=True)]
        cursor.execute(HOLDS_UPDATE_SQL, [*columns, columns[0]])
        rows_expect(cursor, len(live), AssertionError("a live order has no hold"))
    if ended or released_ids:
        cursor.execute(HOLDS_DELETE_SQL, (array_text([*ended, *released_ids]),))
