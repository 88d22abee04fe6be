"""The back office's view of the facts: events by day, and how far each sink has read them."""

from django.contrib import admin

from apps.events.backoffice import DayAdmin, ReadOnlyAdmin
from apps.events.models import Event, RelayCursor


@admin.register(Event)
class EventAdmin(DayAdmin):
    list_display = ("id", "timestamp", "topic", "event_type", "user_id", "account_id", "account_seq")
    search_exact = ("event_type",)
    search_numbers = ("user_id", "account_id")
    search_help_text = "Event id, event type, user id or account id, whole"


@admin.register(RelayCursor)
class RelayCursorAdmin(ReadOnlyAdmin):
    list_display = ("sink", "stream_epoch", "xact_id", "event_id", "updated_at")
