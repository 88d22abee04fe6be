"""What a position would be had one trade never been: told again from the record, and checked against it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from apps.positions.services import PositionState
from apps.primitives.ids import id_floor, id_time
from apps.primitives.money import CENT
from apps.trades.models import Trade

MOVES_MAX = 5_000
"""Trades and issues of one position that are told again; more would hold booking up for too long."""

LOOK_BACK = timedelta(days=5)
"""So long before a trade others of the position may have been made that were busted after it."""

_SPANS = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), LOOK_BACK)
"""How far back a position's last event is looked for: near first, since busy accounts have very many."""

# Only from the first trade on that is or will be busted: what a bust did to the figures lies after it.
_MOVES_SQL = """
WITH mine AS (
    SELECT trade_id AS id, quantity::bigint, trade_value AS value,
           settlement_status = 'BUSTED' AS is_busted
    FROM trades WHERE buyer_id = %(user)s AND buyer_account_id = %(account)s AND symbol = %(symbol)s
      AND trade_id >= %(low)s
    UNION ALL
    SELECT trade_id, -quantity, trade_value, settlement_status = 'BUSTED'
    FROM trades WHERE seller_id = %(user)s AND seller_account_id = %(account)s AND symbol = %(symbol)s
      AND trade_id >= %(low)s
), since AS (SELECT min(id) AS id FROM mine WHERE is_busted OR id = %(trade)s)
SELECT * FROM mine WHERE id >= (SELECT id FROM since)
UNION ALL
SELECT issue_id, quantity, unit_cost * quantity, false FROM share_issues
WHERE account_id = %(account)s AND symbol = %(symbol)s AND issue_id >= (SELECT id FROM since)
ORDER BY id LIMIT %(limit)s
"""

_BEFORE_SQL = """
SELECT (p.told ->> 'quantity')::bigint, (p.told ->> 'average_cost')::numeric,
       (p.told ->> 'realized_pnl')::numeric
FROM events e CROSS JOIN LATERAL jsonb_array_elements(CASE event_type
    WHEN 'POSITION_CHANGED' THEN jsonb_build_array(data) ELSE data -> 'positions' END) AS p (told)
WHERE e.account_id = %s AND e.event_type IN ('POSITION_CHANGED', 'POSITIONS_VALUED')
  AND e.id >= %s AND e.id < %s AND p.told ->> 'symbol' = %s
ORDER BY e.id DESC LIMIT 1
"""


class Move(NamedTuple):
    """Shares that came (or went, below zero) for ``value`` dollars, in the order of their ids."""

    id: int
    quantity: int
    value: Decimal
    is_busted: bool


def position_without(cursor: Any, position: PositionState, trade: Trade) -> PositionState:
    """Return a position as it would be had the trade never been; the caller holds the account's lock.

    It is told again from before the trade, by the trades and issues since. Where the record does not lead to
    the present figures with the trade in it (it is too long or too old), the trade is undone by its opposite
    at its price: the quantity is the same, and so is cost less what was realised.
    """
    moves = _moves_read(cursor, position, trade)
    before = _position_before(cursor, position, moves[0].id)
    kept = [move for move in moves if not move.is_busted]
    if len(moves) <= MOVES_MAX and _told_again(before, kept) == position:
        without = _told_again(before, [move for move in kept if move.id != trade.trade_id])
        if without is not None:
            return without
    return _opposite(position, trade)


def _moves_read(cursor: Any, position: PositionState, trade: Trade) -> list[Move]:
    names = {"user": position.user_id, "account": position.account_id, "symbol": position.symbol}
    low = id_floor(id_time(trade.trade_id) - LOOK_BACK)
    cursor.execute(_MOVES_SQL, {**names, "trade": trade.trade_id, "low": low, "limit": MOVES_MAX + 1})
    return [Move(row[0], row[1], row[2].quantize(CENT), row[3]) for row in cursor.fetchall()]


def _position_before(cursor: Any, position: PositionState, first_id: int) -> PositionState:
    """Return the position as the last event before an id tells it; nothing owned when none does."""
    before = PositionState(position.account_id, position.user_id, position.symbol)
    for span in _SPANS:
        low = id_floor(id_time(first_id) - span)
        cursor.execute(_BEFORE_SQL, (position.account_id, low, first_id, position.symbol))
        if row := cursor.fetchone():
            return replace(before, quantity=row[0], average_cost=row[1], realized_pnl=row[2])
    return before


def _told_again(before: PositionState, moves: Iterable[Move]) -> PositionState | None:
    """Apply moves in order; a sale of shares that a bust took away waits for the next purchases.

    Returns None when one is left waiting.
    """
    state, sales = replace(before), list[Move]()
    for move in moves:
        if move.quantity > 0:
            state.buy(move.quantity, move.value)
        else:
            sales.append(move)
        while sales and -sales[0].quantity <= state.quantity:
            sale = sales.pop(0)
            state.sell(-sale.quantity, sale.value)
    return None if sales else state


def _opposite(position: PositionState, trade: Trade) -> PositionState:
    undone = replace(position)
    if position.account_id == trade.buyer_account_id:
        undone.sell(trade.quantity, trade.trade_value)
    else:
        undone.buy(trade.quantity, trade.trade_value)
    return undone
