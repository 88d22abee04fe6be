"""What the back-office doors share: read-only pages, one day at a time, and acts that demand a reason."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.events.facts import Origin
from apps.events.origins import request_origin
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError
from apps.primitives.ids import ID_MAX, day_bounds, id_time

DAY_PARAMETER = "day"
COUNT_MAX = 10_000
"""Rows a list counts and leads to; whoever needs others narrows the list."""

DAY_FIRST = date(2020, 1, 1)
REASON_LENGTH_MIN, REASON_LENGTH_MAX = 5, 200


class ReadOnlyAdmin(ModelAdmin):
    """A page to read: nothing can be added, changed or deleted here, whatever permissions say."""

    actions = None
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    warn_unsaved_form = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Return whether this person may do this page's acts: they need the model's change permission."""
        meta = self.model._meta
        return request.user.has_perm(f"{meta.app_label}.change_{meta.model_name}")


class BoundedPaginator(Paginator):
    """Counts no further than a bound, so that no list reads a whole day to say how long it is."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNT_MAX].count())


@dataclass(frozen=True, slots=True)
class DayWindow:
    """The UTC day that a list shows, and where its neighbours are."""

    day: date
    today: date

    @property
    def previous(self) -> date:
        return max(self.day - timedelta(days=1), DAY_FIRST)

    @property
    def following(self) -> date:
        return min(self.day + timedelta(days=1), self.today)

    @property
    def is_today(self) -> bool:
        return self.day == self.today


def day_window(request: HttpRequest) -> DayWindow:
    """Return the day a request asks for; that of the id searched for, else today, when it names none."""
    today = utc_now().date()
    asked, searched = request.GET.get(DAY_PARAMETER, ""), request.GET.get("q", "").strip()
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        is_id = searched.isdecimal() and len(searched) <= 19 and int(searched) <= ID_MAX
        day = id_time(int(searched)).astimezone(UTC).date() if is_id else today
    return DayWindow(day=min(max(day, DAY_FIRST), today), today=today)


class DayFilter(admin.SimpleListFilter):
    """Keeps every list inside one day's ids, and so inside one table partition."""

    title = "day (UTC)"
    parameter_name = DAY_PARAMETER

    def __init__(self, request: HttpRequest, params: Any, model: type[Model], model_admin: Any) -> None:
        self.window = day_window(request)
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        window = self.window
        return [
            (window.previous.isoformat(), f"Previous day, {window.previous}"),
            (window.today.isoformat(), f"Today, {window.today}"),
            (window.following.isoformat(), f"Next day, {window.following}"),
        ]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        low, high = day_bounds(self.window.day)
        return queryset.filter(pk__gte=low, pk__lt=high)

    def choices(self, changelist: Any) -> Any:
        for lookup, title in self.lookup_choices:
            query = changelist.get_query_string({DAY_PARAMETER: lookup})
            selected = lookup == self.window.day.isoformat()
            yield {"selected": selected, "query_string": query, "display": title}


class DayAdmin(ReadOnlyAdmin):
    """A big table, read one day at a time, newest first, searched by exact values only.

    Every id tells its day; ``search_exact`` names text or number columns that match whole.
    """

    search_exact: tuple[str, ...] = ()
    search_numbers: tuple[str, ...] = ()
    search_fields = ("pk",)
    sortable_by = ()
    paginator = BoundedPaginator
    list_before_template = "admin/day_window.html"
    ordering = ("-pk",)
    list_max_show_all = 0

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [DayFilter, *super().get_list_filter(request)]

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> "tuple[QuerySet[Any], bool]":
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(pk__in=[])
        for name in self.search_exact:
            wanted |= Q(**{name: term})
        if term.isdecimal() and int(term) <= ID_MAX:
            for name in ("pk", *self.search_numbers):
                wanted |= Q(**{name: int(term)})
        return queryset.filter(wanted), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        kept = [(k, v) for k, v in request.GET.items() if k not in (DAY_PARAMETER, "p")]
        context = {"day_window": day_window(request), "day_kept": kept, **(extra_context or {})}
        return super().changelist_view(request, context)


def reason_field(*, autofocus: bool = False) -> forms.CharField:
    """Return the question why a member of staff acts; the answer goes to the audit log word for word."""
    return forms.CharField(
        min_length=REASON_LENGTH_MIN,
        max_length=REASON_LENGTH_MAX,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": autofocus}),
        help_text="At least 5 characters. It goes to the audit log with your name.",
    )


class ReasonForm(forms.Form):
    """Why a member of staff acts, and nothing else."""

    reason = reason_field(autofocus=True)


@dataclass(frozen=True, slots=True)
class StaffAct:
    """One act of staff on one object: what it is called, who may, and the service that does it.

    ``act`` gets the object, what the form asked for by name, and the origin.
    """

    title: str
    warning: str
    permission: str
    act: Callable[[Any, dict[str, Any], Origin], None]
    form: type[forms.Form] = ReasonForm


def staff_act_view(page: ModelAdmin, request: HttpRequest, object_id: str, act: StaffAct) -> HttpResponse:
    """Ask for the reason on a page of its own, then call the service; a refusal is shown, not raised."""
    if not request.user.has_perm(act.permission):
        raise PermissionDenied
    found = page.get_object(request, object_id)
    if found is None:
        return page._get_obj_does_not_exist_redirect(request, page.opts, object_id)
    form = act.form(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            act.act(found, form.cleaned_data, request_origin(request))
        except BrokerageError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, f"{act.title}: done for {found}.")
        name = f"admin:{page.opts.app_label}_{page.opts.model_name}"
        if page.get_object(request, object_id) is None:
            return HttpResponseRedirect(reverse(f"{name}_changelist"))
        return HttpResponseRedirect(reverse(f"{name}_change", args=[object_id]))
    context = {
        **page.admin_site.each_context(request),
        "title": f"{act.title}: {found}",
        "act": act,
        "form": form,
        "object": found,
        "opts": page.opts,
        "media": page.media + form.media,
    }
    return TemplateResponse(request, "admin/staff_act.html", context)
