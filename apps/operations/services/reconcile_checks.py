"""What must hold in money, shares and orders, each as one query that returns the rows which break it."""

from dataclasses import dataclass
from enum import StrEnum


class Reads(StrEnum):
    """What a check's query costs, and so how often it can run."""

    LIVE = "LIVE"
    """Small tables only, and the open orders."""

    WINDOW = "WINDOW"
    """All of history, or only what came after an id."""

    HISTORY = "HISTORY"
    """All of history, whatever is asked."""


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: its name, what it says, and the query that finds what contradicts it.

    A query with a window may use ``low``, the first id it looks at, and ``edge``, ten minutes before it:
    what was written beside a row has an id near the row's.
    """

    name: str
    title: str
    sql: str
    reads: Reads = Reads.HISTORY


_LIVE = "('PENDING', 'HELD', 'NEW', 'PARTIALLY_FILLED')"

BOOK_CHECKS: tuple[Check, ...] = (
    Check(
        "I1.entries",
        "the lines of every journal entry sum to zero per currency",
        """
        SELECT entry_id, currency, sum(amount) AS total, count(*) AS lines
        FROM transactions WHERE entry_id >= %(low)s AND transaction_id >= %(edge)s
        GROUP BY entry_id, currency HAVING sum(amount) <> 0 OR count(*) < 2
        """,
        Reads.WINDOW,
    ),
    Check(
        "I1.cash",
        "every customer's cash is the sum of the ledger's lines",
        """
        SELECT a.account_id, a.cash_balance, coalesce(l.total, 0) AS ledger_total
        FROM accounts a LEFT JOIN (
            SELECT account_id, sum(amount) AS total FROM transactions
            GROUP BY account_id) AS l USING (account_id)
        WHERE a.account_type <> 'HOUSE' AND a.cash_balance <> coalesce(l.total, 0)
        """,
    ),
    Check(
        "I1.unsettled",
        "unsettled cash is what pending trades moved, less what settlement has done of their dates",
        """
        SELECT a.account_id, a.unsettled_cash, coalesce(t.total, 0) AS pending_total
        FROM accounts a LEFT JOIN (
            SELECT account_id, sum(amount) AS total FROM (
                SELECT buyer_account_id AS account_id, -trade_value AS amount, settl_date, settlement_status
                FROM trades
                UNION ALL
                SELECT seller_account_id, trade_value, settl_date, settlement_status FROM trades
                UNION ALL
                SELECT account_id, -amount, settl_date, 'SETTLED' FROM settlement_steps
                WHERE step LIKE 'CASH%%'
            ) AS sides
            WHERE settlement_status IN ('PENDING', 'SETTLED') AND settl_date IN (
                SELECT settl_date FROM trades WHERE settlement_status = 'PENDING')
            GROUP BY account_id) AS t USING (account_id)
        WHERE a.unsettled_cash <> coalesce(t.total, 0)
        """,
    ),
    Check(
        "I2.issued",
        "the positions of every symbol sum to the shares issued",
        """
        SELECT symbol, coalesce(p.held, 0) AS positions_total, coalesce(i.issued, 0) AS issued_total
        FROM (SELECT symbol, sum(quantity) AS held FROM positions GROUP BY symbol) AS p
        FULL JOIN (
            SELECT symbol, sum(quantity) AS issued FROM share_issues GROUP BY symbol) AS i USING (symbol)
        WHERE coalesce(p.held, 0) <> coalesce(i.issued, 0)
        """,
    ),
    Check(
        "I2.positions",
        "every position is what was issued to the account, plus bought, less sold, but for busted trades",
        """
        SELECT account_id, symbol, coalesce(p.quantity, 0) AS position_quantity,
               coalesce(m.quantity, 0) AS moved_quantity
        FROM (SELECT account_id, symbol, sum(quantity) AS quantity FROM (
                  SELECT account_id, symbol, quantity FROM share_issues
                  UNION ALL SELECT buyer_account_id, symbol, quantity FROM trades
                  WHERE settlement_status <> 'BUSTED'
                  UNION ALL SELECT seller_account_id, symbol, -quantity FROM trades
                  WHERE settlement_status <> 'BUSTED') AS moves
              GROUP BY account_id, symbol) AS m
        FULL JOIN (SELECT account_id, symbol, quantity FROM positions) AS p USING (account_id, symbol)
        WHERE coalesce(p.quantity, 0) <> coalesce(m.quantity, 0)
        """,
    ),
    Check(
        "I2.holds",
        "live orders never hold more shares than the account owns",
        """
        SELECT account_id, symbol, sum(l.held_shares) AS held_shares, max(coalesce(p.quantity, 0)) AS quantity
        FROM live_orders l LEFT JOIN positions p USING (account_id, symbol)
        GROUP BY account_id, symbol HAVING sum(l.held_shares) > max(coalesce(p.quantity, 0))
        """,
        Reads.LIVE,
    ),
    Check(
        "I3.cash",
        "no cash account is below zero, and none holds more cash than it has",
        """
        SELECT a.account_id, a.cash_balance, coalesce(sum(l.held_cash), 0) AS held_cash
        FROM accounts a LEFT JOIN live_orders l USING (account_id)
        WHERE a.account_type = 'CASH'
        GROUP BY a.account_id, a.cash_balance
        HAVING a.cash_balance < 0 OR a.cash_balance < coalesce(sum(l.held_cash), 0)
        """,
        Reads.LIVE,
    ),
    Check(
        "I3.shares",
        "no position and no hold is below zero",
        """
        SELECT 'position' AS what, account_id, symbol, quantity::numeric AS figure
        FROM positions WHERE quantity < 0 OR average_cost < 0
        UNION ALL
        SELECT 'hold', account_id, symbol, least(remaining, held_cash, held_shares) FROM live_orders
        WHERE remaining <= 0 OR held_cash < 0 OR held_shares < 0
        """,
        Reads.LIVE,
    ),
    Check(
        "I4.fills",
        "every order's filled quantity and value are the sums of its trades, within its quantity",
        """
        SELECT order_id, o.quantity, o.filled_quantity, coalesce(f.quantity, 0) AS traded_quantity,
               o.filled_value, coalesce(f.value, 0) AS traded_value
        FROM (SELECT * FROM orders WHERE order_id >= %(low)s) AS o FULL JOIN (
            SELECT order_id, sum(quantity) AS quantity, sum(price * quantity) AS value FROM (
                SELECT buy_order_id AS order_id, price, quantity FROM trades
                WHERE trade_id >= %(edge)s AND buy_order_id >= %(low)s
                UNION ALL SELECT sell_order_id, price, quantity FROM trades
                WHERE trade_id >= %(edge)s AND sell_order_id >= %(low)s) AS sides
            GROUP BY order_id) AS f USING (order_id)
        WHERE o.order_id IS NULL OR o.filled_quantity > o.quantity
           OR o.filled_quantity <> coalesce(f.quantity, 0) OR o.filled_value <> coalesce(f.value, 0)
        """,
        Reads.WINDOW,
    ),
    Check(
        "I4.live",
        "exactly the live orders have a hold (or a replacement that is still queued)",
        f"""
        SELECT order_id, o.status AS order_status, l.status AS hold_status
        FROM (SELECT order_id, status FROM orders
              WHERE status IN {_LIVE} AND order_id >= %(low)s) AS o
        FULL JOIN (SELECT order_id, status FROM live_orders WHERE order_id >= %(low)s) AS l USING (order_id)
        WHERE (o.order_id IS NULL OR l.order_id IS NULL) AND NOT EXISTS (
            SELECT 1 FROM order_commands c
            WHERE c.order_id = l.order_id AND c.kind = 'REPLACE' AND o.order_id IS NULL)
        """,
        Reads.WINDOW,
    ),
    Check(
        "I4.holds",
        "every hold says what remains of its order, and holds exactly that",
        """
        SELECT o.order_id, o.status, l.status AS hold_status,
               o.quantity - o.filled_quantity AS leaves_quantity,
               l.remaining, l.hold_price, l.held_cash, l.held_shares
        FROM live_orders l JOIN orders o USING (order_id)
        WHERE l.status <> o.status OR l.remaining <> o.quantity - o.filled_quantity
           OR l.account_id <> o.account_id OR l.symbol <> o.symbol
           OR l.held_cash <> l.hold_price * l.remaining
           OR (l.status <> 'HELD' AND l.held_shares <> CASE WHEN o.side = 'SELL' THEN l.remaining ELSE 0 END)
           OR (o.side = 'BUY' AND l.hold_price < coalesce(o.price, o.collar_price))
        """,
        Reads.LIVE,
    ),
    Check(
        "I4.legs",
        "a leg that waits holds what its entry has bought so far, and of a pair of exits only one holds",
        """
        SELECT l.order_id, l.group_id, o.leg, l.held_shares, coalesce(e.bought, 0) AS bought
        FROM live_orders l JOIN orders o USING (order_id)
        LEFT JOIN LATERAL (
            SELECT sum(filled_quantity) AS bought FROM orders
            WHERE group_id = l.group_id AND leg = 'ENTRY') AS e ON true
        WHERE l.status = 'HELD' AND l.held_shares <> CASE
            WHEN o.leg = 'STOP_LOSS' AND EXISTS (
                SELECT 1 FROM live_orders t JOIN orders p USING (order_id)
                WHERE t.group_id = l.group_id AND p.leg = 'TAKE_PROFIT') THEN 0
            ELSE coalesce(e.bought, 0) END
        """,
        Reads.LIVE,
    ),
    Check(
        "I4.groups",
        "no leg is left behind: one that waits has a partner at work, an armed stop-loss listens at its stop "
        "and for a triggered one its partner is being cancelled",
        """
        SELECT l.order_id, l.group_id, o.leg, l.status, l.trigger_price, o.triggered_at, i.last_price
        FROM live_orders l JOIN orders o USING (order_id)
        LEFT JOIN instrument_prices i ON i.symbol = l.symbol
        LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE t.status <> 'HELD') AS working,
                   count(*) FILTER (WHERE t.status IN ('NEW', 'PARTIALLY_FILLED')
                                    AND p.leg = 'TAKE_PROFIT') AS profits,
                   count(c.command_id) AS withdrawals
            FROM live_orders t JOIN orders p USING (order_id)
            LEFT JOIN order_commands c ON c.orig_order_id = t.order_id AND c.kind = 'CANCEL'
            WHERE t.group_id = l.group_id AND t.order_id <> l.order_id) AS mates ON true
        WHERE l.group_id IS DISTINCT FROM o.group_id
           OR (l.status = 'HELD' AND mates.working = 0)
           OR (l.trigger_price IS NOT NULL AND (
               o.leg <> 'STOP_LOSS' OR o.triggered_at IS NOT NULL OR l.trigger_price <> o.stop_price
               OR i.last_price <= l.trigger_price))
           OR (l.status = 'HELD' AND o.leg = 'STOP_LOSS' AND l.trigger_price IS NULL
               AND CASE WHEN o.triggered_at IS NULL THEN mates.profits > 0 AND mates.withdrawals = 0
                        ELSE mates.withdrawals = 0 END)
        """,
        Reads.LIVE,
    ),
)
