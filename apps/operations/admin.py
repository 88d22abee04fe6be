"""The back office's controls: symbols and accounts, with the acts that staff may do, each with a reason."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget

from apps.accounts.models import Account
from apps.events.backoffice import (
    BoundedPaginator,
    DayAdmin,
    ReadOnlyAdmin,
    ReasonForm,
    StaffAct,
    staff_act_view,
    table_html,
)
from apps.instruments.models import Instrument
from apps.matching.codes import Mode, Phase
from apps.operations.book_reads import book_page, words
from apps.operations.models import BookSession, ReconcileResult
from apps.operations.services import controls
from apps.operations.services.busting import trade_bust
from apps.primitives.ids import Kind
from apps.primitives.money import PRICE_MAX, PRICE_QUANTUM
from apps.trades.models import SettlementStatus, Trade

NO_TIER = "none"
PHASES = [phase.name for phase in Phase if phase is not Phase.HALTED]


def _price_field(label: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        required=False,
        min_value=PRICE_QUANTUM,
        max_value=PRICE_MAX,
        decimal_places=4,
        widget=UnfoldAdminDecimalFieldWidget,
    )


class PhaseForm(ReasonForm):
    """Which phase a book goes to, and why; a halt is an act of its own."""

    phase = forms.TypedChoiceField(
        coerce=Phase.__getitem__,
        choices=[("", "Choose a phase"), *((name, words(name)) for name in PHASES)],
        widget=UnfoldAdminSelectWidget,
        help_text="Trading begins again by an auction: what waits and crosses trades at one price.",
    )
    field_order = ("phase", "reason")


class ModeForm(ReasonForm):
    """Which orders a book accepts, and why."""

    mode = forms.TypedChoiceField(
        coerce=Mode.__getitem__,
        choices=[("", "Choose a mode"), *((one.name, words(one.name)) for one in Mode)],
        widget=UnfoldAdminSelectWidget,
        help_text="Reduce only: orders that make a position smaller. Cancel only: none. Cancels always work.",
    )
    field_order = ("mode", "reason")


class BandsForm(ReasonForm):
    """Between which prices a symbol may trade, and why."""

    lower = _price_field("Lower band")
    upper = _price_field("Upper band")
    field_order = ("lower", "upper", "reason")


class TierForm(ReasonForm):
    """Which tier of the bands' rules a symbol belongs to, and why."""

    tier = forms.TypedChoiceField(
        coerce=lambda value: None if value == NO_TIER else int(value),
        choices=[
            ("", "Choose a tier"),
            ("1", "Tier 1"),
            ("2", "Tier 2"),
            (NO_TIER, "None: no bands by the rules"),
        ],
        widget=UnfoldAdminSelectWidget,
        help_text="Tier 1: shares of the large indices. Tier 2: all others.",
    )
    field_order = ("tier", "reason")


HALT = StaffAct(
    title="Halt symbol",
    warning="Nothing trades in this symbol from now on. Limit orders are accepted and wait, "
    "market orders are refused, cancels work. All traders and the public tape read the reason.",
    permission="instruments.change_instrument",
    act=lambda row, values, origin: controls.symbol_halt(symbol=row.symbol, origin=origin, **values),
)
RESUME = StaffAct(
    title="Resume symbol",
    warning="Trading begins again with an auction: orders that wait and cross trade at one price.",
    permission="instruments.change_instrument",
    act=lambda row, values, origin: controls.symbol_resume(symbol=row.symbol, origin=origin, **values),
)
PHASE = StaffAct(
    title="Change phase",
    warning="The book goes to this phase at once and stays there until staff or the calendar change it.",
    permission="instruments.change_instrument",
    act=lambda row, values, origin: controls.symbol_phase(symbol=row.symbol, origin=origin, **values),
    form=PhaseForm,
)
MODE = StaffAct(
    title="Change mode",
    warning="What rests in the book stays and may trade; the mode decides about new orders.",
    permission="instruments.change_instrument",
    act=lambda row, values, origin: controls.symbol_mode(symbol=row.symbol, origin=origin, **values),
    form=ModeForm,
)
BANDS = StaffAct(
    title="Set price bands",
    warning="Nothing trades outside these prices; bids above the upper and offers below the lower band are "
    "cancelled. The rules leave bands that staff set alone: leave both prices empty to take them away.",
    permission="instruments.change_instrument",
    act=lambda row, values, origin: controls.symbol_bands(symbol=row.symbol, origin=origin, **values),
    form=BandsForm,
)
TIER = StaffAct(
    title="Change tier",
    warning="The width of the bands that the rules set follows the tier, from the next round on.",
    permission="instruments.change_instrument",
    act=lambda row, values, origin: controls.symbol_tier(symbol=row.symbol, origin=origin, **values),
    form=TierForm,
)
SUSPEND = StaffAct(
    title="Suspend account",
    warning="No new order of this account is accepted from now on. What it has working stays and may be "
    "cancelled.",
    permission="accounts.change_account",
    act=lambda row, values, origin: controls.account_suspend(
        account_id=row.account_id, origin=origin, **values
    ),
)
RESTORE = StaffAct(
    title="Restore account",
    warning="The account may trade again at once.",
    permission="accounts.change_account",
    act=lambda row, values, origin: controls.account_restore(
        account_id=row.account_id, origin=origin, **values
    ),
)
BUST = StaffAct(
    title="Bust trade",
    warning="Cash and shares go back to both sides, and both are told the reason. Their orders stay filled, "
    "and the tape keeps the trade. It cannot be undone.",
    permission="trades.change_trade",
    act=lambda row, values, origin: trade_bust(trade_id=row.trade_id, origin=origin, **values),
)


@admin.register(Instrument)
class InstrumentAdmin(ReadOnlyAdmin):
    """A symbol and its book: what it was told, what it is doing, and what staff may do to it."""

    list_display = ("symbol", "name", "exchange", "status", "tradable", "halted", "halt_reason", "simulated")
    list_filter = ("status", "halted")
    search_fields = ("=symbol", "name")
    actions_detail = [
        "symbol_halt",
        "symbol_resume",
        {"title": "Change book", "items": ["symbol_phase", "symbol_mode", "symbol_bands", "symbol_tier"]},
    ]
    readonly_fields = (
        "book_phase",
        "book_calendar",
        "book_mode",
        "book_bands",
        "book_limit_state",
        "book_auction",
        "book_waiting",
    )
    fieldsets = (
        (None, {"fields": ("symbol", "name", "halted", "halt_reason", "halted_at")}),
        ("Book", {"fields": readonly_fields}),
        (
            "Listing",
            {
                "fields": (
                    "exchange",
                    "status",
                    "tradable",
                    "band_tier",
                    "simulated",
                    "listed_at",
                    "matching_partition",
                )
            },
        ),
    )

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            row.book_page = book_page(row.symbol)
        return row

    def acts_closed(self, row: Any) -> set[str]:
        return {"symbol_halt", "symbol_phase"} if row.halted else {"symbol_resume"}

    @admin.display(description="Phase")
    def book_phase(self, row: Any) -> str:
        return str(row.book_page.phase)

    @admin.display(description="Calendar")
    def book_calendar(self, row: Any) -> str:
        return str(row.book_page.calendar)

    @admin.display(description="Mode")
    def book_mode(self, row: Any) -> str:
        return str(row.book_page.mode)

    @admin.display(description="Price bands")
    def book_bands(self, row: Any) -> str:
        return str(row.book_page.bands)

    @admin.display(description="Limit state")
    def book_limit_state(self, row: Any) -> str:
        return str(row.book_page.limit_state)

    @admin.display(description="Auction now")
    def book_auction(self, row: Any) -> str:
        return str(row.book_page.auction)

    @admin.display(description="Waiting")
    def book_waiting(self, row: Any) -> str:
        return str(row.book_page.waiting)

    @action(description="Halt symbol", permissions=["act"])
    def symbol_halt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, HALT)

    @action(description="Resume symbol", permissions=["act"])
    def symbol_resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, RESUME)

    @action(description="Change phase", permissions=["act"])
    def symbol_phase(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, PHASE)

    @action(description="Change mode", permissions=["act"])
    def symbol_mode(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, MODE)

    @action(description="Set price bands", permissions=["act"])
    def symbol_bands(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, BANDS)

    @action(description="Change tier", permissions=["act"])
    def symbol_tier(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, TIER)


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

    def acts_closed(self, row: Any) -> set[str]:
        possible = {"ACTIVE": {"account_suspend"}, "SUSPENDED": {"account_restore"}}
        return {"account_suspend", "account_restore"} - possible.get(row.account_status, set())

    @admin.display(description="User", ordering="user__username")
    def username(self, row: Any) -> str:
        return str(row.user.username)

    @action(description="Suspend account", permissions=["act"])
    def account_suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, SUSPEND)

    @action(description="Restore account", permissions=["act"])
    def account_restore(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, RESTORE)


@admin.register(Trade)
class TradeAdmin(DayAdmin):
    """Trades by day, to read; their facts never change, and a bust is an act."""

    list_display = (
        "trade_id",
        "executed_at",
        "symbol",
        "price",
        "quantity",
        "trade_value",
        "buyer_account_id",
        "seller_account_id",
        "settl_date",
        "settlement_status",
    )
    list_filter = ("settlement_status",)
    search_exact = ("symbol",)
    search_numbers = ("buyer_account_id", "seller_account_id", "buy_order_id", "sell_order_id")
    public_kind = Kind.TRADE
    search_help_text = "Trade id, symbol, account id or order id, whole"
    actions_detail = ["trade_bust"]

    def acts_closed(self, row: Any) -> set[str]:
        return set() if row.settlement_status == SettlementStatus.PENDING else {"trade_bust"}

    @action(description="Bust trade", permissions=["act"])
    def trade_bust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, BUST)


@admin.register(BookSession)
class BookSessionAdmin(ReadOnlyAdmin):
    list_display = (
        "symbol",
        "stage",
        "phase",
        "mode",
        "lower_band",
        "upper_band",
        "bands_source",
        "paused_until",
        "trade_date",
        "changed_at",
    )
    list_filter = ("stage", "phase", "mode", "bands_source")
    search_fields = ("=symbol",)
    ordering = ("symbol",)


@admin.register(ReconcileResult)
class ReconcileResultAdmin(ReadOnlyAdmin):
    """What each check of the reconciler last found, what is broken first."""

    list_display = (
        "check_name", "scope", "verdict", "title", "since", "checked_at", "duration_ms", "rows_shown",
    )  # fmt: skip
    list_filter = ("status", "scope")
    search_fields = ("check_name", "title")
    ordering = ("status", "check_name", "scope")
    fields = (
        "check_name", "scope", "verdict", "title", "since", "checked_at", "duration_ms", "failure",
        "broken_rows",
    )  # fmt: skip
    readonly_fields = ("verdict", "broken_rows")

    @display(
        description="Status",
        ordering="status",
        label={"Whole": "success", "BROKEN": "danger", "Could not look": "warning"},
    )
    def verdict(self, row: Any) -> str:
        return {"OK": "Whole", "BROKEN": "BROKEN", "FAILED": "Could not look"}[row.status]

    @admin.display(description="Broken rows")
    def rows_shown(self, row: Any) -> int:
        return len(row.broken)

    @admin.display(description="Broken rows (the first of them)")
    def broken_rows(self, row: Any) -> SafeString | str:
        if not row.broken:
            return "None"
        heads = list(dict.fromkeys(name for broken in row.broken for name in broken))
        return table_html(heads, ([broken.get(name, "") for name in heads] for broken in row.broken))
