"""The back office's view of trades: by day, to read; their facts never change."""

from django.contrib import admin

from apps.events.backoffice import DayAdmin
from apps.trades.models import Trade


@admin.register(Trade)
class TradeAdmin(DayAdmin):
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
    search_help_text = "Trade id, symbol, account id or order id, whole"
