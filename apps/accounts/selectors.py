"""Reads of people and their accounts."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from apps.accounts.models import Account, AccountStatus, account_number
from apps.primitives.errors import NotFound
from apps.primitives.ids import Kind, public_id


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as every edge sees it; amounts in dollars and cents, before holds."""

    account_id: int
    user_id: int
    username: str
    account_type: str
    account_status: str
    currency: str
    cash_balance: Decimal
    unsettled_cash: Decimal
    buying_power: Decimal
    margin_used: Decimal
    simulated: bool
    event_seq: int
    created_at: datetime

    @property
    def account_number(self) -> str:
        return account_number(self.account_id)

    @property
    def public_id(self) -> UUID:
        return public_id(Kind.ACCOUNT, self.account_id)

    @property
    def is_active(self) -> bool:
        return self.account_status == AccountStatus.ACTIVE


def _view(row: Account) -> AccountView:
    return AccountView(
        account_id=row.account_id,
        user_id=row.user_id,
        username=row.user.username,
        account_type=row.account_type,
        account_status=row.account_status,
        currency=row.currency,
        cash_balance=row.cash_balance,
        unsettled_cash=row.unsettled_cash,
        buying_power=row.buying_power,
        margin_used=row.margin_used,
        simulated=row.simulated,
        event_seq=row.event_seq,
        created_at=row.created_at,
    )


def account_for_user(user_id: int) -> AccountView:
    """Return the user's account; raises ``NotFound`` for a user who has none (staff)."""
    row = Account.objects.select_related("user").filter(user_id=user_id).first()
    if row is None:
        raise NotFound("no_account", "This user has no trading account.")
    return _view(row)


def account_get(account_id: int) -> AccountView:
    """Return one account; raises ``NotFound``."""
    row = Account.objects.select_related("user").filter(pk=account_id).first()
    if row is None:
        raise NotFound("no_account", f"There is no account {account_id}.")
    return _view(row)
