"""End of day: every position gets the value it had at the close, one account a transaction."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.operations.services.funding import balance_transaction
from apps.primitives.money import trade_value

STEP = "POSITION_VALUES"
ZERO = Decimal("0.00")

_DUE_SQL = """
SELECT DISTINCT p.account_id FROM positions p
WHERE (p.quantity > 0 OR p.market_value > 0) AND NOT EXISTS (
    SELECT 1 FROM settlement_steps s
    WHERE s.settl_date = %s AND s.account_id = p.account_id AND s.step = %s)
ORDER BY p.account_id
"""

_READ_SQL = """
SELECT p.position_id, p.quantity, p.average_cost,
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


def positions_value(trade_date: date) -> int:
    """Store market value and unrealised result at a day's close, once per account; returns the accounts."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE_SQL, (trade_date, STEP))
        due = [row[0] for row in cursor.fetchall()]
    for account_id in due:
        with balance_transaction() as cursor:
            _account_value(cursor, trade_date, account_id)
    return len(due)


def _account_value(cursor: Any, trade_date: date, account_id: int) -> None:
    cursor.execute(_READ_SQL, (trade_date, account_id))
    rows = []
    for position_id, quantity, average_cost, price in cursor.fetchall():
        value = trade_value(price, quantity)
        rows.append((position_id, value, value - trade_value(average_cost, quantity)))
    total = sum((row[1] for row in rows), ZERO)
    cursor.execute(_STEP_SQL, (trade_date, account_id, STEP, total, len(rows)))
    if cursor.rowcount == 0:
        return
    cursor.execute(_WRITE_SQL, [list(column) for column in zip(*rows, strict=True)])
