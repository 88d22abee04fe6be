"""Reads of executed trades."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from apps.accounts.selectors import account_get
from apps.primitives.ids import Kind, id_floor, public_id
from apps.trades.models import Trade

LIST_MAX = 500


@dataclass(frozen=True, slots=True)
class FillView:
    """One account's side of one trade; ``value`` in dollars and cents."""

    trade_id: int
    order_id: int
    order_public_id: UUID
    symbol: str
    side: str
    price: Decimal
    quantity: int
    value: Decimal
    executed_at: datetime
    settlement_status: str


def fill_list(account_id: int, since: datetime, limit: int = 100) -> list[FillView]:
    """Return an account's fills since an instant, newest first, at most 500."""
    user_id = account_get(account_id).user_id
    rows = Trade.objects.filter(
        Q(buyer_id=user_id) | Q(seller_id=user_id), trade_id__gte=id_floor(since)
    ).order_by("-trade_id")[: min(limit, LIST_MAX)]
    return [_view(row, account_id) for row in rows]


def _view(row: Trade, account_id: int) -> FillView:
    bought = row.buyer_account_id == account_id
    order_id = row.buy_order_id if bought else row.sell_order_id
    return FillView(
        trade_id=row.trade_id,
        order_id=order_id,
        order_public_id=public_id(Kind.ORDER, order_id),
        symbol=row.symbol,
        side="BUY" if bought else "SELL",
        price=row.price,
        quantity=row.quantity,
        value=row.trade_value,
        executed_at=row.executed_at,
        settlement_status=row.settlement_status,
    )
