"""What a trade does to the ledger: two lines that sum to zero, worked out before anything is written."""

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
