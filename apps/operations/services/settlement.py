"""Settlement: on its date, what an account's trades moved stops being unsettled, once and for all."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from apps.events.facts import EventRow
from apps.events.services import event_append
from apps.events.types import EventType
from apps.ledger.services import BalanceState, VersionMismatch, balances_read, balances_write
from apps.operations.locks import settlement_run_shared
from apps.operations.services.funding import balance_transaction
from apps.primitives.clock import iso, utc_now
from apps.primitives.ids import id_floor

CASH_STEP = "CASH"
TRADES_STEP_MAX = 500
"""Trades marked in one transaction: a long writing transaction would hold the relay back."""

LOOK_BACK = timedelta(days=45)
"""How long before its settlement date a trade can have been made: far beyond the longest closure."""

ATTEMPTS_MAX = 5
ZERO = Decimal("0.00")

Report = Callable[[str], None]

_DUE_SQL = """
SELECT DISTINCT settl_date FROM trades
WHERE settlement_status = 'PENDING' AND settl_date <= %s ORDER BY settl_date
"""

_TOTALS_SQL = """
SELECT account_id, sum(amount), count(*) FROM (
    SELECT buyer_account_id AS account_id, -trade_value AS amount FROM trades
    WHERE settl_date = %(date)s AND settlement_status IN ('PENDING', 'SETTLED')
      AND trade_id >= %(low)s AND trade_id < %(high)s
    UNION ALL
    SELECT seller_account_id, trade_value FROM trades
    WHERE settl_date = %(date)s AND settlement_status IN ('PENDING', 'SETTLED')
      AND trade_id >= %(low)s AND trade_id < %(high)s) AS sides
GROUP BY account_id ORDER BY account_id
"""

_MOVED_SQL = """
SELECT account_id, sum(amount), sum(trade_count), count(*) FROM settlement_steps
WHERE settl_date = %s AND step LIKE 'CASH%%' AND (%s::bigint IS NULL OR account_id = %s) GROUP BY account_id
"""

_PENDING_IDS_SQL = """
SELECT trade_id FROM trades WHERE settl_date = %(date)s AND settlement_status = 'PENDING'
  AND trade_id >= %(low)s AND trade_id < %(high)s ORDER BY trade_id
"""

_SETTLE_SQL = """
UPDATE trades SET settlement_status = 'SETTLED', settled_at = clock_timestamp()
WHERE trade_id = ANY(%s) AND settlement_status = 'PENDING'
RETURNING trade_id, buyer_account_id, buyer_id, seller_account_id, seller_id
"""


@dataclass(frozen=True, slots=True)
class Total:
    """What one account's trades of one settlement date come to: sales less purchases, and how many sides."""

    amount: Decimal = ZERO
    trade_count: int = 0
    steps: int = 0


@dataclass(slots=True)
class Settled:
    """What a run did; ``late_dates`` had trades booked meanwhile, which the next run settles."""

    accounts: int = 0
    trades: int = 0
    late_dates: int = 0


def settlement_run(on_date: date, report: Report = lambda line: None) -> Settled:
    """Settle every date up to ``on_date`` on which trades are pending.

    Per date: each account's cash in a transaction of its own, then the trades in small steps. A crash at
    any point loses nothing and repeats nothing; two runs at once share the work.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DUE_SQL, (on_date,))
        due = [row[0] for row in cursor.fetchall()]
    done = Settled()
    for settl_date in due:
        with settlement_run_shared(settl_date):
            accounts = _cash_settle(settl_date)
            trades, complete = _trades_settle(settl_date)
        done.accounts += accounts
        done.trades += trades
        done.late_dates += not complete
        report(f"{settl_date}: {accounts} accounts, {trades} trades settled{'' if complete else ', not all'}")
    return done


def _window(settl_date: date) -> dict[str, Any]:
    """Return the parameters that keep a query inside the partitions a date's trades can lie in."""
    noon = datetime(settl_date.year, settl_date.month, settl_date.day, 12, tzinfo=UTC)
    low, high = id_floor(noon - LOOK_BACK), id_floor(noon + timedelta(days=2))
    return {"date": settl_date, "low": low, "high": high}


def _totals(cursor: Any, settl_date: date) -> dict[int, Total]:
    cursor.execute(_TOTALS_SQL, _window(settl_date))
    return {account_id: Total(amount, count) for account_id, amount, count in cursor.fetchall()}


def _moved(cursor: Any, settl_date: date, account_id: int | None = None) -> dict[int, Total]:
    cursor.execute(_MOVED_SQL, (settl_date, account_id, account_id))
    return {row[0]: Total(row[1], int(row[2]), row[3]) for row in cursor.fetchall()}


def _cash_settle(settl_date: date) -> int:
    """Settle the cash of every account whose steps do not yet cover its trades; returns how many moved."""
    with connection.cursor() as cursor:
        totals, moved = _totals(cursor, settl_date), _moved(cursor, settl_date)
    due = [a for a, total in totals.items() if total.trade_count > moved.get(a, Total()).trade_count]
    return sum(_account_settle(settl_date, account_id, totals[account_id]) for account_id in due)


def _account_settle(settl_date: date, account_id: int, total: Total) -> bool:
    """Move what is still to move of one account, in one transaction with the step that says so."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            with balance_transaction() as cursor:
                return _account_step(cursor, settl_date, account_id, total)
        except VersionMismatch:
            if attempt == ATTEMPTS_MAX:
                raise
    raise AssertionError("unreachable")


def _account_step(cursor: Any, settl_date: date, account_id: int, total: Total) -> bool:
    state = balances_read(cursor, [account_id], for_update=True)[account_id]
    # Read under the account's lock: another run may have moved the same trades since the totals were taken.
    before = _moved(cursor, settl_date, account_id).get(account_id, Total())
    count = total.trade_count - before.trade_count
    if count <= 0:
        return False
    amount = total.amount - before.amount
    step = CASH_STEP if before.steps == 0 else f"{CASH_STEP}_{before.steps + 1}"
    cursor.execute(
        "INSERT INTO settlement_steps (settl_date, account_id, step, amount, trade_count, done_at) "
        "VALUES (%s, %s, %s, %s, %s, clock_timestamp())",
        (settl_date, account_id, step, amount, count),
    )
    state.move(ZERO, unsettled=-amount)
    event_append(cursor, [_settled_event(state, settl_date, amount, count)])
    balances_write(cursor, [state])
    return True


def _settled_event(state: BalanceState, settl_date: date, amount: Decimal, count: int) -> EventRow:
    return EventRow(
        event_type=EventType.CASH_SETTLED,
        user_id=state.user_id,
        account_id=state.account_id,
        account_seq=state.event_seq_next(),
        data={
            "account_id": state.account_id,
            "settl_date": settl_date.isoformat(),
            "amount": amount,
            "trade_count": count,
            "cash_balance": state.cash_balance,
            "unsettled_cash": state.unsettled_cash,
            "at": iso(utc_now()),
        },
    )


def _covered_ids(settl_date: date) -> list[int] | None:
    """Return a date's pending trades when the accounts' steps cover exactly its trades, else None.

    One snapshot decides both, so a trade booked late can never be marked before its cash has moved.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        moved = {a: (t.amount, t.trade_count) for a, t in _moved(cursor, settl_date).items()}
        if {a: (t.amount, t.trade_count) for a, t in _totals(cursor, settl_date).items()} != moved:
            return None
        cursor.execute(_PENDING_IDS_SQL, _window(settl_date))
        return [row[0] for row in cursor.fetchall()]


def _batches(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), TRADES_STEP_MAX):
        yield ids[start : start + TRADES_STEP_MAX]


def _trades_settle(settl_date: date) -> tuple[int, bool]:
    """Mark a date's trades settled; returns how many, and whether that was all of them."""
    ids = _covered_ids(settl_date)
    if ids is None:
        return 0, False
    marked = 0
    for batch in _batches(ids):
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            marked += _batch_settle(cursor, settl_date, batch)
    return marked, True


def _batch_settle(cursor: Any, settl_date: date, trade_ids: list[int]) -> int:
    """Mark trades settled and tell each party of its own, in one event; returns how many were not yet."""
    cursor.execute(_SETTLE_SQL, (trade_ids,))
    at, rows = iso(utc_now()), cursor.fetchall()
    settled: dict[tuple[int, int], list[str]] = defaultdict(list)
    for trade_id, *parties in rows:
        for party in {tuple(parties[:2]), tuple(parties[2:])}:
            settled[party].append(str(trade_id))
    event_append(
        cursor,
        [
            EventRow(
                EventType.TRADES_SETTLED,
                user_id,
                {"account_id": account_id, "settl_date": settl_date, "trade_ids": sorted(ids), "at": at},
                account_id,
            )
            for (account_id, user_id), ids in sorted(settled.items())
        ],
    )
    return len(rows)
