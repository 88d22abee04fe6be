"""The back office's view of orders, by day, and of what the live ones hold: to read."""

from django.contrib import admin

from apps.events.backoffice import BoundedPaginator, DayAdmin, ReadOnlyAdmin
from apps.orders.models import LiveOrder, Order
from apps.primitives.ids import Kind


@admin.register(Order)
class OrderAdmin(DayAdmin):
    list_display = (
        "order_id",
        "created_at",
        "account_id",
        "symbol",
        "side",
        "order_type",
        "quantity",
        "price",
        "stop_price",
        "filled_quantity",
        "status",
        "time_in_force",
        "order_class",
        "leg",
    )
    list_filter = ("status", "side", "order_type", "order_class")
    search_exact = ("client_order_id",)
    search_numbers = ("account_id", "group_id")
    public_kind = Kind.ORDER
    search_help_text = "Order id, client order id, account id or group id, whole"


@admin.register(LiveOrder)
class LiveOrderAdmin(ReadOnlyAdmin):
    list_display = (
        "order_id",
        "account_id",
        "symbol",
        "status",
        "remaining",
        "held_cash",
        "held_shares",
        "trigger_price",
        "created_at",
    )
    list_filter = ("status",)
    search_fields = ("=symbol", "account_id__exact", "order_id__exact")
    paginator = BoundedPaginator
    ordering = ("-pk",)
