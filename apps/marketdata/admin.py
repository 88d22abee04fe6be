"""The back office's view of the tape: ticks of one day, to read. Candles have a composite key: no page."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.events.backoffice import DayAdmin, DayFilter
from apps.marketdata.models import MarketDataTick
from apps.primitives.clock import iso


class TickDayFilter(DayFilter):
    """Ticks are cut by time, not by id."""

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        day = self.window.day
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return queryset.filter(time__gte=start, time__lt=start + timedelta(days=1))


@admin.register(MarketDataTick)
class MarketDataTickAdmin(DayAdmin):
    list_display = ("trade_id", "time_exact", "symbol", "price", "quantity", "side", "exchange")
    search_exact = ("symbol",)
    search_help_text = "Symbol, or a trade's id, whole; for an imported trade choose its day as well"
    ordering = ("-time",)

    @admin.display(description="time (UTC)", ordering="time")
    def time_exact(self, row: MarketDataTick) -> str:
        return iso(row.time)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["time_exact" if name == "time" else name for name in super().get_fields(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["time_exact"]

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> "tuple[QuerySet[Any], bool]":
        return super().get_search_results(request, queryset, search_term.upper())

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [TickDayFilter]
