"""What surveillance remembers of trading, written with each batch, read in windows, kept for a day."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.surveillance.intake import Intake, Side
from apps.surveillance.rules import Fill, MessageCount, WatchedTrade, Withdrawal

KEPT = timedelta(days=1)
"""How long trades, withdrawn orders and counts are kept: longer than any window."""

ROWS_MAX = 2_000
"""Rows of one account, or of one pair, that one look at a window reads: the newest."""

# Both sides come by events of their own, and neither knows the other.
_TRADES_SQL = """
INSERT INTO surveillance_trades AS t (trade_id, symbol, price, quantity, executed_at,
    buy_account_id, buy_event_id, sell_account_id, sell_event_id)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::numeric[], %s::int[], %s::timestamptz[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (trade_id) DO UPDATE SET
    buy_account_id = coalesce(t.buy_account_id, excluded.buy_account_id),
    buy_event_id = coalesce(t.buy_event_id, excluded.buy_event_id),
    sell_account_id = coalesce(t.sell_account_id, excluded.sell_account_id),
    sell_event_id = coalesce(t.sell_event_id, excluded.sell_event_id)
"""

_WITHDRAWALS_SQL = """
INSERT INTO surveillance_withdrawals
    (order_id, account_id, symbol, side, price, quantity, entered_at, withdrawn_at, event_id)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::numeric[], %s::int[],
    %s::timestamptz[], %s::timestamptz[], %s::bigint[])
ON CONFLICT (order_id) DO NOTHING
"""

_COUNTS_SQL = """
INSERT INTO surveillance_messages AS c (account_id, symbol, window_s, begins_at, messages, trades,
    volume_ordered, volume_traded, last_at, last_event_id)
SELECT account_id, symbol, %s, begins_at, messages, trades, ordered, traded, last_at, last_event_id
FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::timestamptz[], %s::bigint[])
    AS t (account_id, symbol, begins_at, messages, trades, ordered, traded, last_at, last_event_id)
ON CONFLICT (account_id, symbol, window_s, begins_at) DO UPDATE SET
    messages = c.messages + excluded.messages, trades = c.trades + excluded.trades,
    volume_ordered = c.volume_ordered + excluded.volume_ordered,
    volume_traded = c.volume_traded + excluded.volume_traded,
    last_at = greatest(c.last_at, excluded.last_at),
    last_event_id = greatest(c.last_event_id, excluded.last_event_id)
RETURNING account_id, symbol, begins_at, messages, trades, volume_ordered, volume_traded, last_at,
    last_event_id
"""

_WHOLE_SQL = """
SELECT trade_id, symbol, price, quantity, executed_at, buy_account_id, sell_account_id,
       buy_event_id, sell_event_id
FROM surveillance_trades
WHERE trade_id = ANY(%s) AND buy_account_id IS NOT NULL AND sell_account_id IS NOT NULL ORDER BY trade_id
"""

_BETWEEN_SQL = f"""
SELECT * FROM (
    SELECT trade_id, symbol, price, quantity, executed_at, buy_account_id, sell_account_id,
           buy_event_id, sell_event_id
    FROM surveillance_trades
    WHERE symbol = %(symbol)s AND executed_at > %(after)s AND executed_at <= %(until)s
      AND (buy_account_id, sell_account_id) IN ((%(one)s, %(other)s), (%(other)s, %(one)s))
    ORDER BY executed_at DESC, trade_id DESC LIMIT {ROWS_MAX}) AS newest
ORDER BY executed_at, trade_id
"""

_VOLUME_SQL = """
SELECT coalesce(sum(quantity), 0)::bigint FROM (
    SELECT quantity FROM surveillance_trades WHERE buy_account_id = %(account_id)s AND symbol = %(symbol)s
        AND executed_at > %(after)s AND executed_at <= %(until)s
    UNION ALL
    SELECT quantity FROM surveillance_trades WHERE sell_account_id = %(account_id)s AND symbol = %(symbol)s
        AND executed_at > %(after)s AND executed_at <= %(until)s) AS its
"""

_FILLS_SQL = f"""
SELECT 'BUY', price, quantity, executed_at, buy_event_id FROM surveillance_trades
WHERE buy_account_id = %(account_id)s AND symbol = %(symbol)s
  AND executed_at > %(after)s AND executed_at <= %(until)s
UNION ALL
SELECT 'SELL', price, quantity, executed_at, sell_event_id FROM surveillance_trades
WHERE sell_account_id = %(account_id)s AND symbol = %(symbol)s
  AND executed_at > %(after)s AND executed_at <= %(until)s
ORDER BY 4 DESC LIMIT {ROWS_MAX}
"""

_WITHDRAWN_SQL = f"""
SELECT order_id, account_id, symbol, side, price, quantity, entered_at, withdrawn_at, event_id
FROM surveillance_withdrawals
WHERE account_id = %(account_id)s AND symbol = %(symbol)s
  AND withdrawn_at > %(after)s AND withdrawn_at <= %(until)s
ORDER BY withdrawn_at DESC LIMIT {ROWS_MAX}
"""

_FORGET_SQL = (
    "DELETE FROM surveillance_trades WHERE executed_at < %s",
    "DELETE FROM surveillance_withdrawals WHERE withdrawn_at < %s",
    "DELETE FROM surveillance_messages WHERE last_at < %s",
)


def intake_write(cursor: Any, intake: Intake, window_s: int) -> list[MessageCount]:
    """Write down what a batch said; returns the counts of messages as they stand after it."""
    if intake.sides:
        rows = [_trade_row(side) for side in sorted(intake.sides, key=lambda side: side.trade_id)]
        cursor.execute(_TRADES_SQL, [list(column) for column in zip(*_paired(rows), strict=True)])
    if intake.withdrawals:
        found = [(*_withdrawal_row(one),) for one in intake.withdrawals]
        cursor.execute(_WITHDRAWALS_SQL, [list(column) for column in zip(*found, strict=True)])
    if not intake.counts:
        return []
    columns = zip(*[_count_row(count) for count in intake.counts], strict=True)
    cursor.execute(_COUNTS_SQL, [window_s, *[list(column) for column in columns]])
    return [MessageCount(*row) for row in cursor.fetchall()]


def trades_whole(cursor: Any, trade_ids: Sequence[int]) -> list[WatchedTrade]:
    """Return those of these trades whose two sides are known, in order."""
    cursor.execute(_WHOLE_SQL, (list(trade_ids),))
    return [WatchedTrade(*row) for row in cursor.fetchall()]


def trades_between(
    cursor: Any, one: int, other: int, symbol: str, after: datetime, until: datetime
) -> list[WatchedTrade]:
    """Return the trades of two accounts with each other, or of one with itself: the newest 2,000."""
    where = {"one": one, "other": other, "symbol": symbol, "after": after, "until": until}
    cursor.execute(_BETWEEN_SQL, where)
    return [WatchedTrade(*row) for row in cursor.fetchall()]


def volume_traded(cursor: Any, account_id: int, symbol: str, after: datetime, until: datetime) -> int:
    """Return how many shares an account bought and sold."""
    cursor.execute(_VOLUME_SQL, _whose(account_id, symbol, after, until))
    return int(cursor.fetchone()[0])


def fill_list(cursor: Any, account_id: int, symbol: str, after: datetime, until: datetime) -> list[Fill]:
    """Return an account's own sides of its trades, the newest 2,000."""
    cursor.execute(_FILLS_SQL, _whose(account_id, symbol, after, until))
    return [Fill(*row) for row in cursor.fetchall()]


def withdrawal_list(
    cursor: Any, account_id: int, symbol: str, after: datetime, until: datetime
) -> list[Withdrawal]:
    """Return the orders that an account took back, the newest 2,000."""
    cursor.execute(_WITHDRAWN_SQL, _whose(account_id, symbol, after, until))
    return [Withdrawal(*row) for row in cursor.fetchall()]


def memory_forget(cursor: Any, now: datetime) -> None:
    """Forget what no window reaches any more; ``now`` is the time of the newest event."""
    for sql in _FORGET_SQL:
        cursor.execute(sql, (now - KEPT,))


def _whose(account_id: int, symbol: str, after: datetime, until: datetime) -> dict[str, Any]:
    return {"account_id": account_id, "symbol": symbol, "after": after, "until": until}


def _trade_row(side: Side) -> tuple[Any, ...]:
    its = (side.account_id, side.event_id)
    sides = (*its, None, None) if side.side == "BUY" else (None, None, *its)
    return (side.trade_id, side.symbol, side.price, side.quantity, side.executed_at, *sides)


def _paired(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Join the two sides of a trade that came in one batch: one statement touches a row once."""
    found: dict[int, tuple[Any, ...]] = {}
    for row in rows:
        old = found.get(row[0])
        merged = (
            row if old is None else tuple(a if a is not None else b for a, b in zip(old, row, strict=True))
        )
        found[row[0]] = merged
    return list(found.values())


def _withdrawal_row(one: Withdrawal) -> tuple[Any, ...]:
    return (
        one.order_id, one.account_id, one.symbol, one.side, one.price, one.quantity,
        one.entered_at, one.withdrawn_at, one.event_id,
    )  # fmt: skip


def _count_row(one: MessageCount) -> tuple[Any, ...]:
    return (
        one.account_id, one.symbol, one.begins_at, one.messages, one.trades, one.volume_ordered,
        one.volume_traded, one.last_at, one.last_event_id,
    )  # fmt: skip
