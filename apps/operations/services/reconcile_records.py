"""What must hold between the records: trades, ledger, events, journal, client ids and their owners."""

from apps.operations.services.reconcile_checks import Check, Reads

RECORD_CHECKS: tuple[Check, ...] = (
    Check(
        "I6.limits",
        "no trade is worse than either order's limit, or collar",
        """
        SELECT t.trade_id, t.price, b.order_id AS buy_order_id, coalesce(b.price, b.collar_price) AS highest,
               s.order_id AS sell_order_id, coalesce(s.price, s.collar_price) AS lowest
        FROM trades t
        LEFT JOIN orders b ON b.order_id = t.buy_order_id
        LEFT JOIN orders s ON s.order_id = t.sell_order_id
        WHERE t.trade_id >= %(low)s
          AND NOT coalesce(t.price BETWEEN coalesce(s.price, s.collar_price)
                                       AND coalesce(b.price, b.collar_price), false)
        """,
        Reads.WINDOW,
    ),
    Check(
        "I6.ticks",
        "every trade's price is on a tick that was in force by its date",
        """
        SELECT t.trade_id, t.symbol, t.price, t.trade_date
        FROM trades t
        WHERE t.trade_id >= %(low)s AND NOT EXISTS (
            SELECT 1 FROM tick_sizes k
            WHERE k.effective_from <= t.trade_date AND k.price_from <= t.price
              AND t.price %% k.increment = 0
              AND NOT EXISTS (
                SELECT 1 FROM tick_sizes finer
                WHERE finer.effective_from = k.effective_from
                  AND finer.price_from > k.price_from AND finer.price_from <= t.price))
        """,
        Reads.WINDOW,
    ),
    Check(
        "I7.ledger",
        "every trade has exactly its two ledger lines, of its value, on its two accounts",
        """
        SELECT trade_id, t.trade_value, l.lines, l.bought, l.sold
        FROM (SELECT * FROM trades WHERE trade_id >= %(low)s) AS t FULL JOIN (
            SELECT reference_id AS trade_id, count(*) AS lines,
                   sum(amount) FILTER (WHERE transaction_type = 'TRADE_BUY') AS bought,
                   sum(amount) FILTER (WHERE transaction_type = 'TRADE_SELL') AS sold,
                   max(account_id) FILTER (WHERE transaction_type = 'TRADE_BUY') AS buyer_account_id,
                   max(account_id) FILTER (WHERE transaction_type = 'TRADE_SELL') AS seller_account_id
            FROM transactions WHERE transaction_type IN ('TRADE_BUY', 'TRADE_SELL')
              AND reference_id >= %(low)s AND transaction_id >= %(edge)s
            GROUP BY reference_id) AS l USING (trade_id)
        WHERE t.trade_id IS NULL OR l.lines IS DISTINCT FROM 2
           OR l.bought IS DISTINCT FROM -t.trade_value OR l.sold IS DISTINCT FROM t.trade_value
           OR l.buyer_account_id <> t.buyer_account_id OR l.seller_account_id <> t.seller_account_id
        """,
        Reads.WINDOW,
    ),
    Check(
        "I7.events",
        "every trade has exactly two TRADE_EXECUTED events, one a side",
        """
        WITH kept AS (
            SELECT greatest(%(low)s, coalesce(max(high), 0)) AS low FROM event_archives)
        SELECT trade_id, e.events, e.sides
        FROM (SELECT trade_id FROM trades WHERE trade_id >= (SELECT low FROM kept)) AS t FULL JOIN (
            SELECT (data ->> 'trade_id')::bigint AS trade_id, count(*) AS events,
                   count(DISTINCT data ->> 'side') AS sides
            FROM events WHERE topic = 'trades-events' AND event_type = 'TRADE_EXECUTED'
              AND id >= %(edge)s AND (data ->> 'trade_id')::bigint >= (SELECT low FROM kept)
            GROUP BY 1) AS e USING (trade_id)
        WHERE t.trade_id IS NULL OR e.events IS DISTINCT FROM 2 OR e.sides <> 2
        """,
        Reads.WINDOW,
    ),
    Check(
        "I7.busts",
        "exactly the busted trades have two lines that take their value back, and one event a side",
        """
        WITH kept AS (
            SELECT greatest(%(low)s, coalesce(max(high), 0)) AS low FROM event_archives)
        SELECT trade_id, t.settlement_status, t.trade_value, l.lines, l.returned, l.taken, e.events, e.sides
        FROM (SELECT * FROM trades WHERE trade_id >= %(low)s AND settlement_status = 'BUSTED') AS t
        FULL JOIN (
            SELECT reference_id AS trade_id, count(*) AS lines,
                   sum(amount) FILTER (WHERE amount > 0) AS returned,
                   sum(amount) FILTER (WHERE amount < 0) AS taken,
                   max(account_id) FILTER (WHERE amount > 0) AS buyer_account_id,
                   max(account_id) FILTER (WHERE amount < 0) AS seller_account_id
            FROM transactions WHERE transaction_type = 'TRADE_BUST'
              AND reference_id >= %(low)s AND transaction_id >= %(edge)s
            GROUP BY reference_id) AS l USING (trade_id)
        FULL JOIN (
            SELECT (data ->> 'trade_id')::bigint AS trade_id, count(*) AS events,
                   count(DISTINCT data ->> 'side') AS sides
            FROM events WHERE topic = 'trades-events' AND event_type = 'TRADE_BUSTED'
              AND id >= %(edge)s AND (data ->> 'trade_id')::bigint >= (SELECT low FROM kept)
            GROUP BY 1) AS e USING (trade_id)
        WHERE t.trade_id IS NULL OR l.lines IS DISTINCT FROM 2
           OR (t.trade_value > 0 AND (
               l.returned IS DISTINCT FROM t.trade_value OR l.taken IS DISTINCT FROM -t.trade_value
               OR l.buyer_account_id <> t.buyer_account_id OR l.seller_account_id <> t.seller_account_id))
           OR (trade_id >= (SELECT low FROM kept) AND (e.events IS DISTINCT FROM 2 OR e.sides <> 2))
        """,
        Reads.WINDOW,
    ),
    Check(
        "I7.executions",
        "no execution (matching partition, sequence, n) was booked twice",
        """
        SELECT matching_partition, match_seq, match_n, count(*) AS trades
        FROM trades WHERE trade_id >= %(low)s
        GROUP BY matching_partition, match_seq, match_n HAVING count(*) > 1
        """,
        Reads.WINDOW,
    ),
    Check(
        "I7.journal",
        "every trade was matched from a command that is in the journal",
        """
        SELECT t.trade_id, t.matching_partition, t.match_seq AS seq
        FROM trades t LEFT JOIN matching_journal j
          ON j.matching_partition = t.matching_partition AND j.seq = t.match_seq
        WHERE t.trade_id >= %(low)s AND j.seq IS NULL
        """,
        Reads.WINDOW,
    ),
    Check(
        "I7.relay",
        "every sink of the relay was delivered every event of the last days of its epoch, once",
        """
        SELECT c.sink, c.stream_epoch, s.at::date AS day, coalesce(d.delivered, 0) AS delivered, e.events
        FROM relay_cursors c
        JOIN LATERAL (SELECT min(day) AS first_day FROM relay_days
                      WHERE sink = c.sink AND stream_epoch = c.stream_epoch) AS f ON true
        CROSS JOIN LATERAL generate_series(
            greatest(f.first_day + 1, current_date - 2)::timestamp, current_date, '1 day') AS s (at)
        LEFT JOIN relay_days d ON d.sink = c.sink AND d.stream_epoch = c.stream_epoch AND d.day = s.at::date
        CROSS JOIN LATERAL (
            SELECT count(*) AS events FROM events
            WHERE id >= (extract(epoch FROM s.at) * 1000 - 1577836800000)::bigint << 21
              AND id < (extract(epoch FROM s.at + interval '1 day') * 1000 - 1577836800000)::bigint << 21
              AND (xact_id, id) <= (c.xact_id::text::xid8, c.event_id)) AS e
        WHERE f.first_day IS NOT NULL AND coalesce(d.delivered, 0) <> e.events
        """,
    ),
    Check(
        "I8.crossed",
        "no book that trades is crossed",
        """
        SELECT l.symbol, max(o.price) FILTER (WHERE o.side = 'BUY') AS best_bid,
               min(o.price) FILTER (WHERE o.side = 'SELL') AS best_ask
        FROM live_orders l JOIN orders o USING (order_id) JOIN instruments i ON i.symbol = l.symbol
        LEFT JOIN book_sessions s ON s.symbol = l.symbol
        WHERE l.status IN ('NEW', 'PARTIALLY_FILLED') AND o.time_in_force NOT IN ('OPG', 'CLS')
          AND (o.order_type = 'LIMIT' OR (o.order_type = 'STOP_LIMIT' AND o.triggered_at IS NOT NULL))
          AND NOT i.halted AND coalesce(s.phase, 'CONTINUOUS') = 'CONTINUOUS'
          AND NOT EXISTS (SELECT 1 FROM order_commands c WHERE c.symbol = l.symbol AND c.kind = 'PHASE')
        GROUP BY l.symbol
        HAVING max(o.price) FILTER (WHERE o.side = 'BUY') >= min(o.price) FILTER (WHERE o.side = 'SELL')
        """,
        Reads.LIVE,
    ),
    Check(
        "I8.resting",
        "what the engine keeps may wait there: limit orders, stops that were not triggered, auction orders",
        """
        SELECT o.order_id, l.symbol, l.status, o.order_type, o.time_in_force
        FROM live_orders l JOIN orders o USING (order_id)
        WHERE l.status IN ('NEW', 'PARTIALLY_FILLED')
          AND (coalesce(o.price, o.collar_price) IS NULL OR o.time_in_force IN ('IOC', 'FOK')
               OR (o.order_type = 'MARKET' AND o.time_in_force NOT IN ('OPG', 'CLS'))
               OR (o.order_type IN ('STOP', 'TRAIL') AND o.triggered_at IS NOT NULL))
        """,
        Reads.LIVE,
    ),
    Check(
        "I9.placed",
        "every order that was acknowledged is there",
        """
        SELECT e.id AS event_id, e.account_id, e.data ->> 'order_id' AS order_id
        FROM events e
        WHERE e.id >= %(low)s AND e.topic = 'orders-events' AND e.event_type = 'ORDER_PLACED'
          AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.order_id = (e.data ->> 'order_id')::bigint)
        """,
        Reads.WINDOW,
    ),
    Check(
        "I10.journal",
        "the journal has no gap up to its leader's sequence",
        """
        SELECT l.matching_partition, l.seq AS leader_seq, j.records, j.first_seq, j.last_seq
        FROM matching_leader l CROSS JOIN LATERAL (
            SELECT count(*) AS records, min(seq) AS first_seq, max(seq) AS last_seq FROM matching_journal
            WHERE matching_partition = l.matching_partition AND seq > l.seq - %(records)s) AS j
        WHERE j.records <> least(l.seq, %(records)s) OR coalesce(j.last_seq, 0) <> l.seq
        """,
        Reads.WINDOW,
    ),
    Check(
        "I10.epochs",
        "no leader wrote after the first record of the next one",
        """
        SELECT * FROM (
            SELECT j.matching_partition, j.seq, j.epoch, l.epoch AS leader_epoch,
                   lag(j.epoch) OVER (PARTITION BY j.matching_partition ORDER BY j.seq) AS epoch_before
            FROM matching_leader l JOIN matching_journal j
              ON j.matching_partition = l.matching_partition AND j.seq > l.seq - %(records)s) AS told
        WHERE epoch < epoch_before OR epoch > leader_epoch
        """,
        Reads.WINDOW,
    ),
    Check(
        "I13.client_ids",
        "every order has its client order id to itself",
        """
        SELECT o.order_id, o.account_id, o.client_order_id, k.order_id AS key_order_id
        FROM orders o LEFT JOIN order_client_keys k
          ON k.account_id = o.account_id AND k.client_order_id = o.client_order_id
        WHERE o.order_id >= %(low)s AND k.order_id IS DISTINCT FROM o.order_id
        """,
        Reads.WINDOW,
    ),
    Check(
        "I14.owners",
        "every order, trade, ledger line and event belongs to the user of its account",
        """
        SELECT told.what, told.id, told.account_id, told.user_id, a.user_id AS owner_id
        FROM (
            SELECT 'order' AS what, order_id AS id, account_id, user_id FROM orders WHERE order_id >= %(low)s
            UNION ALL SELECT 'bought', trade_id, buyer_account_id, buyer_id
            FROM trades WHERE trade_id >= %(low)s
            UNION ALL SELECT 'sold', trade_id, seller_account_id, seller_id
            FROM trades WHERE trade_id >= %(low)s
            UNION ALL SELECT 'line', transaction_id, account_id, user_id
            FROM transactions WHERE transaction_id >= %(low)s
            UNION ALL SELECT 'event', id, account_id, user_id
            FROM events WHERE id >= %(low)s AND account_seq IS NOT NULL) AS told
        LEFT JOIN accounts a ON a.account_id = told.account_id
        WHERE a.user_id IS DISTINCT FROM told.user_id
        """,
        Reads.WINDOW,
    ),
)
