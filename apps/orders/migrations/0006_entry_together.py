"""Let entries that come at once be read and written together: the two functions take arrays."""

from importlib import import_module

from django.db import migrations

alone = import_module("apps.orders.migrations.0004_entry_functions")
verify = import_module("apps.orders.migrations.0002_entry_verify")

# As before: plans are kept, and none may scan or hash a table whole because it was small when the plan was made.
# Nor may one look a position up by its symbol, of which there may be a hundred thousand: hence "|| ''".
SETTINGS = f"{alone.GENERIC} SET enable_hashjoin = off SET enable_mergejoin = off"

FACTS = f"""
CREATE FUNCTION entry_facts(
    p_account_ids bigint[], p_symbols text[], p_client_order_ids text[], p_orders integer[], p_trade_date date
) RETURNS TABLE (
    n bigint, symbol text, now timestamptz, order_ids bigint[], open_orders bigint,
    account_id bigint, user_id bigint, account_status varchar, cash_balance numeric,
    held_cash numeric, held_shares bigint, position_quantity bigint,
    instrument_id integer, instrument_status varchar, tradable boolean, halted boolean,
    matching_partition smallint, last_price numeric, limit_bps integer, ticks numeric[],
    client_key_order_id bigint
) LANGUAGE plpgsql {SETTINGS} AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT k.n, k.symbol, clock_timestamp(),
           ARRAY(SELECT next_id() FROM generate_series(1, k.orders)), h.orders,
           a.account_id, a.user_id, a.account_status, a.cash_balance,
           coalesce(h.cash, 0), coalesce(h.shares, 0), coalesce(p.quantity, 0),
           i.instrument_id, i.status, i.tradable, i.halted, i.matching_partition, ip.last_price,
           (SELECT b.limit_bps FROM price_bands b
            WHERE b.effective_from <= p_trade_date AND b.symbol IN (k.symbol, '')
            ORDER BY b.symbol DESC, b.effective_from DESC LIMIT 1),
           (SELECT array_agg(ARRAY[t.price_from, t.increment]) FROM (
                SELECT DISTINCT ON (price_from) price_from, increment FROM tick_sizes
                WHERE effective_from <= p_trade_date
                ORDER BY price_from, effective_from DESC) AS t),
           (SELECT c.order_id FROM order_client_keys c
            WHERE c.account_id = k.account_id AND c.client_order_id = k.client_order_id)
    FROM unnest(p_account_ids, p_symbols, p_client_order_ids, p_orders)
         WITH ORDINALITY AS k (account_id, symbol, client_order_id, orders, n)
    JOIN accounts a ON a.account_id = k.account_id
    LEFT JOIN LATERAL (
        SELECT count(*) AS orders, sum(l.held_cash) AS cash,
               sum(l.held_shares) FILTER (WHERE l.symbol = k.symbol) AS shares
        FROM live_orders l WHERE l.account_id = k.account_id) AS h ON true
    LEFT JOIN positions p ON p.account_id = k.account_id AND p.symbol || '' = k.symbol
    LEFT JOIN instruments i ON i.symbol = k.symbol
    LEFT JOIN instrument_prices ip ON ip.symbol = k.symbol;
END $$;
"""


def _insert(table: str, columns: dict[str, str]) -> str:
    names = ", ".join(columns)
    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    rows = f"jsonb_to_recordset(p_rows->'{table}') AS r({typed})"
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM {rows} WHERE account_id = ANY(v_sound);"


# Lock and verification are statements of their own: a statement's snapshot is older than the lock it waits for.
WRITE = f"""
CREATE FUNCTION entry_write(
    p_wait boolean, p_account_ids bigint[], p_symbols text[], p_halted boolean[], p_cash numeric[], p_shares integer[],
    p_orig_order_ids bigint[], p_orig_cash numeric[], p_orig_shares integer[], p_rows jsonb
) RETURNS bigint[] LANGUAGE plpgsql {SETTINGS} AS $$
DECLARE
    v_locked bigint[];
    v_sound bigint[];
BEGIN
    IF p_wait THEN
        v_locked := ARRAY(
            SELECT account_id FROM accounts WHERE account_id = ANY(p_account_ids)
            ORDER BY account_id FOR NO KEY UPDATE);
    ELSE
        v_locked := ARRAY(
            SELECT account_id FROM accounts WHERE account_id = ANY(p_account_ids)
            FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    v_sound := ARRAY(
        SELECT k.account_id
        FROM unnest(p_account_ids, p_symbols, p_halted, p_cash, p_shares,
                    p_orig_order_ids, p_orig_cash, p_orig_shares)
             AS k (account_id, symbol, halted, cash, shares, orig_order_id, orig_cash, orig_shares)
        JOIN accounts a ON a.account_id = k.account_id
        JOIN instruments i ON i.symbol = k.symbol
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(l.held_cash), 0) AS cash,
                   coalesce(sum(l.held_shares) FILTER (WHERE l.symbol = k.symbol), 0) AS shares
            FROM live_orders l WHERE l.account_id = k.account_id) AS h
        LEFT JOIN positions p ON p.account_id = k.account_id AND p.symbol || '' = k.symbol
        WHERE k.account_id = ANY(v_locked)
          AND a.account_status = 'ACTIVE'
          AND i.status = 'ACTIVE' AND i.tradable AND i.halted = k.halted
          AND (k.cash = 0 OR a.cash_balance - h.cash >= k.cash)
          AND (k.shares = 0 OR coalesce(p.quantity, 0) - h.shares >= k.shares)
          AND (k.orig_order_id IS NULL OR EXISTS (
              SELECT 1 FROM live_orders o WHERE o.order_id = k.orig_order_id
              AND o.held_cash = k.orig_cash AND o.held_shares = k.orig_shares)));
    {" ".join(_insert(table, columns) for table, columns in alone.TABLES.items())}
    RETURN v_sound;
END $$;
"""

DROP = """
DROP FUNCTION entry_facts(bigint[], text[], text[], integer[], date);
DROP FUNCTION entry_write(
    boolean, bigint[], text[], boolean[], numeric[], integer[], bigint[], numeric[], integer[], jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0005_room_for_changes")]

    operations = [
        migrations.RunSQL(alone.DROP, [alone.FACTS, alone.WRITE]),
        migrations.RunSQL(verify.DROP, verify.CREATE),
        migrations.RunSQL([FACTS, WRITE], DROP),
    ]
