"""Orders for the opening and the closing auction, through one day of the exchange's calendar."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from apps.operations.services.sessions import session_upkeep
from apps.orders.models import Order
from apps.primitives.errors import Invalid, Refused
from apps.trades.models import Trade
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange

# A Friday in November: the core session is 14:30 to 21:00 UTC.
NIGHT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
LATE = datetime(2026, 11, 20, 20, 55, tzinfo=UTC)
CLOSE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)


class Day:
    """A clock that entry, booking and upkeep read, and that a test moves."""

    def __init__(self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
        self.exchange = exchange
        for module in ("apps.orders.services.transaction", "apps.instruments.selectors"):
            monkeypatch.setattr(f"{module}.utc_now", lambda: self.now)
        self.reach(NIGHT)

    def reach(self, now: datetime) -> None:
        self.now = now
        session_upkeep(now)
        self.exchange.run()


@pytest.fixture
def day(exchange: Exchange, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Day:
    settings.MARKET_CALENDAR = "XNYS"
    return Day(exchange, monkeypatch)


@pytest.fixture
def ada(market: None) -> Trader:
    return trader_open(cash="10000.00", shares={"AAPL": 100})


def test_auction_orders_meet_at_the_open_at_one_price(day: Day, ada: Trader) -> None:
    grace = trader_open(shares={"AAPL": 100})
    bought = ada.buy(10, time_in_force="opg")
    offer = grace.sell(6, "99.00")
    day.exchange.run()
    assert (ada.order(bought).status, grace.order(offer).status) == ("NEW", "NEW")
    assert ada.order(bought).expires_at == CLOSE
    assert not Trade.objects.exists()
    day.reach(OPEN)
    ended = ada.order(bought)
    assert (ended.status, ended.filled_quantity, ended.reject_reason) == ("CANCELLED", 6, "AUCTION_REMAINDER")
    assert grace.order(offer).status == "FILLED"
    assert ada.summary.held_cash == 0


def test_closing_auction_takes_what_waits_for_it_and_cancels_the_rest(day: Day, ada: Trader) -> None:
    grace = trader_open(cash="10000.00")
    day.reach(OPEN)
    day.reach(NOON)
    selling = ada.sell(10, "98.00", time_in_force="cls")
    bid = grace.buy(4, "99.00")
    day.exchange.run()
    assert ada.order(selling).status == "NEW", "it does not trade before the close"
    day.reach(CLOSE)
    ended = ada.order(selling)
    assert (ended.status, ended.filled_quantity) == ("CANCELLED", 4)
    assert grace.order(bid).status == "FILLED"
    assert Trade.objects.get().price == Decimal("99.0000")


def test_auction_orders_are_refused_when_they_come_too_late(day: Day, ada: Trader) -> None:
    day.reach(OPEN)
    day.reach(NOON)
    with pytest.raises(Invalid, match="before 09:28 ET"):
        ada.buy(1, "100.00", time_in_force="opg")
    waiting = ada.buy(1, "95.00", time_in_force="cls")
    day.exchange.run()
    day.reach(LATE)
    with pytest.raises(Invalid, match="before 15:50 ET"):
        ada.buy(1, "100.00", time_in_force="cls")
    with pytest.raises(Invalid, match="before 15:50 ET"):
        ada.replace(waiting, price="96.00")
    ada.cancel(waiting)
    day.exchange.run()
    assert ada.order(waiting).status == "CANCELLED"


def test_limit_for_an_auction_can_be_replaced_in_time(day: Day, ada: Trader) -> None:
    order = ada.buy(5, "95.00", time_in_force="opg")
    day.exchange.run()
    better = ada.replace(order, quantity=8, price="96.00")
    day.exchange.run()
    assert (ada.order(better).status, ada.order(better).time_in_force) == ("NEW", "OPG")
    assert ada.order(better).expires_at == CLOSE


def test_stops_and_auction_orders_wait_through_the_night_and_market_orders_do_not(
    day: Day, ada: Trader
) -> None:
    with pytest.raises(Refused, match="market is closed"):
        ada.buy(1)
    ada.stop("sell", 1, "95.00")
    ada.trail("sell", 1, trail_percent="5")
    ada.buy(1, time_in_force="cls")
    day.exchange.run()
    assert set(Order.objects.values_list("status", flat=True)) == {"NEW"}


def test_day_orders_of_every_type_end_with_the_session(day: Day, ada: Trader) -> None:
    day.reach(OPEN)
    orders = [ada.stop("sell", 1, "95.00"), ada.trail("sell", 1, trail_price="1.00"), ada.buy(1, "90.00")]
    kept = ada.stop("sell", 1, "95.00", time_in_force="gtc")
    day.exchange.run()
    day.reach(CLOSE)
    assert {ada.order(order).status for order in orders} == {"EXPIRED"}
    assert ada.order(kept).status == "NEW"


@pytest.mark.parametrize("time_in_force", ["opg", "cls"])
def test_market_that_never_closes_refuses_auction_orders(market: None, time_in_force: str) -> None:
    with pytest.raises(Invalid, match="never closes"):
        trader_open(cash="1000.00").buy(1, "100.00", time_in_force=time_in_force)
