"""What the back-office doors share: read-only pages, one day at a time, and acts that demand a reason."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.events.facts import Origin
from apps.events.origins import request_origin
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError, NotFound
from apps.primitives.ids import ID_MAX, Kind, day_bounds, id_time, public_id_decode

DAY_PARAMETER = "day"
COUNT_MAX = 10_000
"""Rows a list counts and leads to; whoever needs others narrows the list."""

DAY_FIRST = date(2020, 1, 1)
REASON_LENGTH_MIN, REASON_LENGTH_MAX = 5, 200


class ReadOnlyAdmin(ModelAdmin):
    """A page to read: nothing can be added, changed or deleted here, whatever permissions say.

    ``list_intro`` says what the list is and what to do with it; ``list_empty`` what it means that there is
    nothing.
    """

    list_intro = ""
    list_empty = ""
    list_before_template = "admin/list_intro.html"
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

    def acts_closed(self, row: Any) -> set[str]:
        """Return the names of the acts that this row can only refuse; their buttons are not offered."""
        return set()

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        acts = super().get_actions_detail(request, object_id)
        row = ModelAdmin.get_object(self, request, unquote(str(object_id))) if acts else None
        closed = self.acts_closed(row) if row is not None else set()
        return [act for act in acts if act.path not in closed]


class BoundedPaginator(Paginator):
    """Counts no further than a bound, so that no list reads a whole day to say how long it is."""

    @cached_property
    def counted(self) -> int:
        """Return how many rows there are; one above the bound stands for all that are more."""
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNT_MAX + 1].count())

    @property
    def is_cut(self) -> bool:
        return self.counted > COUNT_MAX

    @cached_property
    def count(self) -> int:
        return min(self.counted, COUNT_MAX)


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


def public_id_searched(kind: Kind | None, term: str) -> int | None:
    """Return the id behind a public id somebody searches for; None when it is none of this kind."""
    try:
        return public_id_decode(kind, UUID(term)) if kind else None
    except (ValueError, NotFound):
        return None


def day_window(request: HttpRequest, kind: Kind | None = None) -> DayWindow:
    """Return the day to show: that of the public id searched for, or asked for, or of the id searched for.

    Else it is today. An id of the first day is none: no row is as old, but a small number may be an account.
    """
    today = utc_now().date()
    asked, searched = request.GET.get(DAY_PARAMETER, ""), request.GET.get("q", "").strip()
    public = public_id_searched(kind, searched)
    try:
        day = _id_day(public) if public is not None else date.fromisoformat(asked)
    except ValueError:
        is_id = searched.isdecimal() and len(searched) <= 19 and int(searched) <= ID_MAX
        day = _id_day(int(searched)) if is_id else today
        day = today if day == DAY_FIRST else day
    return DayWindow(day=min(max(day, DAY_FIRST), today), today=today)


def _id_day(number: int) -> date:
    return id_time(number).astimezone(UTC).date()


class DayFilter(admin.SimpleListFilter):
    """Keeps every list inside one day's ids, and so inside one table partition."""

    title = "day (UTC)"
    parameter_name = DAY_PARAMETER

    def __init__(self, request: HttpRequest, params: Any, model: type[Model], model_admin: Any) -> None:
        self.window = day_window(request, model_admin.public_kind)
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

    Every id tells its day; ``search_exact`` names text or number columns that match whole; ``public_kind``
    is what the public ids of the rows name.
    """

    public_kind: Kind | None = None
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
        public = public_id_searched(self.public_kind, term)
        wanted = Q(pk__in=[] if public is None else [public])
        for name in self.search_exact:
            wanted |= Q(**{name: term})
        if term.isdecimal() and int(term) <= ID_MAX:
            for name in ("pk", *self.search_numbers):
                wanted |= Q(**{name: int(term)})
        return queryset.filter(wanted), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        kept = [(k, v) for k, v in request.GET.items() if k not in (DAY_PARAMETER, "p")]
        context = {
            "day_window": day_window(request, self.public_kind),
            "day_kept": kept,
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)


def table_html(head: Iterable[str], lines: Iterable[Iterable[Any]]) -> SafeString:
    """Return a table for a page of one row; where it is wider than the page it scrolls by itself."""
    cell = "px-3 py-2 text-left align-top"
    titles = format_html_join(
        "", f'<th class="{cell} whitespace-nowrap">{{}}</th>', ((name,) for name in head)
    )
    rows = (
        (format_html_join("", f'<td class="{cell}">{{}}</td>', ((value,) for value in line)),)
        for line in lines
    )
    body = format_html_join("", "<tr>{}</tr>", rows)
    return format_html('<div class="overflow-x-auto"><table><tr>{}</tr>{}</table></div>', titles, body)


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
