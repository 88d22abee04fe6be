"""The back office's view of prices and of the dated rules that the market trades by."""

from django.contrib import admin

from apps.events.audited import DatedRuleAdmin
from apps.events.backoffice import ReadOnlyAdmin
from apps.instruments.models import BandRule, InstrumentPrice, PriceBand, TickSize


@admin.register(InstrumentPrice)
class InstrumentPriceAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "last_price", "prev_close", "trade_date", "day_volume", "updated_at")
    search_fields = ("=symbol",)
    ordering = ("symbol",)


@admin.register(TickSize)
class TickSizeAdmin(DatedRuleAdmin):
    list_display = ("effective_from", "price_from", "increment")


@admin.register(PriceBand)
class PriceBandAdmin(DatedRuleAdmin):
    list_display = ("effective_from", "symbol", "limit_bps")


@admin.register(BandRule)
class BandRuleAdmin(DatedRuleAdmin):
    list_display = ("effective_from", "tier", "price_from", "limit_bps", "limit_amount", "doubled_at_close")
