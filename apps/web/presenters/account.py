"""An account's figures as the strip above the page and the cash panel show them."""

from dataclasses import dataclass
from decimal import Decimal

from apps.accounts.selectors import AccountView
from apps.orders.selectors import AccountSummary
from apps.web.numbers import percent_text


@dataclass(frozen=True, slots=True)
class AccountStrip:
    """The account strip: who, which figures, and how much of the cash is held by orders."""

    account: AccountView
    kind: str
    ending: str
    summary: AccountSummary
    settled: Decimal
    held_pct: str
    held_share: int


def account_strip(account: AccountView, summary: AccountSummary) -> AccountStrip:
    """Return the strip; the held share of cash is a percentage of the cash balance."""
    held = summary.held_cash or Decimal(0)
    share = held * 100 / summary.cash if summary.cash > 0 else Decimal(0)
    return AccountStrip(
        account=account,
        kind=account.account_type.capitalize(),
        ending=account.account_number[-4:],
        summary=summary,
        settled=summary.cash - max(account.unsettled_cash, Decimal(0)),
        held_pct=percent_text(share, 0),
        held_share=min(int(share), 100),
    )
