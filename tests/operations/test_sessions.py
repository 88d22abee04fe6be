"""The market's day at passed-in times: expiry, close and open, staff halts kept, values at the close."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.instruments.calendar import calendar_named
from apps.instruments.models import Instrument
from apps.instruments.selectors import market_session
from apps.matching.codes import Phase
from apps.matching.models import OrderCommand
from apps.operations.models import BookSession
from apps.operations.rules import Stage
from apps.operations.services import controls, sessions
from apps.operations.services.controls import symbol_halt, symbol_resume
from apps.operations.services.sessions import orders_expire, session_ended, session_upkeep, turn_next
from apps.positions.models import Position
from apps.primitives.clock import utc_now
from tests.operations.conftest import TradedBook
from tests.support.builders import market_open, trader_open
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

# A Friday in November: the core session is 14:30 to 21:00 UTC.
NIGHT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
COLLECTING = datetime(2026, 11, 20, 14, 28, tzinfo=UTC)
BEFORE_OPEN = datetime(2026, 11, 20, 14, 29, 59, tzinfo=UTC)
OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
SATURDAY = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)


@pytest.fixture
def new_york(settings: Any) -> None:
    settings.MARKET_CALENDAR = "XNYS"


def queued(symbol: str | None = None) -> list[str]:
    """Return the queued commands about books in order: `AAPL CLOSED`, `AAPL BANDS`."""
    rows = OrderCommand.objects.order_by("symbol", "command_id").exclude(kind="EXPIRE")
    found = [
        f"{row.symbol} {Phase(row.argument).name if row.kind == 'PHASE' else row.kind}"
        for row in rows
        if symbol in (None, row.symbol)
    ]
    OrderCommand.objects.exclude(kind="EXPIRE").delete()
    return found


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
    assert (done.turned, done.stage) == (0, Stage.CONTINUOUS)
    assert queued() == []


def test_books_go_through_the_exchanges_day_once(new_york: None, market: None) -> None:
    assert session_upkeep(NIGHT).turned == 2
    assert queued() == ["AAPL CLOSED", "MSFT CLOSED"]
    assert session_upkeep(NIGHT).turned == 0
    assert session_upkeep(COLLECTING).turned == 2
    assert queued() == ["AAPL OPENING_AUCTION", "MSFT OPENING_AUCTION"]
    assert session_upkeep(BEFORE_OPEN).turned == 0
    assert session_upkeep(OPEN).turned == 2
    assert queued() == ["AAPL CONTINUOUS", "MSFT CONTINUOUS"]
    assert session_upkeep(OPEN + timedelta(hours=1)).turned == 0
    assert session_upkeep(CLOSE).turned == 2
    assert queued("AAPL") == ["AAPL CLOSING_AUCTION", "AAPL CLOSED"]
    assert session_upkeep(SATURDAY).turned == 0
    assert not Instrument.objects.filter(halted=True).exists(), "halted stays the staff's flag"
    told = BookSession.objects.get(symbol="AAPL")
    assert (told.stage, told.phase, told.trade_date) == ("CLOSED", "CLOSED", date(2026, 11, 23))


def test_each_turn_is_one_event(new_york: None, market: None) -> None:
    for now in (NIGHT, COLLECTING, OPEN, CLOSE):
        session_upkeep(now)
    events = Event.objects.filter(event_type__startswith="MARKET_").order_by("id")
    assert [event.event_type for event in events] == [
        "MARKET_CLOSED",
        "MARKET_OPENING",
        "MARKET_OPENED",
        "MARKET_CLOSED",
    ]
    closed = events.last()
    assert closed is not None
    assert closed.data["reason"] == "MARKET_CLOSE"
    assert closed.data["symbols"] == ["AAPL", "MSFT"]


def test_a_staff_halt_outlives_the_open(new_york: None, market: None) -> None:
    session_upkeep(NIGHT)
    symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
    assert queued("AAPL") == ["AAPL CLOSED"], "a closed book stays closed"
    session_upkeep(COLLECTING)
    assert queued() == ["AAPL HALTED", "MSFT OPENING_AUCTION"]
    session_upkeep(OPEN)
    assert queued() == ["MSFT CONTINUOUS"]
    symbol_resume(symbol="AAPL", reason="News is out", origin=SYSTEM)
    assert queued()[-1] == "AAPL CONTINUOUS"
    session_upkeep(CLOSE)
    assert queued("AAPL") == ["AAPL CLOSING_AUCTION", "AAPL CLOSED"]


def test_a_halted_book_closes_without_an_auction(new_york: None, market: None) -> None:
    session_upkeep(OPEN)
    symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
    assert queued("AAPL") == ["AAPL CONTINUOUS", "AAPL HALTED"]
    session_upkeep(CLOSE)
    assert queued("AAPL") == ["AAPL CLOSED"]


def test_a_staff_resume_of_a_closed_market_waits_for_the_open(new_york: None, market: None) -> None:
    symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
    session_upkeep(NIGHT)
    queued()
    symbol_resume(symbol="AAPL", reason="News is out", origin=SYSTEM)
    assert queued() == []
    session_upkeep(OPEN)
    assert queued() == ["AAPL CONTINUOUS", "MSFT CONTINUOUS"]


def test_a_resume_shortly_before_the_open_joins_the_auction(new_york: None, market: None) -> None:
    symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
    session_upkeep(COLLECTING)
    assert queued("AAPL") == ["AAPL HALTED"]
    symbol_resume(symbol="AAPL", reason="News is out", origin=SYSTEM)
    assert queued() == ["AAPL OPENING_AUCTION"]


def test_a_symbol_halted_over_the_open_has_its_opening_auction_when_it_resumes(
    new_york: None, market: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
    Instrument.objects.filter(symbol="AAPL").update(halted_at=NIGHT)
    session_upkeep(OPEN)
    queued()
    monkeypatch.setattr(controls, "utc_now", lambda: OPEN + timedelta(hours=1))
    symbol_resume(symbol="AAPL", reason="News is out", origin=SYSTEM)
    assert queued() == ["AAPL OPENING_AUCTION", "AAPL CONTINUOUS"]


def test_an_instrument_listed_on_a_weekend_is_closed_until_the_open(new_york: None, market: None) -> None:
    session_upkeep(SATURDAY)
    queued()
    market_open({"NEWCO": Decimal("10.00")})
    session_upkeep(SATURDAY + timedelta(minutes=1))
    assert queued() == ["NEWCO CLOSED"]


def test_a_close_that_was_slept_through_is_no_auction_the_next_morning(new_york: None, market: None) -> None:
    session_upkeep(OPEN)
    queued()
    session_upkeep(OPEN + timedelta(days=3))
    assert queued("AAPL") == ["AAPL CLOSED", "AAPL CONTINUOUS"]


def test_books_closed_by_another_calendar_are_opened_where_the_market_never_closes(
    market: None, settings: Any
) -> None:
    settings.MARKET_CALENDAR = "XNYS"
    session_upkeep(SATURDAY)
    settings.MARKET_CALENDAR = "OPEN"
    queued()
    assert session_upkeep(utc_now()).turned == 2
    assert queued() == ["AAPL CONTINUOUS", "MSFT CONTINUOUS"]
    assert not BookSession.objects.exclude(stage="CONTINUOUS").exists()


def test_the_rules_bands_end_with_trading_and_those_of_staff_stay(new_york: None, market: None) -> None:
    session_upkeep(OPEN)
    banded = {"lower_band": Decimal(95), "upper_band": Decimal(105)}
    BookSession.objects.filter(symbol="AAPL").update(**banded, bands_source="RULE")
    BookSession.objects.filter(symbol="MSFT").update(**banded, bands_source="STAFF")
    queued()
    session_upkeep(CLOSE)
    assert queued() == [
        "AAPL CLOSING_AUCTION",
        "AAPL BANDS",
        "AAPL CLOSED",
        "MSFT CLOSING_AUCTION",
        "MSFT CLOSED",
    ]


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
    for turn in (COLLECTING, OPEN, CLOSE):
        assert turn_next(turn - timedelta(seconds=10), near) == turn
        assert turn_next(turn - timedelta(seconds=16), near) is None
    assert turn_next(OPEN, near) is None
