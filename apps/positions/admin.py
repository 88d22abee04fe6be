"""The back office's view of positions and of the shares that were issued: to read."""

from django.contrib import admin

from apps.events.backoffice import BoundedPaginator, ReadOnlyAdmin
from apps.positions.models import Position, ShareIssue


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    list_display = (
        "account_id",
        "symbol",
        "quantity",
        "average_cost",
        "market_value",
        "unrealized_pnl",
        "realized_pnl",
    )
    search_fields = ("=symbol", "account_id__exact")
    paginator = BoundedPaginator
    ordering = ("account_id", "symbol")


@admin.register(ShareIssue)
class ShareIssueAdmin(ReadOnlyAdmin):
    list_display = ("issue_id", "created_at", "account_id", "symbol", "quantity", "unit_cost", "reason")
    search_fields = ("=symbol", "account_id__exact")
    paginator = BoundedPaginator
    ordering = ("-pk",)
