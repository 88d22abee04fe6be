"""The back office's view of API keys: who has them, and the act that ends one. Secrets are never shown."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from apps.access.models import ApiKey
from apps.access.services import api_key_revoke
from apps.events.backoffice import ReadOnlyAdmin, StaffAct, staff_act_view

REVOKE = StaffAct(
    title="Revoke key",
    warning="From now on every request with this key is refused. It cannot be undone.",
    permission="access.change_apikey",
    act=lambda key, values, origin: api_key_revoke(key_id=key.key_id, origin=origin, **values),
)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("key_id", "account", "label", "created_at", "revoked_at")
    list_select_related = ("account",)
    search_fields = ("=key_id",)
    fields = ("key_id", "account", "label", "created_at", "revoked_at")
    actions_detail = ["key_revoke"]

    def acts_closed(self, row: Any) -> set[str]:
        return {"key_revoke"} if row.revoked_at else set()

    @action(description="Revoke key", permissions=["act"])
    def key_revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return staff_act_view(self, request, object_id, REVOKE)
