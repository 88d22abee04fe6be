"""Staff controls: a halt holds the book, a suspension holds the account, and both are on record."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections

from apps.accounts.models import Account
from apps.events.facts import Origin
from apps.events.models import Event
from apps.instruments.models import Instrument
from apps.matching.codes import Mode, Phase
from apps.matching.models import OrderCommand
from apps.operations.models import BookSession
from apps.operations.services.bands import bands_upkeep
from apps.operations.services.controls import (
    account_restore,
    account_suspend,
    symbol_bands,
    symbol_halt,
    symbol_mode,
    symbol_phase,
    symbol_resume,
    symbol_tier,
)
from apps.operations.services.sessions import session_upkeep
from apps.primitives.clock import utc_now
from apps.primitives.errors import Conflict, Invalid, NotFound, Refused
from tests.support.builders import trader_open
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

OPEN, CLOSE = datetime(2026, 11, 20, 14, 30, tzinfo=UTC), datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
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


def phases_queued() -> list[str]:
    rows = OrderCommand.objects.order_by("command_id")
    return [Phase(row.argument).name if row.kind == "PHASE" else row.kind for row in rows]


def test_every_change_of_a_book_is_told_and_on_record_with_before_and_after(market: None) -> None:
    symbol_phase(symbol="AAPL", phase=Phase.PRE_OPEN, reason="A late start", origin=STAFF)
    symbol_mode(symbol="AAPL", mode=Mode.CANCEL_ONLY, reason="Prices look wrong", origin=STAFF)
    symbol_bands(
        symbol="AAPL", lower=Decimal("90"), upper=Decimal("110"), reason="Prices look wrong", origin=STAFF
    )
    assert phases_queued() == ["PRE_OPEN", "MODE", "BANDS"]
    mode, bands = OrderCommand.objects.order_by("command_id")[1:]
    assert (mode.argument, bands.price_units, bands.stop_price_units) == (3, 900_000, 1_100_000)
    events = list(Event.objects.filter(topic="audit-log", user_id=42).order_by("id"))
    assert [event.event_type for event in events] == ["PHASE_CHANGED", "MODE_CHANGED", "BANDS_CHANGED"]
    assert (events[0].data["before"]["phase"], events[0].data["after"]["phase"]) == ("CONTINUOUS", "PRE_OPEN")
    assert (events[1].data["before"]["mode"], events[1].data["after"]["mode"]) == ("OPEN", "CANCEL_ONLY")
    assert events[2].data["before"]["bands"] is None
    assert events[2].data["after"]["bands_source"] == "STAFF"
    assert {event.metadata["actor_id"] for event in events} == {42}


def test_what_makes_no_sense_is_refused_and_changes_nothing(market: None) -> None:
    why: dict[str, Any] = {"reason": "For a good reason", "origin": STAFF}
    with pytest.raises(Conflict, match="already in CONTINUOUS"):
        symbol_phase(symbol="AAPL", phase=Phase.CONTINUOUS, **why)
    with pytest.raises(Invalid, match="Halt the symbol instead"):
        symbol_phase(symbol="AAPL", phase=Phase.HALTED, **why)
    with pytest.raises(Conflict, match="already in mode OPEN"):
        symbol_mode(symbol="AAPL", mode=Mode.OPEN, **why)
    with pytest.raises(NotFound):
        symbol_mode(symbol="NOPE", mode=Mode.CANCEL_ONLY, **why)
    for lower, upper, sentence in (
        (None, "110", "Give both"),
        ("110", "90", "must not be above"),
        ("0", "110", "greater than zero"),
        ("90.00001", "110", "at most 4 decimals"),
        ("90", "99.99", "leave out"),
        (None, None, "has no price bands"),
    ):
        with pytest.raises((Invalid, Conflict), match=sentence):
            symbol_bands(
                symbol="AAPL",
                lower=Decimal(lower) if lower else None,
                upper=Decimal(upper) if upper else None,
                **why,
            )
    assert not OrderCommand.objects.exists()
    assert not BookSession.objects.exists()
    assert not Event.objects.filter(topic="audit-log", user_id=42).exists()


def test_a_tier_is_changed_and_without_one_the_rules_bands_go(market: None) -> None:
    why: dict[str, Any] = {"reason": "Left the index", "origin": STAFF}
    symbol_tier(symbol="AAPL", tier=1, **why)
    with pytest.raises(Conflict, match="already"):
        symbol_tier(symbol="AAPL", tier=1, **why)
    with pytest.raises(Invalid):
        symbol_tier(symbol="AAPL", tier=3, **why)
    assert not OrderCommand.objects.exists(), "a tier is no business of the book"
    bands_upkeep(utc_now())
    symbol_tier(symbol="AAPL", tier=None, **why)
    rows = OrderCommand.objects.filter(symbol="AAPL").order_by("command_id")
    assert [(row.kind, row.price_units) for row in rows] == [("BANDS", 950_000), ("BANDS", 0)]
    event = Event.objects.filter(event_type="TIER_CHANGED").order_by("id").last()
    assert event is not None
    assert (event.data["before"]["band_tier"], event.data["after"]["band_tier"]) == (1, None)


def test_the_phase_of_a_halted_symbol_is_its_halt(market: None) -> None:
    symbol_halt(symbol="AAPL", reason="News is pending", origin=STAFF)
    with pytest.raises(Conflict, match="resume it first"):
        symbol_phase(symbol="AAPL", phase=Phase.CONTINUOUS, reason="Trade again", origin=STAFF)
    assert phases_queued() == ["HALTED"]


def test_a_closed_market_may_prepare_and_not_trade(market: None, settings: Any) -> None:
    settings.MARKET_CALENDAR = "XNYS"
    session_upkeep(datetime(2026, 11, 21, 16, 0, tzinfo=UTC))
    for phase in (Phase.CONTINUOUS, Phase.CLOSING_AUCTION, Phase.PAUSED):
        with pytest.raises(Conflict, match="CLOSED, PRE_OPEN, OPENING_AUCTION only"):
            symbol_phase(symbol="AAPL", phase=phase, reason="Trade early", origin=STAFF)
    symbol_phase(symbol="AAPL", phase=Phase.PRE_OPEN, reason="A test of systems", origin=STAFF)
    assert BookSession.objects.get(symbol="AAPL").stage == "CLOSED"


def test_staff_bands_hold_orders_until_they_are_taken_away(exchange: Exchange) -> None:
    seller, buyer = trader_open(shares={"AAPL": 20}), trader_open(cash="50000.00")
    low = seller.sell(5, "96.00")
    exchange.run()
    symbol_bands(
        symbol="AAPL", lower=Decimal("97"), upper=Decimal("103"), reason="Prices look wrong", origin=STAFF
    )
    exchange.run()
    assert (seller.order(low).status, seller.order(low).reject_reason) == ("CANCELLED", "PRICE_BAND")
    beyond, inside = buyer.buy(1, "103.01"), buyer.buy(1, "103.00")
    exchange.run()
    assert [buyer.order(order).status for order in (beyond, inside)] == ["REJECTED", "NEW"]
    symbol_bands(symbol="AAPL", lower=None, upper=None, reason="Prices are right", origin=STAFF)
    exchange.run()
    again = buyer.buy(1, "103.01")
    exchange.run()
    assert buyer.order(again).status == "NEW"


def test_cancel_only_refuses_new_orders_and_takes_cancels(exchange: Exchange) -> None:
    buyer = trader_open(cash="50000.00")
    resting = buyer.buy(1, "99.00")
    symbol_mode(symbol="AAPL", mode=Mode.CANCEL_ONLY, reason="Prices look wrong", origin=STAFF)
    exchange.run()
    late = buyer.buy(1, "99.00")
    buyer.cancel(resting)
    exchange.run()
    assert (buyer.order(late).status, buyer.order(late).reject_reason) == ("REJECTED", "CANCEL_ONLY")
    assert buyer.order(resting).status == "CANCELLED"
    assert buyer.summary.held_cash == 0


def test_a_resumption_is_an_auction_at_one_price(exchange: Exchange) -> None:
    seller, buyer = trader_open(shares={"AAPL": 30}), trader_open(cash="50000.00")
    symbol_halt(symbol="AAPL", reason="News is pending", origin=STAFF)
    offers = [seller.sell(10, price) for price in ("99.00", "101.00", "103.00")]
    bids = [buyer.buy(10, price) for price in ("104.00", "102.00", "100.00")]
    exchange.run()
    symbol_resume(symbol="AAPL", reason="News is out", origin=STAFF)
    exchange.run()
    assert [seller.order(order).status for order in offers] == ["FILLED", "FILLED", "NEW"]
    assert [buyer.order(order).status for order in bids] == ["FILLED", "FILLED", "NEW"]
    paid = {buyer.order(order).avg_fill_price for order in bids[:2]}
    assert paid == {seller.order(order).avg_fill_price for order in offers[:2]}
    assert len(paid) == 1


def test_a_halt_and_a_close_at_once_end_in_the_same_book(market: None, settings: Any) -> None:
    settings.MARKET_CALENDAR = "XNYS"
    session_upkeep(OPEN)
    OrderCommand.objects.all().delete()
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(alone, lambda: session_upkeep(CLOSE)),
            pool.submit(alone, lambda: symbol_halt(symbol="AAPL", reason="News is pending", origin=STAFF)),
        ]
        for one in both:
            one.result()
    row = BookSession.objects.get(symbol="AAPL")
    assert (row.stage, row.phase) == ("CLOSED", "CLOSED")
    assert Instrument.objects.get(symbol="AAPL").halted
    rows = OrderCommand.objects.filter(symbol="AAPL").order_by("command_id")
    assert [Phase(row.argument).name for row in rows] in (
        ["HALTED", "CLOSED"],
        ["CLOSING_AUCTION", "CLOSED"],
    )


def alone(act: Callable[[], object]) -> None:
    """Run an act as another process would: on a connection of its own."""
    try:
        act()
    finally:
        connections.close_all()


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
