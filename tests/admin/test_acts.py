"""What staff do: on a page that asks for the reason, through the services, on record with their name."""

from decimal import Decimal

import pytest
from django.test import Client

from apps.access.models import ApiKey
from apps.access.services import api_key_issue
from apps.accounts.models import Account, User
from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.instruments.models import Instrument
from apps.matching.codes import Phase
from apps.matching.models import OrderCommand
from apps.operations.models import BookSession
from apps.trades.models import Trade
from tests.support.builders import trader_open
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

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
    command = OrderCommand.objects.get()
    assert (command.kind, command.argument) == ("PHASE", Phase.HALTED)
    event = Event.objects.get(event_type="SYMBOL_HALTED")
    staff = User.objects.get(username="controller")
    assert event.data["reason"] == "News is pending"
    assert (event.user_id, event.metadata["actor_id"]) == (staff.pk, staff.pk)
    assert event.metadata["user_agent"] == "Desk/1"
    assert controller.cookies["sessionid"].value not in str(event.metadata)
    controller.post(halt_url("symbol_resume"), {"reason": "News is out"})
    assert not Instrument.objects.get(symbol="AAPL").halted


def test_phase_mode_and_bands_are_changed_with_reason_and_actor(controller: Client) -> None:
    why = {"reason": "Prices look wrong"}
    for act, values in (
        ("symbol_phase", {"phase": "PRE_OPEN"}),
        ("symbol_mode", {"mode": "CANCEL_ONLY"}),
        ("symbol_bands", {"lower": "90", "upper": "110.5"}),
        ("symbol_tier", {"tier": "1"}),
    ):
        assert controller.get(halt_url(act)).status_code == 200
        assert controller.post(halt_url(act), {**values, **why}).status_code == 302
    row = BookSession.objects.get(symbol="AAPL")
    assert (row.phase, row.mode, row.bands_source) == ("PRE_OPEN", "CANCEL_ONLY", "STAFF")
    assert (row.lower_band, row.upper_band) == (Decimal("90"), Decimal("110.5"))
    staff = User.objects.get(username="controller")
    kinds = Event.objects.filter(user_id=staff.pk, data__reason="Prices look wrong").order_by("id")
    assert [event.event_type for event in kinds] == [
        "PHASE_CHANGED",
        "MODE_CHANGED",
        "BANDS_CHANGED",
        "TIER_CHANGED",
    ]
    controller.post(halt_url("symbol_bands"), {"lower": "", "upper": "", "reason": "Prices are right"})
    assert BookSession.objects.get(symbol="AAPL").lower_band is None


@pytest.mark.parametrize(
    ("act", "values"),
    [
        ("symbol_phase", {}),
        ("symbol_phase", {"phase": "HALTED"}),
        ("symbol_phase", {"phase": "NOPE"}),
        ("symbol_mode", {"mode": "1"}),
        ("symbol_tier", {"tier": "3"}),
        ("symbol_tier", {"tier": ""}),
        ("symbol_bands", {"lower": "-1", "upper": "110"}),
        ("symbol_bands", {"lower": "NaN", "upper": "110"}),
        ("symbol_bands", {"lower": "90.00001", "upper": "110"}),
        ("symbol_bands", {"lower": "90", "upper": "1000000"}),
    ],
)
def test_a_choice_that_does_not_exist_is_said_beside_its_field(
    controller: Client, act: str, values: dict[str, str]
) -> None:
    page = controller.post(halt_url(act), {**values, "reason": "Prices look wrong"})
    assert page.status_code == 200
    assert page.context["form"].errors
    assert not OrderCommand.objects.exists()


def test_a_refused_change_is_said_in_a_sentence(controller: Client) -> None:
    controller.post(halt_url(), {"reason": "News is pending"})
    page = controller.post(
        halt_url("symbol_phase"), {"phase": "CONTINUOUS", "reason": "Trade again"}, follow=True
    )
    assert "AAPL is halted: resume it first." in page.content.decode()
    page = controller.post(
        halt_url("symbol_bands"), {"lower": "1", "upper": "2", "reason": "By mistake"}, follow=True
    )
    assert "which these bands leave out" in page.content.decode()


def test_the_symbols_page_tells_the_book(controller: Client, exchange: Exchange) -> None:
    seller, buyer = trader_open(shares={"AAPL": 50}), trader_open(cash="9000.00")
    controller.post(halt_url(), {"reason": "News is pending"})
    seller.sell(30, "99.00")
    buyer.buy(20, "100.00")
    url = f"/admin/instruments/instrument/{Instrument.objects.get(symbol='AAPL').pk}/change/"
    page = controller.get(url).content.decode()
    assert "2 on the way to the book, 3 queued commands" in page
    exchange.run()
    page = controller.get(url).content.decode()
    for text in ("Halted", "20 would trade at 100", "10 more offered", "2 in the book"):
        assert text in page, text


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
    controls = ("symbol_halt", "symbol_resume", "symbol_phase", "symbol_mode", "symbol_bands", "symbol_tier")
    for url in (*map(halt_url, controls), account_url(account.account_id, "account_suspend")):
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


@pytest.mark.parametrize("act", ["account_suspend", "account_restore"])
def test_a_closed_account_stays_closed_by_whatever_way(controller: Client, act: str) -> None:
    trader = trader_open()
    Account.objects.filter(pk=trader.account_id).update(account_status="CLOSED")
    page = controller.post(account_url(trader.account_id, act), {"reason": "Asked to"}, follow=True)
    assert "closed for good" in page.content.decode()
    assert Account.objects.get(pk=trader.account_id).account_status == "CLOSED"


def test_an_object_that_is_not_there_leads_back(controller: Client) -> None:
    assert controller.get("/admin/accounts/account/999999/account_suspend/").status_code == 302


def test_a_key_is_revoked_by_those_who_may(chief: Client, reader: Client) -> None:
    key_id, _ = api_key_issue(account_id=trader_open().account_id, origin=SYSTEM)
    url = f"/admin/access/apikey/{key_id}/key_revoke/"
    assert reader.post(url).status_code == 403
    assert chief.get(url).status_code == 200
    assert ApiKey.objects.get(pk=key_id).revoked_at is None
    assert chief.post(url).status_code == 200, "a reason is asked for"
    assert ApiKey.objects.get(pk=key_id).revoked_at is None
    assert chief.post(url, {"reason": "The key was lost"}).status_code == 302
    assert ApiKey.objects.get(pk=key_id).revoked_at is not None
    assert Event.objects.get(event_type="API_KEY_REVOKED").data["reason"] == "The key was lost"


def test_a_trade_is_busted_by_those_who_may_with_their_reason(
    chief: Client, reader: Client, exchange: Exchange
) -> None:
    seller, buyer = trader_open(shares={"AAPL": 10}), trader_open(cash="2000.00")
    seller.sell(10, "100.00")
    buyer.buy(10, "100.00")
    exchange.run()
    trade = Trade.objects.get()
    url = f"/admin/trades/trade/{trade.pk}/trade_bust/"
    assert reader.post(url, {"reason": "Price was an error"}).status_code == 403
    assert b"trade_bust" in chief.get(f"/admin/trades/trade/{trade.pk}/change/").content
    assert chief.post(url, {"reason": "why"}).context["form"].errors
    assert (buyer.cash, Trade.objects.get().settlement_status) == (Decimal("1000.00"), "PENDING")
    resting = buyer.sell(5, "110.00")
    page = chief.post(url, {"reason": "Price was an error"}, follow=True)
    assert "must give back 10 AAPL and has 5 free; open orders hold 5." in page.content.decode()
    buyer.cancel(resting)
    exchange.run()
    chief.post(url, {"reason": "Price was an error"})
    assert (buyer.cash, Trade.objects.get().settlement_status) == (Decimal("2000.00"), "BUSTED")
    event = Event.objects.get(event_type="TRADE_BUSTED", account_id=buyer.account_id)
    assert event.data["reason"] == "Price was an error"
    assert event.metadata["actor_id"] == User.objects.get(username="chief").pk
    page = chief.post(url, {"reason": "Price was an error"}, follow=True)
    assert "is busted already" in page.content.decode()
