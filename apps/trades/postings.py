"""What a trade, or its bust, does to the ledger: two lines that sum to zero, worked out before writing."""

from datetime import datetime
from decimal import Decimal

from apps.ledger.services import BalanceState, Line


def trade_lines(
    *,
    entry_id: int,
    trade_id: int,
    symbol: str,
    quantity: int,
    price: Decimal,
    value: Decimal,
    buyer: BalanceState,
    seller: BalanceState,
    executed_at: datetime,
) -> list[Line]:
    """Move the buyer's and seller's figures by ``value`` and return the two ledger lines.

    The cash moves at the trade; the same amount stays unsettled on both sides until the settlement date.
    """
    buyer.move(-value, unsettled=-value)
    bought = _line(
        entry_id,
        buyer,
        "TRADE_BUY",
        -value,
        trade_id,
        f"Bought {quantity} {symbol} at {price:f}",
        executed_at,
    )
    seller.move(value, unsettled=value)
    sold = _line(
        entry_id, seller, "TRADE_SELL", value, trade_id, f"Sold {quantity} {symbol} at {price:f}", executed_at
    )
    return [bought, sold]


def bust_lines(
    *,
    entry_id: int,
    trade_id: int,
    description: str,
    value: Decimal,
    buyer: BalanceState,
    seller: BalanceState,
    at: datetime,
) -> list[Line]:
    """Move both figures back by ``value``, unsettled on both sides, and return the two ledger lines."""
    buyer.move(value, unsettled=value)
    returned = _line(entry_id, buyer, "TRADE_BUST", value, trade_id, description, at)
    seller.move(-value, unsettled=-value)
    return [returned, _line(entry_id, seller, "TRADE_BUST", -value, trade_id, description, at)]


def _line(
    entry_id: int,
    account: BalanceState,
    kind: str,
    amount: Decimal,
    trade_id: int,
    description: str,
    executed_at: datetime,
) -> Line:
    return Line(
        entry_id=entry_id,
        account_id=account.account_id,
        user_id=account.user_id,
        transaction_type=kind,
        amount=amount,
        balance_after=account.cash_balance,
        reference_id=trade_id,
        description=description,
        created_at=executed_at,
    )
