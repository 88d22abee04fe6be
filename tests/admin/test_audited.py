"""Whatever staff change in the back office is on record: who, why, and what it was before and after."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import connections
from django.test import Client, RequestFactory
from django.urls import reverse

from apps.accounts.models import User
from apps.events import audited
from apps.events.audited import AuditedAdmin
from apps.events.backoffice import ReadOnlyAdmin
from apps.events.models import Event
from tests.admin.conftest import staff_client
from tests.support.databases import DATABASES

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

WHY = {"reason": "As the committee decided"}
PAGES = sorted(admin.site._registry.items(), key=lambda pair: pair[0].__name__)


def url(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def told(event_type: str) -> list[Event]:
    return list(Event.objects.filter(event_type=event_type).order_by("id"))


def person(name: str = "grace", **more: Any) -> User:
    joined = datetime(2026, 1, 2, 15, tzinfo=UTC)
    return User.objects.create_user(username=name, password="before-it-changed", date_joined=joined, **more)


def body(user: User, **more: Any) -> dict[str, Any]:
    """Return what the page of a person posts when nothing is changed."""
    values = {"username": user.username, "first_name": user.first_name, "last_name": "", "email": user.email}
    joined = {
        "date_joined_0": f"{user.date_joined:%Y-%m-%d}",
        "date_joined_1": f"{user.date_joined:%H:%M:%S}",
    }
    return {**values, **joined, "is_active": "on", **WHY, **more}


@pytest.mark.parametrize(("model", "page"), PAGES, ids=[model.__name__ for model, _ in PAGES])
def test_no_page_changes_anything_unless_it_puts_it_on_record(model: Any, page: Any) -> None:
    """Also those of libraries: who registers one that writes has to make it an audited one."""
    request = RequestFactory().get("/admin/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    assert not page.has_delete_permission(request), "a deletion is a staff act, with a reason"
    assert not page.actions and not page.get_actions(request)
    assert not page.inlines and not page.list_editable, "these would pass by the record"
    if not isinstance(page, AuditedAdmin):
        assert isinstance(page, ReadOnlyAdmin)
        assert not page.has_add_permission(request)
        assert not page.has_change_permission(request)


def test_permissions_given_and_taken_are_told_by_name_before_and_after(chief: Client) -> None:
    grace, desk = person(), Group.objects.create(name="Desk")
    may = Permission.objects.get(codename="change_instrument")
    given = body(grace, is_staff="on", groups=[desk.pk], user_permissions=[may.pk])
    assert chief.post(url(User, "change", grace.pk), given, HTTP_USER_AGENT="Desk/1").status_code == 302
    [event] = told("RECORD_CHANGED")
    boss = User.objects.get(username="chief")
    assert (event.user_id, event.metadata["actor_id"]) == (boss.pk, boss.pk)
    assert (event.metadata["ip_address"], event.metadata["user_agent"]) == ("127.0.0.1", "Desk/1")
    assert len(event.metadata["session_id"]) == 16
    assert (event.data["record"], event.data["key"], event.data["label"]) == ("users", str(grace.pk), "grace")
    assert event.data["reason"] == WHY["reason"]
    name = "change_instrument.instruments.instrument"
    assert event.data["before"] == {"is_staff": False, "groups": [], "user_permissions": []}
    assert event.data["after"] == {"is_staff": True, "groups": ["Desk"], "user_permissions": [name]}
    chief.post(url(User, "change", grace.pk), body(grace, is_staff="on"))
    assert told("RECORD_CHANGED")[1].data["before"] == {"groups": ["Desk"], "user_permissions": [name]}


def test_a_change_of_a_person_tells_nothing_that_was_not_changed(chief: Client) -> None:
    joined = datetime(2026, 1, 2, 15, 0, 0, 123456, tzinfo=UTC)
    grace = User.objects.create_user(username="grace", date_joined=joined, last_login=joined)
    late = {"date_joined_0": "2020-01-01", "date_joined_1": "10:00:00", "last_login_0": "2020-01-01"}
    posted = body(grace, email="g@example.org", **late)
    assert chief.post(url(User, "change", grace.pk), posted).status_code == 302
    [event] = told("RECORD_CHANGED")
    assert (event.data["before"], event.data["after"]) == ({"email": ""}, {"email": "g@example.org"})
    grace.refresh_from_db()
    assert grace.date_joined == grace.last_login == joined


def test_staff_neither_change_other_staff_nor_set_their_password(market: None) -> None:
    clerk = staff_client("clerk", ("accounts.view_user", "accounts.change_user"))
    boss = person("boss", is_staff=True)
    secret = {"password": "mine-from-now-on", "again": "mine-from-now-on", **WHY}
    assert clerk.post(f"/admin/accounts/user/{boss.pk}/password/", secret).status_code == 403
    assert clerk.post(url(User, "change", boss.pk), body(boss, email="mine@example.org")).status_code == 403
    boss.refresh_from_db()
    assert (boss.check_password("before-it-changed"), boss.email) == (True, "")
    customer = person("customer")
    assert clerk.post(f"/admin/accounts/user/{customer.pk}/password/", secret).status_code == 302
    assert [event.user_id for event in told("PASSWORD_CHANGED")] == [customer.pk]


def test_without_a_reason_nothing_changes(chief: Client) -> None:
    grace = person()
    for reason in ("", "why", "x" * 201):
        page = chief.post(url(User, "change", grace.pk), body(grace, email="g@example.org", reason=reason))
        assert page.status_code == 200
        assert "reason" in page.context["adminform"].form.errors
    assert User.objects.get(pk=grace.pk).email == ""
    assert not told("RECORD_CHANGED")


def test_a_change_whose_event_cannot_be_written_is_no_change(
    chief: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(cursor: Any, rows: Any) -> None:
        raise RuntimeError("no place for events")

    grace = person()
    monkeypatch.setattr(audited, "event_append", broken)
    with pytest.raises(RuntimeError):
        chief.post(url(User, "change", grace.pk), body(grace, email="g@example.org"))
    assert User.objects.get(pk=grace.pk).email == ""


def test_of_changes_at_once_each_tells_what_it_replaced(market: None) -> None:
    grace = person()
    chiefs = [staff_client(f"chief-{n}", is_superuser=True) for n in range(4)]
    mails = [f"g{n}@example.org" for n in range(4)]

    def change(client: Client, email: str) -> None:
        client.post(url(User, "change", grace.pk), body(grace, email=email))
        connections.close_all()

    threads = [threading.Thread(target=change, args=pair) for pair in zip(chiefs, mails, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(told("RECORD_CHANGED"), key=lambda event: event.data["at"])
    steps = {event.data["before"]["email"]: event.data["after"]["email"] for event in ordered}
    at, seen = "", []
    while at in steps:
        at = steps.pop(at)
        seen.append(at)
    assert sorted(seen) == mails, "one chain of changes, none lost and none told from a stale page"
    assert User.objects.get(pk=grace.pk).email == at


def test_a_person_is_added_without_the_password_in_the_record(chief: Client) -> None:
    secret = {"password1": "quite-a-secret-1", "password2": "quite-a-secret-1", "usable_password": "true"}
    assert chief.post(url(User, "add"), {"username": "ada", **secret, **WHY}).status_code == 302
    [event] = told("RECORD_ADDED")
    assert event.data["after"]["username"] == "ada" and event.data["before"] == {}
    assert "password" not in event.data["after"]
    assert "secret-1" not in str(event.data) and "pbkdf2" not in str(event.data)


def test_a_password_is_changed_by_staff_with_a_reason(chief: Client) -> None:
    grace = person()
    page = f"/admin/accounts/user/{grace.pk}/password/"
    secret = {"password": "quite-a-secret-2", "again": "quite-a-secret-2"}
    assert chief.get(page).status_code == 200
    for wrong in (secret, {**secret, **WHY, "again": "another-one"}, {**WHY, "password": "", "again": ""}):
        assert chief.post(page, wrong).status_code == 200
    assert User.objects.get(pk=grace.pk).check_password("before-it-changed")
    assert not told("PASSWORD_CHANGED")
    assert chief.post(page, {**secret, **WHY}).status_code == 302
    assert User.objects.get(pk=grace.pk).check_password("quite-a-secret-2")
    [event] = told("PASSWORD_CHANGED")
    assert event.user_id == grace.pk
    assert event.metadata["actor_id"] == User.objects.get(username="chief").pk
    assert event.data["reason"] == WHY["reason"]
    assert "secret-2" not in str(event.data)


def test_staff_change_their_own_password_on_record(market: None) -> None:
    clerk = staff_client("clerk")
    values = {
        "old_password": "secret",
        "new_password1": "quite-a-secret-3",
        "new_password2": "quite-a-secret-3",
    }
    assert clerk.post("/admin/password_change/", values).status_code == 302
    [event] = told("PASSWORD_CHANGED")
    assert event.user_id == event.metadata["actor_id"] == User.objects.get(username="clerk").pk
    assert event.metadata["ip_address"] == "127.0.0.1"


def test_signing_in_hashes_anew_without_telling_of_another_password(market: None, settings: Any) -> None:
    grace = person()
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    assert Client().login(username="grace", password="before-it-changed")
    assert User.objects.get(pk=grace.pk).password.startswith("scrypt$")
    assert not told("PASSWORD_CHANGED")


def test_a_group_is_made_changed_and_deleted_on_record(chief: Client) -> None:
    may = Permission.objects.get(codename="change_account")
    chief.post(url(Group, "add"), {"name": "Desk", "permissions": [may.pk], **WHY})
    desk = Group.objects.get(name="Desk")
    person().groups.add(desk)
    chief.post(url(Group, "change", desk.pk), {"name": "Desk", **WHY})
    name = "change_account.accounts.account"
    [added], [changed] = told("RECORD_ADDED"), told("RECORD_CHANGED")
    assert added.data["after"]["permissions"] == [name]
    assert (changed.data["before"], changed.data["after"]) == ({"permissions": [name]}, {"permissions": []})
    act = f"/admin/auth/group/{desk.pk}/group_delete/"
    assert chief.post(act, {}).status_code == 200
    assert Group.objects.filter(pk=desk.pk).exists()
    assert chief.post(act, WHY).status_code == 302
    assert not Group.objects.filter(pk=desk.pk).exists()
    [deleted] = told("RECORD_DELETED")
    assert deleted.data["before"]["members"] == ["grace"] and deleted.data["after"] == {}


def test_nobody_but_a_superuser_deletes_a_group(market: None) -> None:
    clerk = staff_client("clerk", ("auth.view_group", "auth.delete_group", "auth.change_group"))
    desk = Group.objects.create(name="Desk")
    assert clerk.post(f"/admin/auth/group/{desk.pk}/group_delete/", WHY).status_code == 403
    assert Group.objects.filter(pk=desk.pk).exists()


@pytest.mark.parametrize(("page", "door"), [("/login", "web"), ("/admin/login/", "admin")])
def test_signing_in_failing_to_and_signing_out_are_on_record(market: None, page: str, door: str) -> None:
    person(is_staff=True)
    client = Client()
    client.post(page, {"username": "grace", "password": "a-wrong-one"}, REMOTE_ADDR="192.0.2.7")
    client.post(page, {"username": "my-password-by-mistake", "password": "x"})
    known, unknown = told("SIGN_IN_FAILED")
    grace = User.objects.get(username="grace")
    assert (known.user_id, known.data["username"], known.data["door"]) == (grace.pk, "grace", door)
    assert known.metadata["ip_address"] == "192.0.2.7"
    assert (unknown.user_id, unknown.data["username"]) == (0, None)
    assert "by-mistake" not in str(unknown.data) + str(unknown.metadata)
    client.post(page, {"username": "grace", "password": "before-it-changed"}, HTTP_USER_AGENT="Browser/1")
    [signed_in] = told("SIGNED_IN")
    assert signed_in.user_id == signed_in.metadata["actor_id"] == grace.pk
    assert signed_in.metadata["user_agent"] == "Browser/1"
    client.post("/logout" if door == "web" else "/admin/logout/")
    [signed_out] = told("SIGNED_OUT")
    assert signed_out.user_id == grace.pk
    assert signed_out.metadata["session_id"] == signed_in.metadata["session_id"], "one session, one name"


def test_a_superuser_of_the_command_line_is_on_record(market: None) -> None:
    User.objects.create_superuser("root", "", "quite-a-secret-4")
    [event] = told("SUPERUSER_CREATED")
    assert (event.data["username"], event.metadata["user_agent"]) == ("root", "openbell")


def test_a_password_that_is_taken_away_is_told_once(market: None) -> None:
    grace = person()
    grace.set_unusable_password()
    grace.save()
    [event] = told("PASSWORD_CHANGED")
    assert not event.data["usable"]
    grace.first_name = "Grace"
    grace.save()
    assert len(told("PASSWORD_CHANGED")) == 1, "saving somebody without one is no change of it"
