"""The back office's view of the tape: ticks of one day, to read. Candles have a composite key: no page."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.events.backoffice import DayAdmin, DayFilter
from apps.marketdata.models import MarketDataTick


class TickDayFilter(DayFilter):
    """Ticks are cut by time, not by id."""

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        day = self.window.day
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return queryset.filter(time__gte=start, time__lt=start + timedelta(days=1))


@admin.register(MarketDataTick)
class MarketDataTickAdmin(DayAdmin):
    list_display = ("trade_id", "time", "symbol", "price", "quantity", "side", "exchange")
    search_exact = ("symbol",)
    search_help_text = "Trade id or symbol, whole"
    ordering = ("-time",)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [TickDayFilter]
