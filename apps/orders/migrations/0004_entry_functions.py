"""Let the server keep entry's plans: one function that reads what entry decides on, one that writes all of it."""

from django.db import migrations

# The server plans every statement anew, which partitioned tables need and these do not: half of what entry cost.
# A plan that is kept must not depend on how small a table was when it was made, so it may not scan one whole.
GENERIC = "SET plan_cache_mode = force_generic_plan SET enable_seqscan = off"

FACTS = f"""
CREATE FUNCTION entry_facts(
    p_account_id bigint, p_symbol text, p_client_order_id text, p_trade_date date, p_orders integer
) RETURNS TABLE (
    symbol text, now timestamptz, order_ids bigint[],
    account_id bigint, user_id bigint, account_status varchar, cash_balance numeric,
    held_cash numeric, held_shares bigint, position_quantity bigint,
    instrument_id integer, instrument_status varchar, tradable boolean, halted boolean,
    matching_partition smallint, last_price numeric, limit_bps integer, ticks numeric[],
    client_key_order_id bigint
) LANGUAGE plpgsql {GENERIC} AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT p_symbol, clock_timestamp(), ARRAY(SELECT next_id() FROM generate_series(1, p_orders)),
           a.account_id, a.user_id, a.account_status, a.cash_balance,
           coalesce(h.cash, 0), coalesce(h.shares, 0), coalesce(p.quantity, 0),
           i.instrument_id, i.status, i.tradable, i.halted, i.matching_partition, ip.last_price,
           (SELECT b.limit_bps FROM price_bands b
            WHERE b.effective_from <= p_trade_date AND b.symbol IN (p_symbol, '')
            ORDER BY b.symbol DESC, b.effective_from DESC LIMIT 1),
           (SELECT array_agg(ARRAY[t.price_from, t.increment]) FROM (
                SELECT DISTINCT ON (price_from) price_from, increment FROM tick_sizes
                WHERE effective_from <= p_trade_date
                ORDER BY price_from, effective_from DESC) AS t),
           (SELECT k.order_id FROM order_client_keys k
            WHERE k.account_id = p_account_id AND k.client_order_id = p_client_order_id)
    FROM accounts a
    LEFT JOIN LATERAL (
        SELECT sum(l.held_cash) AS cash, sum(l.held_shares) FILTER (WHERE l.symbol = p_symbol) AS shares
        FROM live_orders l WHERE l.account_id = p_account_id) AS h ON true
    LEFT JOIN positions p ON p.account_id = p_account_id AND p.symbol = p_symbol
    LEFT JOIN instruments i ON i.symbol = p_symbol
    LEFT JOIN instrument_prices ip ON ip.symbol = p_symbol
    WHERE a.account_id = p_account_id;
END $$;
"""

KEY = {"account_id": "bigint", "client_order_id": "varchar", "order_id": "bigint", "request_hash": "varchar"}
ORDER = {
    "order_id": "bigint",
    "user_id": "bigint",
    "account_id": "bigint",
    "client_order_id": "varchar",
    "symbol": "varchar",
    "side": "varchar",
    "order_type": "varchar",
    "price": "numeric",
    "collar_price": "numeric",
    "stop_price": "numeric",
    "trail_amount": "numeric",
    "trail_percent": "numeric",
    "high_water_mark": "numeric",
    "quantity": "integer",
    "status": "varchar",
    "time_in_force": "varchar",
    "order_class": "varchar",
    "group_id": "bigint",
    "leg": "varchar",
    "matching_partition": "smallint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "expires_at": "timestamptz",
}
HOLD = {
    "order_id": "bigint",
    "account_id": "bigint",
    "user_id": "bigint",
    "matching_partition": "smallint",
    "symbol": "varchar",
    "status": "varchar",
    "remaining": "integer",
    "hold_price": "numeric",
    "held_cash": "numeric",
    "held_shares": "integer",
    "group_id": "bigint",
    "created_at": "timestamptz",
}
COMMAND = {
    "matching_partition": "smallint",
    "kind": "varchar",
    "symbol": "varchar",
    "instrument_id": "integer",
    "order_id": "bigint",
    "orig_order_id": "bigint",
    "account_id": "bigint",
    "user_id": "bigint",
    "side": "varchar",
    "order_type": "varchar",
    "time_in_force": "varchar",
    "price_units": "bigint",
    "stop_price_units": "bigint",
    "trail": "bigint",
    "quantity": "integer",
    "flags": "integer",
    "argument": "integer",
    "client_order_id": "varchar",
}
EVENT = {
    "topic": "varchar",
    "event_type": "varchar",
    "user_id": "bigint",
    "account_id": "bigint",
    "account_seq": "bigint",
    "data": "jsonb",
    "metadata": "jsonb",
}
TABLES = {
    "order_client_keys": KEY,
    "orders": ORDER,
    "live_orders": HOLD,
    "order_commands": COMMAND,
    "events": EVENT,
}


def _insert(table: str, columns: dict[str, str]) -> str:
    names = ", ".join(columns)
    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    rows = f"jsonb_to_recordset(p_rows->'{table}') AS r({typed})"
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM {rows};"


# Lock and verification are statements of their own: a statement's snapshot is older than the lock it waits for.
WRITE = f"""
CREATE FUNCTION entry_write(
    p_account_id bigint, p_symbol text, p_halted boolean, p_cash numeric, p_shares integer,
    p_orig_order_id bigint, p_orig_cash numeric, p_orig_shares integer, p_rows jsonb
) RETURNS void LANGUAGE plpgsql {GENERIC} AS $$
BEGIN
    PERFORM FROM accounts WHERE account_id = p_account_id FOR NO KEY UPDATE;
    PERFORM entry_verify(
        p_account_id, p_symbol, p_halted, p_cash, p_shares, p_orig_order_id, p_orig_cash, p_orig_shares);
    {" ".join(_insert(table, columns) for table, columns in TABLES.items())}
END $$;
"""

DROP = """
DROP FUNCTION entry_write(bigint, text, boolean, numeric, integer, bigint, numeric, integer, jsonb);
DROP FUNCTION entry_facts(bigint, text, text, date, integer);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0003_stops_and_groups"),
        ("accounts", "0001_initial"),
        ("events", "0001_initial"),
        ("instruments", "0002_bands"),
        ("matching", "0002_settings"),
        ("positions", "0001_initial"),
    ]

    operations = [migrations.RunSQL([FACTS, WRITE], DROP)]
