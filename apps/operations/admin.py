"""The back office's controls: symbols and accounts, with the acts that staff may do, each with a reason."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from apps.accounts.models import Account
from apps.events.backoffice import BoundedPaginator, ReadOnlyAdmin, StaffAct, staff_act_view
from apps.instruments.models import Instrument
from apps.operations.models import BookSession
from apps.operations.services.controls import account_restore, account_suspend, symbol_halt, symbol_resume

HALT = StaffAct(
    title="Halt symbol",
    warning="Nothing trades in this symbol from now on. Limit orders are accepted and wait, "
    "market orders are refused, cancels work.",
    permission="instruments.change_instrument",
    act=lambda row, reason, origin: symbol_halt(symbol=row.symbol, reason=reason, origin=origin),
)
RESUME = StaffAct(
    title="Resume symbol",
    warning="Trading goes on at once; orders that wait and cross will trade.",
    permission="instruments.change_instrument",
    act=lambda row, reason, origin: symbol_resume(symbol=row.symbol, reason=reason, origin=origin),
)
SUSPEND = StaffAct(
    title="Suspend account",
    warning="No new order of this account is accepted from now on. What it has working stays and may be "
    "cancelled.",
    permission="accounts.change_account",
    act=lambda row, reason, origin: account_suspend(account_id=row.account_id, reason=reason, origin=origin),
)
RESTORE = StaffAct(
    title="Restore account",
    warning="The account may trade again at once.",
    permission="accounts.change_account",
    act=lambda row, reason, origin: account_restore(account_id=row.account_id, reason=reason, origin=origin),
)


@admin.register(Instrument)
class InstrumentAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "name", "exchange", "status", "tradable", "halted", "halt_reason", "simulated")
    list_filter = ("status", "halted")
    search_fields = ("=symbol", "name")
    actions_detail = ["symbol_halt", "symbol_resume"]

    @action(description="Halt symbol", permissions=["act"])
    def symbol_halt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, HALT)

    @action(description="Resume symbol", permissions=["act"])
    def symbol_resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, RESUME)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """Accounts to read: money moves through services alone."""

    list_display = (
        "account_number",
        "username",
        "account_type",
        "account_status",
        "cash_balance",
        "simulated",
    )
    list_select_related = ("user",)
    list_filter = ("account_status", "account_type", "simulated")
    search_fields = ("=user__username", "account_id__exact")
    paginator = BoundedPaginator
    ordering = ("account_id",)
    actions_detail = ["account_suspend", "account_restore"]

    @admin.display(description="User", ordering="user__username")
    def username(self, row: Any) -> str:
        return str(row.user.username)

    @action(description="Suspend account", permissions=["act"])
    def account_suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, SUSPEND)

    @action(description="Restore account", permissions=["act"])
    def account_restore(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, RESTORE)


@admin.register(BookSession)
class BookSessionAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "is_open", "trade_date", "changed_at")
    list_filter = ("is_open",)
