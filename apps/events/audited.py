"""Back-office pages that change a record: each change asks for a reason and is an event, before and after."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db import connection
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from apps.events.backoffice import reason_field
from apps.events.before_after import record_event, record_facts, record_locked, rule_event
from apps.events.origins import request_origin
from apps.events.services import event_append
from apps.events.types import EventType

REASON_FIELDSET = ("For the record", {"fields": ("reason",)})


class AuditedAdmin(ModelAdmin):
    """A page on which records are added and changed, never deleted; a deletion is a staff act of its own.

    Its form asks for a reason. Rows edited in the list and inline forms would pass by that: there are none.
    """

    actions: Any = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = kwargs.pop("form", self.form)
        asking = type(form.__name__, (form,), {"reason": reason_field()})
        return super().get_form(request, obj, change, form=asking, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        shown = [(title, {**options, "fields": _without_reason(options)}) for title, options in fieldsets]
        return [*shown, REASON_FIELDSET] if may else shown

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.facts_before = record_facts(record_locked(self.model, obj.pk)) if change else {}
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: forms.ModelForm, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        self.change_tell(request, form, change)

    def change_tell(self, request: HttpRequest, form: Any, change: bool) -> None:
        """Append the event of what the form changed, in the transaction that changes it."""
        record = record_locked(self.model, form.instance.pk)
        row = record_event(
            EventType.RECORD_CHANGED if change else EventType.RECORD_ADDED,
            record,
            before=form.facts_before,
            after=record_facts(record),
            reason=form.cleaned_data["reason"].strip(),
            origin=request_origin(request),
        )
        with connection.cursor() as cursor:
            event_append(cursor, [row])


class DatedRuleAdmin(AuditedAdmin):
    """Rules in force from a date: rows are added, never changed or deleted."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_view_permission(request, obj) or super().has_add_permission(request))

    def change_tell(self, request: HttpRequest, form: Any, change: bool) -> None:
        row = rule_event(form.instance, request_origin(request), form.cleaned_data["reason"].strip())
        with connection.cursor() as cursor:
            event_append(cursor, [row])


def _without_reason(options: dict[str, Any]) -> list[Any]:
    fields: Iterable[Any] = options["fields"]
    return [name for name in fields if name != "reason"]
