"""The desk of surveillance: findings with their evidence, limits that staff set, and who belongs together."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from apps.events.audited import AuditedAdmin, DatedRuleAdmin
from apps.events.backoffice import BoundedPaginator, ReadOnlyAdmin, StaffAct, staff_act_view, table_html
from apps.surveillance.limits import LIMITS, Kind
from apps.surveillance.models import (
    KINDS,
    BeneficialOwner,
    FindingStatus,
    SurveillanceFinding,
    SurveillanceLimit,
    WatchedTradeRow,
    WithdrawalRow,
)
from apps.surveillance.services import finding_dismiss

DISMISS = StaffAct(
    title="Dismiss finding",
    warning="What was found until now counts no more. More of the same makes a new finding.",
    permission="surveillance.change_surveillancefinding",
    act=lambda row, values, origin: finding_dismiss(finding_id=row.pk, origin=origin, **values),
)


@admin.register(SurveillanceFinding)
class SurveillanceFindingAdmin(ReadOnlyAdmin):
    """What was found, newest first; a finding is a reason to look, and people judge."""

    list_display = (
        "found_at", "kind", "whom", "symbol", "times", "first_seen_at", "last_seen_at", "standing",
    )  # fmt: skip
    list_filter = ("status", "kind", "symbol")
    search_fields = ("=symbol", "account_id__exact", "other_account_id__exact")
    search_help_text = "Symbol or account id, whole"
    paginator = BoundedPaginator
    list_intro = (
        "A finding is a reason to look, not a verdict. While it is open, more of the same adds to it; "
        "dismissed with a reason, it counts no more."
    )
    list_empty = "An empty list means that nobody passed the limits of a rule."
    actions_detail = ["dismiss"]
    readonly_fields = ("standing", "accounts", "figures", "evidence")
    fieldsets = (
        (None, {"fields": ("kind", "standing", "accounts", "symbol", "times")}),
        ("When", {"fields": ("found_at", "first_seen_at", "last_seen_at")}),
        ("What was measured", {"fields": ("figures", "evidence")}),
        ("Judgement", {"fields": ("dismissed_at", "dismissed_by_id", "reason")}),
    )

    def acts_closed(self, row: Any) -> set[str]:
        return set() if row.status == FindingStatus.OPEN else {"dismiss"}

    @display(description="Status", ordering="status", label={"Open": "danger", "Dismissed": "info"})
    def standing(self, row: Any) -> str:
        return str(row.get_status_display()).capitalize()

    @admin.display(description="Accounts")
    def accounts(self, row: Any) -> SafeString:
        numbers = [row.account_id, *([row.other_account_id] if row.other_account_id else [])]
        return format_html_join(", ", '<a href="{}">{}</a>', ((_account_url(n), n) for n in numbers))

    @admin.display(description="Figures, and the limits then")
    def figures(self, row: Any) -> SafeString:
        names = [*row.measured, *(name for name in row.limits if name not in row.measured)]
        lines = ((name, row.measured.get(name, ""), row.limits.get(name, "")) for name in names)
        return table_html(("", "Measured", "Limit"), lines)

    @admin.display(description="Events that show it (the newest)")
    def evidence(self, row: Any) -> SafeString | str:
        links = ((reverse("admin:events_event_change", args=[number]), number) for number in row.event_ids)
        return format_html_join(" ", '<a href="{}">{}</a>', links) or "None"

    @action(description="Dismiss finding", permissions=["act"])
    def dismiss(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, DISMISS)


@admin.register(SurveillanceLimit)
class SurveillanceLimitAdmin(DatedRuleAdmin):
    """Limits in force from an instant; what has no row here is at its default."""

    list_display = ("kind", "name", "value", "effective_from")
    list_filter = ("kind",)
    list_before_template = "admin/list_intro.html"
    list_intro = (
        "What the rules of surveillance measure against, from the instant on that each row names. A row is "
        "never changed: to set a limit anew, add another."
    )
    list_empty = "Every limit is at its default; the page for adding one lists them all."
    fields = ("kind", "name", "value", "effective_from", "defaults")
    readonly_fields = ("defaults",)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "name":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        kinds: dict[str, list[str]] = {}
        for kind, label in KINDS:
            for name in LIMITS[Kind(kind)]:
                kinds.setdefault(name, []).append(label)
        choices = [(name, f"{name} ({', '.join(kinds[name])})") for name in sorted(kinds)]
        return forms.ChoiceField(
            choices=[("", "Choose a limit of that kind"), *choices],
            widget=UnfoldAdminSelectWidget,
            help_text="The kinds that have the limit stand behind its name.",
        )

    @admin.display(description="Defaults")
    def defaults(self, row: Any) -> SafeString:
        lines = (
            (label, name, limit.default, f"{limit.lowest} to {limit.highest}", limit.text)
            for kind, label in KINDS
            for name, limit in LIMITS[Kind(kind)].items()
        )
        return table_html(("Kind", "Name", "Default", "Bounds", "What it is"), lines)


@admin.register(BeneficialOwner)
class BeneficialOwnerAdmin(AuditedAdmin):
    """Accounts whose trades with each other change nobody's ownership: those with one owner's name."""

    list_display = ("account", "owner")
    search_fields = ("owner", "account__account_id__exact")
    autocomplete_fields = ("account",)


@admin.register(WatchedTradeRow)
class WatchedTradeAdmin(ReadOnlyAdmin):
    list_display = (
        "trade_id",
        "symbol",
        "quantity",
        "price",
        "buy_account_id",
        "sell_account_id",
        "executed_at",
    )
    search_fields = ("=symbol", "trade_id__exact", "buy_account_id__exact", "sell_account_id__exact")
    paginator = BoundedPaginator
    ordering = ("-trade_id",)


@admin.register(WithdrawalRow)
class WithdrawalAdmin(ReadOnlyAdmin):
    list_display = (
        "order_id",
        "account_id",
        "symbol",
        "side",
        "quantity",
        "price",
        "entered_at",
        "withdrawn_at",
    )
    search_fields = ("=symbol", "order_id__exact", "account_id__exact")
    paginator = BoundedPaginator
    ordering = ("-order_id",)


def _account_url(account_id: int) -> str:
    return reverse("admin:accounts_account_change", args=[account_id])
