"""Let entry write what was decided on an earlier reading: what that took for granted is verified under the lock."""

from importlib import import_module

from django.db import migrations

together = import_module("apps.orders.migrations.0006_entry_together")

INSERTS = " ".join(together._insert(table, columns) for table, columns in together.alone.TABLES.items())

# Lock and verification are statements of their own: a statement's snapshot is older than the lock it waits for.
# An entry with bounds for the last price was decided on an earlier reading: nobody has looked whether its client
# id was used.
WRITE = f"""
CREATE FUNCTION entry_write(
    p_wait boolean, p_account_ids bigint[], p_symbols text[], p_instrument_ids integer[], p_partitions smallint[],
    p_halted boolean[], p_cash numeric[], p_shares integer[],
    p_orig_order_ids bigint[], p_orig_cash numeric[], p_orig_shares integer[],
    p_last_low numeric[], p_last_high numeric[], p_client_order_ids text[], p_rows jsonb
) RETURNS bigint[] LANGUAGE plpgsql {together.SETTINGS} AS $$
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
        FROM unnest(p_account_ids, p_symbols, p_instrument_ids, p_partitions, p_halted, p_cash, p_shares,
                    p_orig_order_ids, p_orig_cash, p_orig_shares, p_last_low, p_last_high, p_client_order_ids)
             AS k (account_id, symbol, instrument_id, matching_partition, halted, cash, shares,
                   orig_order_id, orig_cash, orig_shares, last_low, last_high, client_order_id)
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
          AND i.instrument_id = k.instrument_id AND i.matching_partition = k.matching_partition
          AND (k.cash = 0 OR a.cash_balance - h.cash >= k.cash)
          AND (k.shares = 0 OR coalesce(p.quantity, 0) - h.shares >= k.shares)
          AND (k.orig_order_id IS NULL OR EXISTS (
              SELECT 1 FROM live_orders o WHERE o.order_id = k.orig_order_id
              AND o.held_cash = k.orig_cash AND o.held_shares = k.orig_shares))
          AND (k.last_low IS NULL OR (
              EXISTS (SELECT 1 FROM instrument_prices ip WHERE ip.symbol = k.symbol
                      AND ip.last_price BETWEEN k.last_low AND k.last_high)
              AND NOT EXISTS (SELECT 1 FROM order_client_keys c WHERE c.account_id = k.account_id
                              AND c.client_order_id = k.client_order_id))));
    {INSERTS}
    RETURN v_sound;
END $$;
"""

DROP = """
DROP FUNCTION entry_write(
    boolean, bigint[], text[], integer[], smallint[], boolean[], numeric[], integer[], bigint[], numeric[],
    integer[], numeric[], numeric[], text[], jsonb);
"""

DROP_BEFORE = """
DROP FUNCTION entry_write(
    boolean, bigint[], text[], boolean[], numeric[], integer[], bigint[], numeric[], integer[], jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0006_entry_together")]

    operations = [
        migrations.RunSQL(DROP_BEFORE, together.WRITE),
        migrations.RunSQL(WRITE, DROP),
    ]
