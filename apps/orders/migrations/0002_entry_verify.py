"""Create the check that entry makes under the account's lock, in the server, so that no client thinks meanwhile."""

from django.db import migrations

CREATE = """
CREATE FUNCTION entry_verify(
    p_account_id bigint, p_symbol text, p_halted boolean, p_cash numeric, p_shares integer,
    p_orig_order_id bigint, p_orig_cash numeric, p_orig_shares integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_ok boolean;
BEGIN
    SELECT a.account_status = 'ACTIVE'
           AND i.status = 'ACTIVE' AND i.tradable AND i.halted = p_halted
           AND (p_cash = 0 OR a.cash_balance - h.cash >= p_cash)
           AND (p_shares = 0 OR coalesce(p.quantity, 0) - h.shares >= p_shares)
           AND (p_orig_order_id IS NULL OR EXISTS (
               SELECT 1 FROM live_orders o WHERE o.order_id = p_orig_order_id
               AND o.held_cash = p_orig_cash AND o.held_shares = p_orig_shares))
    INTO v_ok
    FROM accounts a
    JOIN instruments i ON i.symbol = p_symbol
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(l.held_cash), 0) AS cash,
               coalesce(sum(l.held_shares) FILTER (WHERE l.symbol = p_symbol), 0) AS shares
        FROM live_orders l WHERE l.account_id = a.account_id) AS h
    LEFT JOIN positions p ON p.account_id = a.account_id AND p.symbol = p_symbol
    WHERE a.account_id = p_account_id;
    IF v_ok IS NOT TRUE THEN
        RAISE EXCEPTION 'what entry decided on has changed' USING ERRCODE = 'OB001';
    END IF;
END $$;
"""

DROP = "DROP FUNCTION entry_verify(bigint, text, boolean, numeric, integer, bigint, numeric, integer);"


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0001_initial"),
        ("accounts", "0001_initial"),
        ("instruments", "0001_initial"),
        ("positions", "0001_initial"),
    ]

    operations = [migrations.RunSQL(CREATE, DROP)]
