"""The back office's view of the facts: events by day, and how far each sink has read them."""

from django.contrib import admin

from apps.events.backoffice import DayAdmin, ReadOnlyAdmin
from apps.events.models import (
    Event,
    EventArchive,
    EventBlock,
    QuarantinedMessage,
    RelayCursor,
    RelayState,
    SubscriptionPosition,
)


@admin.register(Event)
class EventAdmin(DayAdmin):
    list_display = ("id", "timestamp", "topic", "event_type", "user_id", "account_id", "account_seq")
    search_exact = ("event_type",)
    search_numbers = ("user_id", "account_id")
    search_help_text = "Event id, event type, user id or account id, whole"


@admin.register(EventBlock)
class EventBlockAdmin(ReadOnlyAdmin):
    list_display = ("block_no", "sealed_at", "events", "total", "hash_text")
    exclude = ("places", "leaves", "heads", "previous_hash", "hash")
    readonly_fields = ("hash_text",)

    @admin.display(description="Hash")
    def hash_text(self, row: EventBlock) -> str:
        return bytes(row.hash).hex()


@admin.register(EventArchive)
class EventArchiveAdmin(ReadOnlyAdmin):
    list_display = ("name", "events", "first_block", "last_block", "sha256", "dropped_at")


@admin.register(RelayCursor)
class RelayCursorAdmin(ReadOnlyAdmin):
    list_display = ("sink", "stream_epoch", "xact_id", "event_id", "updated_at")


@admin.register(RelayState)
class RelayStateAdmin(ReadOnlyAdmin):
    list_display = ("sink", "problem", "away_at", "told_at", "sent_bytes")


@admin.register(SubscriptionPosition)
class SubscriptionPositionAdmin(ReadOnlyAdmin):
    list_display = (
        "subscription", "topic", "topic_partition", "next_offset", "end_offset", "tries", "problem",
        "updated_at",
    )  # fmt: skip
    list_filter = ("subscription",)
    ordering = ("subscription", "topic", "topic_partition")


@admin.register(QuarantinedMessage)
class QuarantinedMessageAdmin(ReadOnlyAdmin):
    """Messages that a subscription could not handle; they stay here until somebody has looked."""

    list_display = (
        "quarantined_at", "subscription", "topic", "topic_partition", "topic_offset", "event_id", "problem",
    )  # fmt: skip
    list_filter = ("subscription",)
    exclude = ("value",)
    readonly_fields = ("text",)

    @admin.display(description="Message")
    def text(self, row: QuarantinedMessage) -> str:
        return bytes(row.value).decode(errors="replace")
