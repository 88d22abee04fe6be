"""The market's day at passed-in times: expiry, close and open, staff halts kept, values at the close."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.instruments.calendar import calendar_named
from apps.instruments.models import Instrument
from apps.instruments.selectors import market_session
from apps.matching.models import OrderCommand
from apps.operations.models import BookSession
from apps.operations.services import sessions
from apps.operations.services.controls import symbol_halt, symbol_resume
from apps.operations.services.sessions import orders_expire, session_ended, session_upkeep, turn_next
from apps.positions.models import Position
from apps.primitives.clock import utc_now
from tests.operations.conftest import TradedBook
from tests.support.builders import trader_open
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

# A Friday in November: the core session is 14:30 to 21:00 UTC.
BEFORE_OPEN = datetime(2026, 11, 20, 14, 29, 59, tzinfo=UTC)
OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
SATURDAY = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)


@pytest.fixture
def new_york(settings: Any) -> None:
    settings.MARKET_CALENDAR = "XNYS"


def queued() -> list[tuple[str, str]]:
    return list(OrderCommand.objects.order_by("symbol", "command_id").values_list("kind", "symbol"))


def test_day_orders_expire_at_their_time_and_good_till_cancelled_ones_stay(
    traded: TradedBook, exchange: Exchange
) -> None:
    assert orders_expire(utc_now()) == 0
    closing = market_session().closes_at
    due = orders_expire(closing)
    assert due == 2, "what rests of ask-2 and ask-rest are good for the day"
    assert orders_expire(closing) == 0, "an expiry that is queued is not queued again"
    exchange.run()
    assert traded.seller.order(traded.working).status == "EXPIRED"
    assert traded.buyer.summary.held_cash == Decimal("2955.00"), "30 at 98.50, good till cancelled"


def test_expiry_works_in_bounded_steps(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "EXPIRIES_MAX", 2)
    seller = trader_open(shares={"AAPL": 50})
    for n in range(5):
        seller.sell(1, f"10{n}.00")
    exchange.run()
    assert orders_expire(market_session().closes_at) == 5
    exchange.run()
    assert seller.summary.held_cash == 0


def test_an_open_market_queues_nothing(market: None) -> None:
    done = session_upkeep(utc_now())
    assert (done.opened, done.closed) == (0, 0)
    assert queued() == []


def test_books_close_and_open_once_with_the_exchange(new_york: None, market: None) -> None:
    assert session_upkeep(BEFORE_OPEN).closed == 2
    assert queued() == [("HALT", "AAPL"), ("HALT", "MSFT")]
    assert session_upkeep(BEFORE_OPEN).closed == 0
    assert session_upkeep(OPEN).opened == 2
    assert session_upkeep(OPEN + timedelta(hours=1)).opened == 0
    assert session_upkeep(CLOSE).closed == 2
    assert session_upkeep(SATURDAY).closed == 0
    assert [kind for kind, symbol in queued() if symbol == "AAPL"] == ["HALT", "RESUME", "HALT"]
    assert not Instrument.objects.filter(halted=True).exists(), "halted stays the staff's flag"
    closed = Event.objects.filter(event_type="MARKET_CLOSED").order_by("id").last()
    assert closed is not None
    assert closed.data["reason"] == "MARKET_CLOSED"
    assert closed.data["symbols"] == ["AAPL", "MSFT"]


def test_a_staff_halt_outlives_the_open(new_york: None, market: None) -> None:
    session_upkeep(BEFORE_OPEN)
    symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
    OrderCommand.objects.all().delete()
    session_upkeep(OPEN)
    assert queued() == [("RESUME", "MSFT")]
    symbol_resume(symbol="AAPL", reason="News is out", origin=SYSTEM)
    assert queued() == [("RESUME", "AAPL"), ("RESUME", "MSFT")]


def test_a_staff_resume_of_a_closed_market_waits_for_the_open(new_york: None, market: None) -> None:
    symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
    session_upkeep(BEFORE_OPEN)
    OrderCommand.objects.all().delete()
    symbol_resume(symbol="AAPL", reason="News is out", origin=SYSTEM)
    assert queued() == []
    session_upkeep(OPEN)
    assert queued() == [("RESUME", "AAPL"), ("RESUME", "MSFT")]


def test_an_instrument_listed_on_a_weekend_is_closed_until_the_open(new_york: None, market: None) -> None:
    session_upkeep(SATURDAY)
    OrderCommand.objects.all().delete()
    from tests.support.builders import market_open

    market_open({"NEWCO": Decimal("10.00")})
    session_upkeep(SATURDAY + timedelta(minutes=1))
    assert queued() == [("HALT", "NEWCO")]


def test_books_closed_by_another_calendar_are_opened_where_the_market_never_closes(
    market: None, settings: Any
) -> None:
    settings.MARKET_CALENDAR = "XNYS"
    session_upkeep(SATURDAY)
    settings.MARKET_CALENDAR = "OPEN"
    OrderCommand.objects.all().delete()
    assert session_upkeep(utc_now()).opened == 2
    assert queued() == [("RESUME", "AAPL"), ("RESUME", "MSFT")]
    assert not BookSession.objects.filter(is_open=False).exists()


def test_limit_orders_of_a_closed_book_wait_and_trade_at_the_open(
    new_york: None, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    seller, buyer = trader_open(shares={"AAPL": 10}), trader_open(cash="2000.00")
    session_upkeep(SATURDAY)
    exchange.run()
    offered, bid = (
        seller.sell(10, "100.00", time_in_force="gtc"),
        buyer.buy(10, "100.00", time_in_force="gtc"),
    )
    exchange.run()
    assert (seller.order(offered).status, buyer.order(bid).status) == ("NEW", "NEW")
    session_upkeep(OPEN)
    exchange.run()
    assert (seller.order(offered).status, buyer.order(bid).status) == ("FILLED", "FILLED")


def test_positions_are_valued_at_the_close_once(traded: TradedBook) -> None:
    tomorrow = market_session().closes_at + timedelta(minutes=1)
    ended = session_ended(calendar_named("OPEN"), tomorrow)
    assert ended is not None
    assert ended.closes_at == market_session().closes_at
    assert session_upkeep(tomorrow).valued == 2
    held = Position.objects.get(account_id=traded.buyer.account_id, symbol="AAPL")
    assert held.market_value == Decimal("7035.00"), "70 at the last price of 100.50"
    assert held.unrealized_pnl == held.market_value - (held.average_cost * 70).quantize(Decimal("0.01"))
    assert session_upkeep(tomorrow).valued == 0


def test_the_next_turn_is_known_when_it_is_near(new_york: None, market: None) -> None:
    near = timedelta(seconds=15)
    assert turn_next(OPEN - timedelta(seconds=10), near) == OPEN
    assert turn_next(CLOSE - timedelta(seconds=10), near) == CLOSE
    assert turn_next(OPEN, near) is None
