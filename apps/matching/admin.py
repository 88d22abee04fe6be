"""The back office's view of matching: what waits, and who leads. The journal's key is composite: no page."""

from django.contrib import admin

from apps.events.backoffice import BoundedPaginator, ReadOnlyAdmin
from apps.matching.models import MatchingLeader, OrderCommand


@admin.register(OrderCommand)
class OrderCommandAdmin(ReadOnlyAdmin):
    list_display = ("command_id", "created_at", "kind", "symbol", "order_id", "orig_order_id", "account_id")
    list_filter = ("kind",)
    paginator = BoundedPaginator
    ordering = ("pk",)
    sortable_by = ()


@admin.register(MatchingLeader)
class MatchingLeaderAdmin(ReadOnlyAdmin):
    list_display = ("matching_partition", "epoch", "seq", "host", "pid", "acquired_at", "stuck")
