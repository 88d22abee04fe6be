"""End of day: every position gets the value it had at the close, one account a transaction."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from apps.accounts.locks import accounts_locked
from apps.accounts.models import Account
from apps.events.facts import EventRow
from apps.events.services import event_append
from apps.events.types import EventType
from apps.operations.services.funding import balance_transaction
from apps.primitives.clock import iso, utc_now
from apps.primitives.money import trade_value

STEP = "POSITION_VALUES"
ZERO = Decimal("0.00")

CHANGED_LATELY = timedelta(days=1)
"""So long before a day accounts may have traded that end it without shares: they are on record as well."""

EVENT_POSITIONS_MAX = 500
"""Positions told in one event, which is then some tens of kilobytes."""

_DUE_SQL = """
SELECT DISTINCT p.account_id FROM positions p
WHERE (p.quantity > 0 OR p.market_value > 0 OR p.updated_at >= %s) AND NOT EXISTS (
    SELECT 1 FROM settlement_steps s
    WHERE s.settl_date = %s AND s.account_id = p.account_id AND s.step = %s)
ORDER BY p.account_id
"""

_READ_SQL = """
SELECT p.position_id, p.symbol, p.quantity, p.average_cost, p.realized_pnl,
       coalesce(CASE WHEN ip.trade_date > %s THEN ip.prev_close ELSE ip.last_price END, p.average_cost)
FROM positions p LEFT JOIN instrument_prices ip USING (symbol)
WHERE p.account_id = %s ORDER BY p.position_id
"""

_WRITE_SQL = """
UPDATE positions AS p SET market_value = v.market_value, unrealized_pnl = v.unrealized_pnl
FROM unnest(%s::bigint[], %s::numeric[], %s::numeric[]) AS v (position_id, market_value, unrealized_pnl)
WHERE p.position_id = v.position_id
"""

_STEP_SQL = """
INSERT INTO settlement_steps (settl_date, account_id, step, amount, trade_count, done_at)
VALUES (%s, %s, %s, %s, %s, clock_timestamp()) ON CONFLICT DO NOTHING
"""


class _Value(NamedTuple):
    """One position at the close, in the order of the query's columns; ``price`` is the close."""

    position_id: int
    symbol: str
    quantity: int
    average_cost: Decimal
    realized_pnl: Decimal
    price: Decimal

    @property
    def market_value(self) -> Decimal:
        return trade_value(self.price, self.quantity)

    @property
    def unrealized_pnl(self) -> Decimal:
        return self.market_value - trade_value(self.average_cost, self.quantity)

    def facts(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "quantity": self.quantity,
            "average_cost": self.average_cost,
            "realized_pnl": self.realized_pnl,
            "price": self.price,
            "market_value": self.market_value,
            "unrealized_pnl": self.unrealized_pnl,
        }


def positions_value(trade_date: date) -> int:
    """Store market value and unrealised result at a day's close, once per account; returns the accounts.

    The event says how the whole account stands: what came before need not be read to know it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DUE_SQL, (trade_date - CHANGED_LATELY, trade_date, STEP))
        due = [row[0] for row in cursor.fetchall()]
    for account_id in due:
        with balance_transaction() as cursor:
            _account_value(cursor, trade_date, account_id)
    return len(due)


def _account_value(cursor: Any, trade_date: date, account_id: int) -> None:
    # Locked, so that no other writer's change lies before this event and is not in it.
    account = accounts_locked([account_id])[0]
    cursor.execute(_READ_SQL, (trade_date, account_id))
    values = [_Value(*row) for row in cursor.fetchall()]
    total = sum((value.market_value for value in values), ZERO)
    cursor.execute(_STEP_SQL, (trade_date, account_id, STEP, total, len(values)))
    if cursor.rowcount == 0:
        return
    rows = [(value.position_id, value.market_value, value.unrealized_pnl) for value in values]
    cursor.execute(_WRITE_SQL, [list(column) for column in zip(*rows, strict=True)])
    event_append(cursor, _valued_events(trade_date, account, values))


def _valued_events(trade_date: date, account: Account, values: list[_Value]) -> list[EventRow]:
    """Return the events of an account at a close, with all its positions, so many in each."""
    at, size = iso(utc_now()), EVENT_POSITIONS_MAX
    parts = [values[first : first + size] for first in range(0, len(values), size)]
    facts = {
        "account_id": account.account_id,
        "account_type": account.account_type,
        "account_status": account.account_status,
        "cash_balance": account.cash_balance,
        "unsettled_cash": account.unsettled_cash,
        "trade_date": trade_date.isoformat(),
        "parts": len(parts),
        "at": at,
    }
    return [
        EventRow(
            EventType.POSITIONS_VALUED,
            account.user_id,
            {**facts, "part": number, "positions": [value.facts() for value in part]},
            account.account_id,
        )
        for number, part in enumerate(parts, 1)
    ]
