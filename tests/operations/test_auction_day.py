"""A whole day at the exchange: opening auction, trading, closing auction, with crashes on the way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from apps.events.facts import SYSTEM
from apps.instruments.calendar import Session, calendar_named
from apps.marketdata import tape
from apps.marketdata.quotes import book_latest
from apps.matching.codes import Phase
from apps.matching.models import OrderCommand
from apps.operations.models import BookSession
from apps.operations.services.controls import symbol_halt, symbol_phase, symbol_resume
from apps.operations.services.sessions import session_upkeep
from apps.orders.selectors import OrderView
from apps.primitives.clock import utc_now
from apps.trades.models import Trade
from tests.support.builders import Trader, trader_open
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

CHOOSABLE = [phase for phase in Phase if phase not in (Phase.CONTINUOUS, Phase.HALTED)]


@pytest.fixture
def session(market: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The session that the orders of this test belong to; its auctions take orders at any hour."""
    settings.MARKET_CALENDAR = "XNYS"
    monkeypatch.setattr(tape, "FRAME_INTERVAL_S", 0.0)
    monkeypatch.setattr(tape, "AUCTION_INTERVAL_S", 0.0)
    for name in ("plan", "replacement"):
        monkeypatch.setattr(f"apps.orders.services.{name}.auction_entry_check", lambda *_: None)
    return calendar_named("XNYS").session_at(utc_now())


@pytest.fixture
def floor(session: Session, exchange: Exchange) -> Callable[[datetime], None]:
    """Bring the market to an instant, have it booked, crash, and find the same books again."""

    def go(now: datetime) -> None:
        session_upkeep(now)
        exchange.run()
        restart(exchange)

    return go


def restart(exchange: Exchange) -> None:
    """End the leader and let another one rebuild the books from the database."""
    before = exchange.runner.engine.state_hash()
    exchange.restart()
    assert exchange.runner.engine.state_hash() == before


def statuses(trader: Trader, *orders: OrderView) -> list[str]:
    found = [trader.order(order) for order in orders]
    return [
        f"{one.status} {one.reject_reason or ''} {one.filled_quantity}".replace("  ", " ") for one in found
    ]


def test_a_day_from_auction_to_auction(
    session: Session, exchange: Exchange, floor: Callable[[datetime], None]
) -> None:
    seller, buyer = trader_open(shares={"AAPL": 100}), trader_open(cash="50000.00")
    floor(session.opens_at - timedelta(hours=1))
    resting = seller.sell(10, "99.00", time_in_force="gtc")
    first = buyer.buy(6, "101.00", time_in_force="opg")
    market_buy = buyer.buy(8, time_in_force="opg")
    at_close = buyer.buy(9, time_in_force="cls")
    exchange.run()
    restart(exchange)
    assert not Trade.objects.exists()
    floor(session.opens_at - timedelta(minutes=2))
    status = book_latest("AAPL").status
    assert status is not None
    assert (status.phase, status.auction and status.auction.volume) == ("OPENING_AUCTION", 10)
    assert status.auction is not None
    assert status.auction.imbalance == 4
    assert not Trade.objects.exists()

    floor(session.opens_at)
    assert statuses(seller, resting) == ["FILLED 10"]
    opened = set(Trade.objects.values_list("price", flat=True))
    assert opened == {status.auction.price}, "one price for all"
    filled = [buyer.order(order).filled_quantity for order in (first, market_buy)]
    assert sum(filled) == 10
    assert sorted(statuses(buyer, first, market_buy))[0].startswith("CANCELLED AUCTION_REMAINDER")
    assert statuses(buyer, at_close) == ["NEW 0"], "an order for the close waits for the close"

    day, offered = seller.sell(5, "100.50"), seller.sell(20, "100.00", time_in_force="cls")
    exchange.run()
    floor(session.closes_at - timedelta(seconds=1))
    assert statuses(seller, day, offered) == ["NEW 0", "NEW 0"]
    floor(session.closes_at)
    assert buyer.order(at_close).status == "FILLED"
    assert statuses(seller, offered) == ["CANCELLED AUCTION_REMAINDER 9"]
    assert statuses(seller, day) == ["EXPIRED TIME_IN_FORCE 0"], "the day ends after its closing auction"
    assert BookSession.objects.get(symbol="AAPL").phase == "CLOSED"
    assert (buyer.summary.held_cash, seller.shares()) == (0, 81)


def test_an_order_for_the_day_takes_part_in_the_closing_auction_even_when_two_tasks_run(
    session: Session, exchange: Exchange
) -> None:
    session_upkeep(session.opens_at)
    exchange.run()
    seller, buyer = trader_open(shares={"AAPL": 100}), trader_open(cash="50000.00")
    day, close = seller.sell(5, "100.00"), buyer.buy(5, "100.00", time_in_force="cls")
    exchange.run()

    def upkeep() -> None:
        try:
            session_upkeep(session.closes_at)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(upkeep) for _ in range(4)]:
            one.result()
    session_upkeep(session.closes_at)
    rows = OrderCommand.objects.filter(symbol="AAPL").order_by("command_id")
    kinds = [Phase(row.argument).name if row.kind == "PHASE" else row.kind for row in rows]
    assert kinds[:2] == ["CLOSING_AUCTION", "CLOSED"]
    assert set(kinds[2:]) <= {"EXPIRE"}
    exchange.run()
    assert statuses(seller, day) == ["FILLED 5"]
    assert statuses(buyer, close) == ["FILLED 5"]


def test_a_crash_between_closing_auction_and_close_books_the_auction_once(
    session: Session, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_upkeep(session.opens_at)
    exchange.run()
    seller, buyer = trader_open(shares={"AAPL": 100}), trader_open(cash="50000.00")
    day, close = seller.sell(5, "100.00"), buyer.buy(7, "100.00", time_in_force="cls")
    exchange.run()
    session_upkeep(session.closes_at)
    take = exchange.runner.queue.take
    monkeypatch.setattr(exchange.runner.queue, "take", lambda *arguments: take(*arguments)[:1])
    exchange.runner.step(exchange.connection)
    assert OrderCommand.objects.filter(symbol="AAPL", kind="PHASE").get().argument == Phase.CLOSED
    restart(exchange)
    late = buyer.buy(1, "98.00", time_in_force="gtc")
    exchange.run()
    restart(exchange)
    assert statuses(seller, day) == ["FILLED 5"]
    assert statuses(buyer, close, late) == ["CANCELLED AUCTION_REMAINDER 5", "NEW 0"]
    assert Trade.objects.count() == 1


def test_a_halted_symbol_opens_late_by_an_auction_of_its_own(
    session: Session, exchange: Exchange, floor: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    seller, buyer = trader_open(shares={"AAPL": 100}), trader_open(cash="50000.00")
    floor(session.opens_at - timedelta(hours=1))
    monkeypatch.setattr("apps.instruments.services.utc_now", lambda: session.opens_at - timedelta(minutes=30))
    symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
    offer, bid = seller.sell(5, "100.00", time_in_force="gtc"), None
    floor(session.opens_at - timedelta(minutes=1))
    floor(session.opens_at)
    assert BookSession.objects.get(symbol="AAPL").phase == "HALTED"
    assert statuses(seller, offer) == ["NEW 0"]
    bid = buyer.buy(5, "100.00", time_in_force="gtc")
    exchange.run()
    restart(exchange)
    monkeypatch.setattr(
        "apps.operations.services.controls.utc_now", lambda: session.opens_at + timedelta(minutes=30)
    )
    symbol_resume(symbol="AAPL", reason="News is out", origin=SYSTEM)
    rows = OrderCommand.objects.order_by("command_id")
    assert [Phase(row.argument).name for row in rows] == ["OPENING_AUCTION", "CONTINUOUS"]
    exchange.run()
    restart(exchange)
    assert statuses(buyer, bid) == ["FILLED 5"]


@pytest.mark.parametrize("phase", CHOOSABLE, ids=lambda phase: phase.name)
def test_a_restart_in_any_phase_finds_the_same_books(exchange: Exchange, phase: Phase) -> None:
    seller, buyer = trader_open(shares={"AAPL": 100}), trader_open(cash="50000.00")
    symbol_phase(symbol="AAPL", phase=phase, reason="A test of systems", origin=SYSTEM)
    exchange.run()
    seller.sell(5, "99.00")
    seller.sell(5, "98.00")
    buyer.buy(3, "101.00")
    gone = buyer.buy(4, "100.00")
    exchange.run()
    restart(exchange)
    buyer.cancel(gone)
    seller.replace(seller.sell(2, "103.00"), price="102.00")
    exchange.run()
    restart(exchange)
    symbol_phase(symbol="AAPL", phase=Phase.CONTINUOUS, reason="All is well", origin=SYSTEM)
    exchange.run()
    restart(exchange)
    assert Trade.objects.count() >= 1
