"""The SQL of order entry: one statement to read, one to lock, one to verify, and the inserts."""

ACCOUNT_LOCK_SQL = "SELECT 1 FROM accounts WHERE account_id = %s FOR NO KEY UPDATE"
"""It changes nothing, so the SERIALIZABLE runner never fails because of an entry."""

VERIFY_SQL = "SELECT entry_verify(%s, %s, %s, %s, %s, %s::bigint, %s::numeric, %s::integer)"
"""Never one statement with the lock: a statement's snapshot is older than the lock it waits for."""

FACTS_SQL = """
SELECT %(symbol)s::text AS symbol, clock_timestamp() AS now,
       ARRAY(SELECT next_id() FROM generate_series(1, %(orders)s)) AS order_ids,
       a.account_id, a.user_id, a.account_status, a.cash_balance,
       coalesce(h.cash, 0) AS held_cash, coalesce(h.shares, 0) AS held_shares,
       coalesce(p.quantity, 0) AS position_quantity,
       i.instrument_id, i.status AS instrument_status, i.tradable, i.halted, i.matching_partition,
       ip.last_price,
       (SELECT limit_bps FROM price_bands
        WHERE effective_from <= %(trade_date)s AND symbol IN (%(symbol)s, '')
        ORDER BY symbol DESC, effective_from DESC LIMIT 1) AS limit_bps,
       (SELECT array_agg(ARRAY[t.price_from, t.increment]) FROM (
            SELECT DISTINCT ON (price_from) price_from, increment FROM tick_sizes
            WHERE effective_from <= %(trade_date)s
            ORDER BY price_from, effective_from DESC) AS t) AS ticks,
       k.order_id AS client_key_order_id
FROM accounts a
LEFT JOIN LATERAL (
    SELECT sum(held_cash) AS cash, sum(held_shares) FILTER (WHERE symbol = %(symbol)s) AS shares
    FROM live_orders WHERE account_id = a.account_id) AS h ON true
LEFT JOIN positions p ON p.account_id = a.account_id AND p.symbol = %(symbol)s
LEFT JOIN instruments i ON i.symbol = %(symbol)s
LEFT JOIN instrument_prices ip ON ip.symbol = i.symbol
LEFT JOIN order_client_keys k ON k.account_id = a.account_id AND k.client_order_id = %(client_order_id)s
WHERE a.account_id = %(account_id)s
"""
"""One reading, without a lock, of all that risk needs."""

CLIENT_KEY_INSERT_SQL = """
INSERT INTO order_client_keys (account_id, client_order_id, order_id, request_hash) VALUES (%s, %s, %s, %s)
"""

ORDER_INSERT_SQL = """
INSERT INTO orders (order_id, user_id, account_id, client_order_id, symbol, side, order_type, price,
                    collar_price, stop_price, trail_amount, trail_percent, high_water_mark, quantity, status,
                    time_in_force, order_class, group_id, leg, matching_partition, created_at, updated_at,
                    expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

HOLD_INSERT_SQL = """
INSERT INTO live_orders (order_id, account_id, user_id, matching_partition, symbol, status, remaining,
                         hold_price, held_cash, held_shares, group_id, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
