"""The back office's view of the facts: events by day, and how far each sink has read them."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest
from django.http import HttpRequest

from apps.events.backoffice import BoundedPaginator, DayAdmin, ReadOnlyAdmin
from apps.events.models import (
    Event,
    EventArchive,
    EventBlock,
    QuarantinedMessage,
    RelayCursor,
    RelayState,
    SubscriptionPosition,
)
from apps.primitives.ids import Kind, public_id_text

if TYPE_CHECKING:
    from django.db.models import QuerySet


@admin.register(Event)
class EventAdmin(DayAdmin):
    list_display = ("id", "at", "topic", "event_type", "user_id", "account_id", "account_seq")
    list_intro = (
        "What has happened, newest first: the record that Kafka, exports and the hash chain have as well."
    )
    list_empty = "Nothing has happened on this day."
    public_kind = Kind.EVENT
    search_exact = ("event_type",)
    search_numbers = ("user_id", "account_id")
    search_help_text = "Event id (number or UUID), event type, user id or account id, whole"
    readonly_fields = ("event_id", "at")
    fields = (
        "id", "event_id", "at", "topic", "event_type", "user_id", "account_id", "account_seq", "data",
        "metadata",
    )  # fmt: skip

    @admin.display(description="Timestamp (UTC)")
    def at(self, row: Event) -> str:
        return f"{row.timestamp:%Y-%m-%d %H:%M:%S.%f}"

    @admin.display(description="Event id in Kafka, exports and audit_verify")
    def event_id(self, row: Event) -> str:
        return public_id_text(Kind.EVENT, row.id)


@admin.register(EventBlock)
class EventBlockAdmin(ReadOnlyAdmin):
    list_display = ("block_no", "sealed_at", "events", "total", "hash_text")
    list_intro = (
        "Events sealed together into the hash chain, about a second after they were written. To know whether "
        "they are still what was sealed, run audit_verify; each night it checks the last two days."
    )
    list_empty = "Nothing is sealed yet: see that the process relay runs."
    exclude = ("places", "leaves", "heads", "previous_hash", "hash")
    readonly_fields = ("hash_text",)
    paginator = BoundedPaginator

    def get_queryset(self, request: HttpRequest) -> "QuerySet[EventBlock]":
        return super().get_queryset(request).defer("places", "leaves", "heads", "previous_hash")

    @admin.display(description="Hash")
    def hash_text(self, row: EventBlock) -> str:
        return bytes(row.hash).hex()


@admin.register(EventArchive)
class EventArchiveAdmin(ReadOnlyAdmin):
    list_display = ("name", "events", "first_block", "last_block", "sha256", "dropped_at")
    list_intro = (
        "Days and months of events that audit_archive moved from the table to files: keep copies of the "
        "files, nothing replaces them."
    )
    list_empty = "No day has been archived: every event is in the table."


@admin.register(RelayCursor)
class RelayCursorAdmin(ReadOnlyAdmin):
    list_display = ("sink", "stream_epoch", "xact_id", "event_id", "updated_at")
    list_intro = (
        "How far each sink of the relay has read the events. One that stands still while events are written "
        "has a problem: look at the relay states."
    )
    list_empty = "No sink has read anything yet: see that the relay processes run."


@admin.register(RelayState)
class RelayStateAdmin(ReadOnlyAdmin):
    list_display = ("sink", "problem", "away_at", "told_at", "sent_bytes")
    list_intro = (
        "What each sink of the relay last said of itself: what is wrong, and since when its other end has "
        "been away. Nothing is lost meanwhile; it goes on where it stopped."
    )
    list_empty = "No sink has had anything to say."


class MessagesFilter(admin.SimpleListFilter):
    """Leaves out the topic partitions in which nobody has ever sent anything, unless asked for all."""

    title = "topic partitions"
    parameter_name = "which"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", "All, also empty ones")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        is_used = Q(end_offset__gt=0) | Q(next_offset__gt=0) | Q(tries__gt=0) | ~Q(problem="")
        return queryset if self.value() == "all" else queryset.filter(is_used)

    def choices(self, changelist: Any) -> Any:
        for value, title in ((None, "With messages"), *self.lookup_choices):
            new, gone = ({self.parameter_name: value}, []) if value else ({}, [self.parameter_name])
            query = changelist.get_query_string(new, gone)
            yield {"selected": self.value() == value, "query_string": query, "display": title}


@admin.register(SubscriptionPosition)
class SubscriptionPositionAdmin(ReadOnlyAdmin):
    list_display = (
        "subscription", "topic", "topic_partition", "lag", "next_offset", "end_offset", "tries", "problem",
        "updated_at",
    )  # fmt: skip
    list_filter = (MessagesFilter, "subscription")
    list_intro = (
        "How far each subscription has handled each topic partition of Kafka, the furthest behind first. A "
        "problem stops it there until somebody mends the cause; subscription_reset lets it go on."
    )
    list_empty = "No subscription has found a message yet; the filter shows the empty topic partitions too."
    readonly_fields = ("lag",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[SubscriptionPosition]":
        waiting = F("end_offset") - Coalesce(F("next_offset"), 0)
        return super().get_queryset(request).annotate(lag=Greatest(waiting, 0))

    def get_ordering(self, request: HttpRequest) -> Any:
        return (F("lag").desc(), "subscription", "topic", "topic_partition")

    @admin.display(description="Lag", ordering="lag", empty_value="not begun")
    def lag(self, row: Any) -> int | None:
        return None if row.next_offset is None else int(row.lag)


@admin.register(QuarantinedMessage)
class QuarantinedMessageAdmin(ReadOnlyAdmin):
    """Messages that a subscription could not handle; they stay here until somebody has looked."""

    list_display = (
        "quarantined_at", "subscription", "topic", "topic_partition", "topic_offset", "event_id", "problem",
    )  # fmt: skip
    list_filter = ("subscription",)
    list_intro = (
        "Messages that a subscription could not handle and left out. Read the problem, mend the cause, and "
        "judge by hand what the message would have done; then subscription_reset --forget-quarantine."
    )
    list_empty = "That is good: every message so far was handled."
    exclude = ("value",)
    readonly_fields = ("text",)

    @admin.display(description="Message")
    def text(self, row: QuarantinedMessage) -> str:
        return bytes(row.value).decode(errors="replace")
