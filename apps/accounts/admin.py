"""The back office's view of people: who may sign in, and which of them are staff."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.forms import UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminPasswordWidget

from apps.accounts.models import User
from apps.accounts.services import group_delete, password_set
from apps.events.audited import REASON_FIELDSET, AuditedAdmin
from apps.events.backoffice import ReasonForm, StaffAct, staff_act_view

admin.site.unregister(Group)


class PasswordForm(ReasonForm):
    """A new password, given twice, and why."""

    password = forms.CharField(
        label="New password", min_length=8, max_length=128, strip=False, widget=UnfoldAdminPasswordWidget
    )
    again = forms.CharField(
        label="New password again", max_length=128, strip=False, widget=UnfoldAdminPasswordWidget
    )
    field_order = ("password", "again", "reason")

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if values.get("password") != values.pop("again", None):
            self.add_error("again", "The two passwords differ.")
        return values


CHANGE_PASSWORD = StaffAct(
    title="Change password",
    warning="The old password opens nothing from now on; whoever is signed in with it is signed out.",
    permission="accounts.change_user",
    act=lambda user, values, origin: password_set(user_id=user.pk, origin=origin, **values),
    form=PasswordForm,
)
DELETE_GROUP = StaffAct(
    title="Delete group",
    warning="Its members lose what it allowed. It cannot be undone.",
    permission="auth.delete_group",
    act=lambda group, values, origin: group_delete(group_id=group.pk, origin=origin, **values),
)

POWERS = ("is_superuser", "is_staff", "groups", "user_permissions")
"""What only a superuser gives or takes: nobody makes himself more than he is."""


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, AuditedAdmin):
    """Staff groups; what a group may do is a superuser's decision."""

    actions_detail = ["group_delete"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    has_add_permission = has_change_permission  # type: ignore[assignment]

    def has_act_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Return whether this person may delete a group."""
        return self.has_change_permission(request)

    @action(description="Delete group", permissions=["act"])
    def group_delete(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_act_permission(request):
            raise PermissionDenied
        return staff_act_view(self, request, object_id, DELETE_GROUP)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, AuditedAdmin):  # type: ignore[misc]
    """People are never deleted: what they did stays theirs. They can be made inactive."""

    form = UserChangeForm
    add_form = UserCreationForm
    add_fieldsets = (*DjangoUserAdmin.add_fieldsets, REASON_FIELDSET)
    list_display = ("username", "email", "is_active", "is_staff", "last_login")
    list_filter = ("is_staff", "is_active")
    search_fields = ("username", "email")
    readonly_fields = ("last_login", "date_joined")
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = tuple(super().get_readonly_fields(request, obj))
        return fixed if request.user.is_superuser else (*fixed, *POWERS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        if not allowed or obj is None or request.user.is_superuser or obj.pk == request.user.pk:
            return bool(allowed)
        # Whoever may change a member of staff can sign in as them.
        return not (obj.is_superuser or obj.is_staff)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Ask for the new password, and why, on the page that every act of staff has."""
        if not self.has_change_permission(request, self.get_object(request, id)):
            raise PermissionDenied
        return staff_act_view(self, request, id, CHANGE_PASSWORD)
