"""Trading that is over: finished orders in daily partitions of the past, for what they cost the living."""

from datetime import timedelta
from typing import Any

from apps.primitives.clock import utc_now
from apps.primitives.ids import day_bounds
from apps.primitives.partitions import PartitionedTable, partition_create_sql

DAYS = 60
ORDERS = PartitionedTable("orders", "order_id", fillfactor=50)

_FILL_SQL = """
INSERT INTO orders (order_id, user_id, account_id, client_order_id, symbol, side, order_type, price, quantity,
                    filled_quantity, filled_value, status, time_in_force, created_at, updated_at, filled_at,
                    ended_at)
SELECT %(low)s + n * ((%(high)s - %(low)s) / %(count)s), a.user_id, a.account_id,
       'old-' || %(low)s || '-' || n, 'BENA', 'BUY', 'LIMIT', 100, 1, 0, 0, 'CANCELLED', 'GTC', at.at,
       at.at, NULL, at.at
FROM generate_series(0, %(count)s - 1) AS n
JOIN (SELECT *, row_number() OVER (ORDER BY account_id) - 1 AS place FROM accounts
      WHERE account_type = 'CASH') AS a ON a.place = n %% 32
CROSS JOIN LATERAL (SELECT %(day)s::timestamptz + n * interval '1 day' / %(count)s AS at) AS at
"""


def history_fill(connection: Any, rows: int) -> None:
    """Lay so many finished orders into sixty days before yesterday, and let the planner see them."""
    for back in range(DAYS + 1, 1, -1):
        day = utc_now().date() - timedelta(days=back)
        low, high = day_bounds(day)
        for statement in partition_create_sql(ORDERS, day):
            connection.execute(statement)
        connection.execute(_FILL_SQL, {"low": low, "high": high, "count": rows // DAYS, "day": day})
    connection.execute("VACUUM ANALYZE orders")
