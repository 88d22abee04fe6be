"""Commands queued by sets, exactly as entry leaves them: key, order, hold, command and event of each."""

from typing import Any

PRICE_SQL = {
    # Bids below and offers above, so that nothing meets.
    "resting": "CASE WHEN n % 2 = 0 THEN 90 + (n / 2 % 500) * 0.01 ELSE 105 + (n / 2 % 500) * 0.01 END",
    # Each pair, of two commands that follow one another in a symbol, meets at one price.
    "crossing": "100 + (n / 2 % 100) * 0.01",
}

# Drawn once for each row, in order; two accounts for each pair, so that nobody meets himself.
_MAKE_SQL = """
CREATE TEMP TABLE made AS
SELECT next_id() AS order_id, n, a.account_id, a.user_id, i.symbol, i.instrument_id,
       CASE WHEN n %% 2 = 0 THEN 'BUY' ELSE 'SELL' END AS side,
       ({price})::numeric(10,4) AS price, 10 AS quantity, 'bench-' || %(tag)s || '-' || n AS client_order_id,
       clock_timestamp() AS now
FROM generate_series(0, %(count)s - 1) AS n
JOIN (SELECT *, row_number() OVER (ORDER BY account_id) - 1 AS place FROM accounts
      WHERE account_type = 'CASH') AS a ON a.place = {place}
JOIN (SELECT symbol, instrument_id, row_number() OVER (ORDER BY symbol) - 1 AS place
      FROM instruments) AS i ON i.place = n / 2 %% 8
ORDER BY n
"""

_PLACE = "(n / 2 * 7 + n % 2 * (1 + n / 2 % 31)) % 32"
_PLACE_MAKER = "CASE WHEN n % 2 = 0 THEN 32 ELSE n / 2 % 32 END"

_ENTER_SQL = (
    """
    INSERT INTO order_client_keys (account_id, client_order_id, order_id, request_hash)
    SELECT account_id, client_order_id, order_id, repeat('0', 64) FROM made ORDER BY n
    """,
    """
    INSERT INTO orders (order_id, user_id, account_id, client_order_id, symbol, side, order_type, price,
                        quantity, status, time_in_force, created_at, updated_at)
    SELECT order_id, user_id, account_id, client_order_id, symbol, side, 'LIMIT', price, quantity, 'PENDING',
           'GTC', now, now FROM made ORDER BY n
    """,
    """
    INSERT INTO live_orders (order_id, account_id, user_id, symbol, status, remaining, hold_price, held_cash,
                             held_shares, created_at)
    SELECT order_id, account_id, user_id, symbol, 'PENDING', quantity,
           CASE side WHEN 'BUY' THEN price ELSE 0 END, CASE side WHEN 'BUY' THEN price * quantity ELSE 0 END,
           CASE side WHEN 'SELL' THEN quantity ELSE 0 END, now FROM made ORDER BY n
    """,
    """
    INSERT INTO order_commands (kind, symbol, instrument_id, order_id, account_id, user_id, side, order_type,
                                time_in_force, price_units, quantity, client_order_id)
    SELECT 'NEW', symbol, instrument_id, order_id, account_id, user_id, side, 'LIMIT', 'GTC',
           (price * 10000)::bigint, quantity, client_order_id FROM made ORDER BY n
    """,
    """
    INSERT INTO events (topic, event_type, user_id, account_id, data, metadata)
    SELECT 'orders-events', 'ORDER_PLACED', user_id, account_id,
           jsonb_build_object('order_id', order_id::text, 'client_order_id', client_order_id,
                              'symbol', symbol, 'side', side,
                              'order_type', 'LIMIT', 'price', price, 'quantity', quantity,
                              'time_in_force', 'GTC'),
           '{"ip_address": null, "user_agent": "bench", "session_id": null}' FROM made ORDER BY n
    """,
    "DROP TABLE made",
)

_CANCEL_SQL = """
INSERT INTO order_commands (kind, symbol, instrument_id, orig_order_id, account_id, user_id)
SELECT 'CANCEL', l.symbol, i.instrument_id, l.order_id, l.account_id, l.user_id
FROM live_orders l JOIN instruments i USING (symbol) ORDER BY l.order_id LIMIT %s
"""


def orders_queue(connection: Any, tag: str, count: int, workload: str) -> None:
    """Queue so many limit orders of a workload: ``resting``, ``crossing`` or ``maker``."""
    place = _PLACE_MAKER if workload == "maker" else _PLACE
    price = PRICE_SQL["resting" if workload == "resting" else "crossing"]
    make = _MAKE_SQL.format(price=price.replace("%", "%%"), place=place.replace("%", "%%"))
    with connection.transaction():
        connection.execute(make, {"tag": tag, "count": count})
        for statement in _ENTER_SQL:
            connection.execute(statement)


def cancels_queue(connection: Any, count: int) -> None:
    """Queue cancels of the oldest resting orders."""
    connection.execute(_CANCEL_SQL, (count,))
