"""Busting a trade: staff take back what was clearly an error, whole and on the record, before it settles."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from apps.accounts.locks import booking_gate_enter_alone
from apps.accounts.services import reason_check
from apps.events.facts import EventRow, Origin
from apps.events.services import event_append
from apps.events.types import EventType
from apps.ledger.services import BalanceState, balance_event, balances_read, balances_write, entries_post
from apps.operations.locks import settlement_is_still
from apps.operations.services.unwinding import position_without
from apps.positions.services import PositionState, position_event, positions_apply, positions_read
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import Conflict, NotFound, Refused, Unavailable
from apps.primitives.failpoints import failpoint
from apps.primitives.ids import ID_MAX
from apps.trades.models import SettlementStatus, Trade
from apps.trades.postings import bust_lines

_BUST_SQL = (
    "UPDATE trades SET settlement_status = 'BUSTED' WHERE trade_id = %s AND settlement_status = 'PENDING'"
)

_SETTLED_SQL = """
SELECT account_id FROM settlement_steps
WHERE settl_date = %s AND account_id IN (%s, %s) AND step LIKE 'CASH%%' LIMIT 1
"""

_HELD_SQL = """
SELECT (SELECT coalesce(sum(held_shares), 0) FROM live_orders WHERE account_id = %s AND symbol = %s),
       (SELECT coalesce(sum(held_cash), 0) FROM live_orders WHERE account_id = %s)
"""


@dataclass(slots=True)
class _Parties:
    """Both sides of a trade while it is taken back, their accounts locked."""

    trade: Trade
    balances: dict[int, BalanceState]
    positions: dict[tuple[int, str], PositionState]

    @property
    def buyer(self) -> BalanceState:
        return self.balances[self.trade.buyer_account_id]

    @property
    def seller(self) -> BalanceState:
        return self.balances[self.trade.seller_account_id]

    def position(self, account_id: int) -> PositionState:
        """Return one party's position; both have one, since nothing takes such rows away."""
        return self.positions[account_id, self.trade.symbol]


def trade_bust(*, trade_id: int, reason: str, origin: Origin) -> None:
    """Take a trade back: cash, shares and cost return to both sides, and both are told why.

    FINRA Rule 11892 has staff void clearly erroneous trades before the next day's trading at the latest; here
    it can be until the trade settles. The orders stay filled. A refusal changes nothing: ``NotFound``;
    ``Invalid`` for a reason that says nothing; ``Conflict`` when it is busted already or its settlement has
    begun; ``Refused`` when a side no longer has free what it must give back; ``Unavailable`` while its date
    is being settled.
    """
    why = reason_check(reason)
    trade = Trade.objects.filter(pk=trade_id).first() if 0 < trade_id <= ID_MAX else None
    if trade is None:
        raise NotFound("no_trade", f"There is no trade {trade_id}.")
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        if not settlement_is_still(cursor, trade.settl_date):
            raise Unavailable(
                "settlement_busy",
                f"Trades that settle on {trade.settl_date} are being settled or busted right now: try again.",
            )
        booking_gate_enter_alone()
        parties = _parties_locked(cursor, trade)
        _pending_check(cursor, trade)
        _free_check(cursor, parties)
        _take_back(cursor, parties, why, origin)
        failpoint("bust.before_commit")


def _parties_locked(cursor: Any, trade: Trade) -> _Parties:
    accounts = {trade.buyer_account_id, trade.seller_account_id}
    balances = balances_read(cursor, accounts, for_update=True)
    return _Parties(
        trade, balances, positions_read(cursor, [(one, trade.symbol) for one in sorted(accounts)])
    )


def _pending_check(cursor: Any, trade: Trade) -> None:
    """Raise ``Conflict`` unless the trade is pending and no cash of its date has settled on either side."""
    cursor.execute("SELECT settlement_status FROM trades WHERE trade_id = %s FOR UPDATE", (trade.trade_id,))
    status = cursor.fetchone()[0]
    if status == SettlementStatus.BUSTED:
        raise Conflict("already_busted", f"Trade {trade.trade_id} is busted already.")
    if status != SettlementStatus.PENDING:
        raise Conflict("not_pending", f"Trade {trade.trade_id} is {status.lower()} and stays as it is.")
    cursor.execute(_SETTLED_SQL, (trade.settl_date, trade.buyer_account_id, trade.seller_account_id))
    if row := cursor.fetchone():
        raise Conflict(
            "settlement_begun",
            f"Account {row[0]} has begun to settle {trade.settl_date}: "
            f"trade {trade.trade_id} stays as it is.",
        )


def _free_check(cursor: Any, parties: _Parties) -> None:
    """Raise ``Refused`` unless the buyer has the shares and the seller the money, held by no order."""
    trade, buyer, seller = parties.trade, parties.buyer, parties.seller
    cursor.execute(_HELD_SQL, (buyer.account_id, trade.symbol, seller.account_id))
    held_shares, held_cash = cursor.fetchone()
    shares = parties.position(buyer.account_id).quantity - held_shares
    if shares < trade.quantity:
        raise Refused(
            "not_enough_shares",
            f"Account {buyer.account_id} must give back {trade.quantity} {trade.symbol} "
            f"and has {shares} free; open orders hold {held_shares}.",
        )
    cash = seller.cash_balance - held_cash
    if cash < trade.trade_value:
        raise Refused(
            "not_enough_cash",
            f"Account {seller.account_id} must give back {trade.trade_value} USD "
            f"and has {cash:.2f} free; open orders hold {held_cash:.2f}.",
        )


def _take_back(cursor: Any, parties: _Parties, reason: str, origin: Origin) -> None:
    """Mark the trade, and write both sides' ledger, figures, positions and events."""
    trade, now = parties.trade, utc_now()
    positions = [position_without(cursor, position, trade) for position in parties.positions.values()]
    cursor.execute(_BUST_SQL, (trade.trade_id,))
    assert cursor.rowcount == 1, f"trade {trade.trade_id} was pending under its lock"
    cursor.execute("SELECT next_id()")
    lines = bust_lines(
        entry_id=cursor.fetchone()[0],
        trade_id=trade.trade_id,
        description=f"Busted: {trade.quantity} {trade.symbol} at {trade.price:f}",
        value=trade.trade_value,
        buyer=parties.buyer,
        seller=parties.seller,
        at=now,
    )
    entries_post(cursor, lines)
    positions_apply(cursor, positions)
    at, metadata = iso(now), origin.metadata()
    sides = (("BUY", parties.buyer, trade.buy_order_id), ("SELL", parties.seller, trade.sell_order_id))
    told = [_bust_event(trade, *side, reason, at, metadata) for side in sides]
    told += [balance_event(state, at, metadata) for state in parties.balances.values()]
    told += [position_event(position, at, metadata) for position in positions]
    event_append(cursor, told)
    balances_write(cursor, list(parties.balances.values()))


def _bust_event(
    trade: Trade,
    side: str,
    state: BalanceState,
    order_id: int,
    reason: str,
    at: str,
    metadata: dict[str, Any],
) -> EventRow:
    data = {
        "trade_id": str(trade.trade_id),
        "order_id": str(order_id),
        "symbol": trade.symbol,
        "side": side,
        "price": trade.price,
        "quantity": trade.quantity,
        "trade_value": trade.trade_value,
        "executed_at": iso(trade.executed_at),
        "reason": reason,
        "at": at,
    }
    seq = state.event_seq_next()
    return EventRow(EventType.TRADE_BUSTED, state.user_id, data, state.account_id, seq, metadata)
