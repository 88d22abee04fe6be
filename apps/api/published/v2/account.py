"""The account and what it may do."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.selectors import AccountView, account_get
from apps.api.published.v2.shapes import AccountShape, ConfigurationShape
from apps.api.sessions import session_date_before
from apps.api.views import PublishedView, caller_of
from apps.instruments.selectors import market_session
from apps.orders.selectors import AccountSummary, account_summary
from apps.orders.wire import decimal_text
from apps.primitives.clock import iso

_NONE_OF_IT = (
    "options_buying_power",
    "daytrading_buying_power",
    "initial_margin",
    "maintenance_margin",
    "last_maintenance_margin",
    "sma",
    "short_market_value",
    "accrued_fees",
    "pending_reg_taf_fees",
    "pending_transfer_in",
    "pending_transfer_out",
    "intraday_adjustments",
)
"""Amounts that a cash account has none of, and fees and transfers that do not exist yet."""


class AccountItem(PublishedView):
    """``/v2/account``"""

    @extend_schema(operation_id="account_get", responses=AccountShape)
    def get(self, request: Request) -> Response:
        """Read the account's money; buying power is net of what open orders hold."""
        account_id = caller_of(request).account_id
        return Response(_render(account_get(account_id), account_summary(account_id)))


class AccountConfiguration(PublishedView):
    """``/v2/account/configurations``"""

    @extend_schema(operation_id="account_configurations_get", responses=ConfigurationShape)
    def get(self, request: Request) -> Response:
        """Read what the account may do; nothing of it can be changed by the customer yet."""
        return Response(
            {
                "fractional_trading": False,
                "max_margin_multiplier": "1",
                "no_shorting": True,
                "suspend_trade": False,
                "trade_confirm_email": "none",
                "ptp_no_exception_entry": False,
                "max_options_trading_level": 0,
                "disable_overnight_trading": True,
            }
        )


def _render(account: AccountView, summary: AccountSummary) -> dict[str, Any]:
    closed = account.account_status == "CLOSED"
    buying_power, value = decimal_text(summary.buying_power), decimal_text(summary.long_market_value)
    return {
        "id": str(account.public_id),
        "account_number": account.account_number,
        # A suspension is published as an active account that may not trade.
        "status": "ACCOUNT_CLOSED" if closed else "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": account.currency,
        "cash": decimal_text(summary.cash),
        "cash_withdrawable": decimal_text(summary.withdrawable),
        "equity": decimal_text(summary.equity),
        "portfolio_value": decimal_text(summary.equity),
        "last_equity": decimal_text(summary.last_equity),
        "balance_asof": session_date_before(market_session().trade_date).isoformat(),
        "buying_power": buying_power,
        "regt_buying_power": buying_power,
        "non_marginable_buying_power": buying_power,
        **dict.fromkeys(_NONE_OF_IT, "0"),
        "long_market_value": value,
        "position_market_value": value,
        "multiplier": "1",
        "daytrade_count": 0,
        "pattern_day_trader": False,
        "trading_blocked": not account.is_active,
        "transfers_blocked": not account.is_active,
        "account_blocked": closed,
        "trade_suspended_by_user": False,
        "shorting_enabled": False,
        "options_approved_level": 0,
        "options_trading_level": 0,
        "created_at": iso(account.created_at),
    }
