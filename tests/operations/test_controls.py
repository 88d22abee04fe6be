"""Staff controls: a halt holds the book, a suspension holds the account, and both are on record."""

import pytest

from apps.accounts.models import Account
from apps.events.facts import Origin
from apps.events.models import Event
from apps.instruments.models import Instrument
from apps.matching.models import OrderCommand
from apps.operations.services.controls import account_restore, account_suspend, symbol_halt, symbol_resume
from apps.primitives.errors import Conflict, Invalid, NotFound, Refused
from tests.support.builders import trader_open
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

STAFF = Origin(ip_address="192.0.2.7", actor_id=42)


def test_in_a_halt_limit_orders_wait_market_orders_are_refused_and_cancels_work(exchange: Exchange) -> None:
    seller, buyer = trader_open(shares={"AAPL": 20}), trader_open(cash="5000.00")
    symbol_halt(symbol="AAPL", reason="News is pending", origin=STAFF)
    exchange.run()
    offer, bid = seller.sell(10, "100.00"), buyer.buy(10, "100.00")
    gone = seller.sell(10, "101.00")
    exchange.run()
    assert (seller.order(offer).status, buyer.order(bid).status) == ("NEW", "NEW")
    with pytest.raises(Refused, match="halted"):
        buyer.buy(1)
    seller.cancel(gone)
    exchange.run()
    assert seller.order(gone).status == "CANCELLED"
    symbol_resume(symbol="AAPL", reason="News is out", origin=STAFF)
    exchange.run()
    assert (seller.order(offer).status, buyer.order(bid).status) == ("FILLED", "FILLED")


def test_a_halt_is_one_audit_event_with_its_actor_and_reason(market: None) -> None:
    symbol_halt(symbol="AAPL", reason="  News is pending ", origin=STAFF)
    event = Event.objects.get(event_type="SYMBOL_HALTED")
    assert (event.topic, event.user_id, event.data["reason"]) == ("audit-log", 42, "News is pending")
    assert event.metadata["actor_id"] == 42
    assert event.metadata["ip_address"] == "192.0.2.7"
    row = Instrument.objects.get(symbol="AAPL")
    assert (row.halted, row.halt_reason) == (True, "News is pending")


@pytest.mark.parametrize("reason", ["", "   ", "why", "x" * 201])
def test_a_halt_without_a_usable_reason_changes_nothing(market: None, reason: str) -> None:
    with pytest.raises(Invalid):
        symbol_halt(symbol="AAPL", reason=reason, origin=STAFF)
    assert not Instrument.objects.get(symbol="AAPL").halted
    assert not OrderCommand.objects.exists()
    assert not Event.objects.filter(event_type="SYMBOL_HALTED").exists()


def test_halting_twice_or_an_unknown_symbol_is_refused(market: None) -> None:
    symbol_halt(symbol="AAPL", reason="News is pending", origin=STAFF)
    with pytest.raises(Conflict):
        symbol_halt(symbol="AAPL", reason="News is pending", origin=STAFF)
    with pytest.raises(NotFound):
        symbol_halt(symbol="NOPE", reason="News is pending", origin=STAFF)
    assert OrderCommand.objects.count() == 1


def test_a_suspended_account_is_refused_until_it_is_restored(exchange: Exchange) -> None:
    buyer = trader_open(cash="5000.00")
    account_suspend(account_id=buyer.account_id, reason="Documents missing", origin=STAFF)
    with pytest.raises(Refused, match="suspended"):
        buyer.buy(1, "100.00")
    account_restore(account_id=buyer.account_id, reason="Documents arrived", origin=STAFF)
    buyer.buy(1, "100.00")
    assert Event.objects.filter(event_type__in=["ACCOUNT_SUSPENDED", "ACCOUNT_ACTIVE"]).count() == 2


def test_a_closed_account_is_not_restored(market: None) -> None:
    closed = trader_open()
    Account.objects.filter(pk=closed.account_id).update(account_status="CLOSED")
    with pytest.raises(Conflict, match="closed"):
        account_restore(account_id=closed.account_id, reason="By mistake", origin=STAFF)
