"""What staff do: on a page that asks for the reason, through the services, on record with their name."""

import pytest
from django.test import Client

from apps.access.models import ApiKey
from apps.access.services import api_key_issue
from apps.accounts.models import Account, User
from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.instruments.models import Instrument
from apps.matching.models import OrderCommand
from tests.support.builders import trader_open
from tests.support.databases import DATABASES

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)


def halt_url(act: str = "symbol_halt") -> str:
    return f"/admin/instruments/instrument/{Instrument.objects.get(symbol='AAPL').pk}/{act}/"


def account_url(account_id: int, act: str) -> str:
    return f"/admin/accounts/account/{account_id}/{act}/"


def test_a_symbol_is_halted_and_resumed_with_reason_and_actor(controller: Client) -> None:
    assert controller.get(halt_url()).status_code == 200
    response = controller.post(halt_url(), {"reason": "News is pending"}, HTTP_USER_AGENT="Desk/1")
    assert response.status_code == 302
    assert Instrument.objects.get(symbol="AAPL").halted
    assert OrderCommand.objects.get().kind == "HALT"
    event = Event.objects.get(event_type="SYMBOL_HALTED")
    staff = User.objects.get(username="controller")
    assert event.data["reason"] == "News is pending"
    assert (event.user_id, event.metadata["actor_id"]) == (staff.pk, staff.pk)
    assert event.metadata["user_agent"] == "Desk/1"
    assert controller.cookies["sessionid"].value not in str(event.metadata)
    controller.post(halt_url("symbol_resume"), {"reason": "News is out"})
    assert not Instrument.objects.get(symbol="AAPL").halted


@pytest.mark.parametrize("reason", ["", "  ", "why", "x" * 201])
def test_without_a_reason_nothing_happens(controller: Client, reason: str) -> None:
    page = controller.post(halt_url(), {"reason": reason})
    assert page.status_code == 200
    assert page.context["form"].errors
    assert not Instrument.objects.get(symbol="AAPL").halted


def test_a_look_at_the_page_changes_nothing(controller: Client) -> None:
    controller.get(halt_url(), {"reason": "News is pending"})
    assert not Instrument.objects.get(symbol="AAPL").halted


def test_staff_without_the_permission_may_not(reader: Client) -> None:
    account = trader_open()
    for url in (halt_url(), halt_url("symbol_resume"), account_url(account.account_id, "account_suspend")):
        assert reader.get(url).status_code == 403
        assert reader.post(url, {"reason": "News is pending"}).status_code == 403
    assert not Instrument.objects.get(symbol="AAPL").halted
    page = reader.get(f"/admin/instruments/instrument/{Instrument.objects.get(symbol='AAPL').pk}/change/")
    assert page.status_code == 200
    assert b"symbol_halt" not in page.content


def test_those_who_may_find_the_act_on_the_page(controller: Client) -> None:
    page = controller.get(f"/admin/instruments/instrument/{Instrument.objects.get(symbol='AAPL').pk}/change/")
    assert b"symbol_halt" in page.content


def test_an_account_is_suspended_and_restored(controller: Client) -> None:
    trader = trader_open()
    controller.post(account_url(trader.account_id, "account_suspend"), {"reason": "Documents missing"})
    assert Account.objects.get(pk=trader.account_id).account_status == "SUSPENDED"
    assert Event.objects.get(event_type="ACCOUNT_SUSPENDED").data["reason"] == "Documents missing"
    controller.post(account_url(trader.account_id, "account_restore"), {"reason": "Documents arrived"})
    assert Account.objects.get(pk=trader.account_id).account_status == "ACTIVE"


def test_a_refusal_is_said_in_a_sentence(controller: Client) -> None:
    trader = trader_open()
    page = controller.post(
        account_url(trader.account_id, "account_restore"), {"reason": "By mistake"}, follow=True
    )
    assert "is already active" in page.content.decode()


def test_an_object_that_is_not_there_leads_back(controller: Client) -> None:
    assert controller.get("/admin/accounts/account/999999/account_suspend/").status_code == 302


def test_a_key_is_revoked_by_those_who_may(chief: Client, reader: Client) -> None:
    key_id, _ = api_key_issue(account_id=trader_open().account_id, origin=SYSTEM)
    url = f"/admin/access/apikey/{key_id}/key_revoke/"
    assert reader.post(url).status_code == 403
    assert chief.get(url).status_code == 200
    assert ApiKey.objects.get(pk=key_id).revoked_at is None
    assert chief.post(url).status_code == 302
    assert ApiKey.objects.get(pk=key_id).revoked_at is not None
    assert Event.objects.filter(event_type="API_KEY_REVOKED").exists()
