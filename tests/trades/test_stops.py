"""Stops and trailing stops, from entry to the fill they trigger."""

from decimal import Decimal

import pytest

from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.matching import heartbeat
from apps.operations.services.controls import symbol_halt
from apps.orders.models import LiveOrder, Order
from apps.primitives.errors import Invalid, Refused
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange


def trade_at(exchange: Exchange, price: str, quantity: int = 1) -> None:
    """Let two strangers trade, so that the last price is ``price``."""
    seller, buyer = trader_open(shares={"AAPL": quantity}), trader_open(cash="1000000.00")
    seller.sell(quantity, price)
    buyer.buy(quantity, price)
    exchange.run()


@pytest.fixture
def owner(market: None) -> Trader:
    return trader_open(cash="10000.00", shares={"AAPL": 100})


def test_sell_stop_waits_until_the_price_falls_and_then_trades_at_the_market(
    exchange: Exchange, owner: Trader
) -> None:
    bidder = trader_open(cash="100000.00")
    order = owner.stop("sell", 10, "95.00")
    bidder.buy(10, "94.00")
    exchange.run()
    assert (owner.order(order).status, owner.order(order).stop_price) == ("NEW", Decimal("95.0000"))
    trade_at(exchange, "95.00")
    ended = owner.order(order)
    assert (ended.status, ended.avg_fill_price) == ("FILLED", Decimal("94.0000"))
    assert ended.triggered_at is not None
    told = Event.objects.get(event_type="ORDER_TRIGGERED")
    assert told.data["order"]["order_id"] == str(order.order_id)
    assert not LiveOrder.objects.filter(order_id=order.order_id).exists()


def test_buy_stop_holds_at_the_collar_above_its_stop_and_gives_the_rest_back(
    exchange: Exchange, owner: Trader
) -> None:
    order = owner.stop("buy", 10, "105.00")
    assert owner.summary.held_cash == Decimal("1155.00")
    trader_open(shares={"AAPL": 10}).sell(10, "106.00")
    exchange.run()
    trade_at(exchange, "105.00")
    assert owner.order(order).avg_fill_price == Decimal("106.0000")
    assert owner.summary.held_cash == 0


def test_stop_never_trades_beyond_its_collar(exchange: Exchange, owner: Trader) -> None:
    trader_open(cash="100000.00").buy(10, "85.00")
    order = owner.stop("sell", 10, "95.00")
    exchange.run()
    trade_at(exchange, "95.00")
    ended = owner.order(order)
    assert (ended.status, ended.reject_reason, ended.filled_quantity) == ("CANCELLED", "COLLAR", 0)


def test_triggered_stop_limit_rests_at_its_limit_and_can_be_replaced_as_a_limit(
    exchange: Exchange, owner: Trader
) -> None:
    order = owner.stop("sell", 10, "95.00", "94.50")
    exchange.run()
    trade_at(exchange, "95.00")
    working = owner.order(order)
    assert (working.status, working.triggered_at is not None) == ("NEW", True)
    with pytest.raises(Invalid, match="no stop_price to change"):
        owner.replace(order, stop="93.00")
    cheaper = owner.replace(order, price="94.00")
    exchange.run()
    assert owner.order(cheaper).price == Decimal("94.0000")
    assert owner.order(cheaper).triggered_at is not None
    trader_open(cash="10000.00").buy(10, "94.00")
    exchange.run()
    assert owner.order(cheaper).status == "FILLED"


def test_trailing_stop_follows_the_price_up_and_sells_on_the_way_down(
    exchange: Exchange, owner: Trader
) -> None:
    order = owner.trail("sell", 10, trail_price="5.00")
    assert (order.high_water_mark, order.stop_price) == (Decimal("100.00"), Decimal("95.00"))
    exchange.run()
    trade_at(exchange, "104.00")
    moved = owner.order(order)
    assert (moved.high_water_mark, moved.stop_price) == (Decimal("104.0000"), Decimal("99.0000"))
    trade_at(exchange, "101.00")
    assert owner.order(order).stop_price == Decimal("99.0000")
    trader_open(cash="10000.00").buy(10, "98.50")
    exchange.run()
    trade_at(exchange, "99.00")
    ended = owner.order(order)
    assert (ended.status, ended.avg_fill_price) == ("FILLED", Decimal("98.5000"))
    assert not Event.objects.filter(event_type="ORDER_TRAILED").exists()


def test_buy_trail_by_percent_follows_the_price_down(exchange: Exchange, owner: Trader) -> None:
    order = owner.trail("buy", 10, trail_percent="2.5")
    assert order.stop_price == Decimal("102.5000")
    assert owner.summary.held_cash == Decimal("1127.50")
    exchange.run()
    trade_at(exchange, "90.01")
    moved = owner.order(order)
    assert (moved.high_water_mark, moved.stop_price) == (Decimal("90.0100"), Decimal("92.2602"))
    trade_at(exchange, "92.26")
    assert owner.order(order).status == "NEW"
    trader_open(shares={"AAPL": 10}).sell(10, "92.30")
    exchange.run()
    trade_at(exchange, "92.27")
    assert owner.order(order).status == "FILLED"
    assert owner.summary.held_cash == 0


def test_replaced_trail_keeps_the_better_mark(exchange: Exchange, owner: Trader) -> None:
    order = owner.trail("sell", 10, trail_price="5.00")
    exchange.run()
    trade_at(exchange, "104.00")
    tighter = owner.replace(order, trail="2.00")
    assert tighter.trail_amount == Decimal("2.00")
    trade_at(exchange, "106.00")
    now = owner.order(tighter)
    assert (now.high_water_mark, now.stop_price) == (Decimal("106.0000"), Decimal("104.0000"))
    assert owner.order(order).status == "REPLACED"


@pytest.mark.parametrize(
    ("side", "stop", "message"),
    [
        ("sell", "100.00", "stop price must be less than current price"),
        ("sell", "101.00", "stop price must be less than current price"),
        ("buy", "100.00", "stop price must be greater than current price"),
        ("buy", "99.99", "stop price must be greater than current price"),
        ("sell", "95.001", "move in steps of 0.01"),
    ],
)
def test_stop_on_the_wrong_side_or_off_the_tick_is_refused(
    owner: Trader, side: str, stop: str, message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        owner.stop(side, 1, stop)
    assert not Order.objects.exists()


def test_stop_limit_too_far_from_its_own_stop_is_refused(owner: Trader) -> None:
    with pytest.raises(Refused, match=r"10% below the stop price of 60\.00"):
        owner.stop("sell", 1, "60.00", "53.00")
    owner.stop("sell", 1, "60.00", "54.00")


def test_stop_needs_its_shares_and_its_money(owner: Trader) -> None:
    owner.stop("sell", 60, "95.00")
    with pytest.raises(Refused, match="insufficient qty"):
        owner.sell(50, "100.00")
    with pytest.raises(Refused, match="insufficient buying power"):
        owner.stop("buy", 100, "101.00")


@pytest.mark.parametrize("trail", ["100.00", "0.005"])
def test_trail_that_leaves_no_stop_or_is_off_the_tick_is_refused(owner: Trader, trail: str) -> None:
    with pytest.raises(Invalid):
        owner.trail("sell", 1, trail_price=trail)


@pytest.mark.parametrize("trail", ["429496.73", "999999.99"])
def test_trail_longer_than_the_engine_can_hold_is_refused(owner: Trader, trail: str) -> None:
    with pytest.raises(Invalid, match="leaves no stop price"):
        owner.trail("buy", 1, trail_price=trail)


def test_stops_are_accepted_while_nothing_trades(exchange: Exchange, owner: Trader) -> None:
    symbol_halt(symbol="AAPL", reason="news is pending", origin=SYSTEM)
    order = owner.stop("sell", 10, "95.00")
    exchange.run()
    assert owner.order(order).status == "NEW"


def test_stop_whose_price_went_by_while_it_was_queued_acts_at_once(exchange: Exchange, owner: Trader) -> None:
    seller, buyer = trader_open(shares={"AAPL": 1}), trader_open(cash="1000.00")
    seller.sell(1, "94.00")
    buyer.buy(1, "94.00")
    order = owner.stop("sell", 10, "95.00")
    exchange.run()
    ended = owner.order(order)
    assert (ended.status, ended.reject_reason) == ("CANCELLED", "NO_LIQUIDITY")
    assert ended.triggered_at is not None


def test_smaller_stop_keeps_its_place_after_a_restart(exchange: Exchange) -> None:
    first, second = trader_open(shares={"AAPL": 10}), trader_open(shares={"AAPL": 10})
    early = first.stop("sell", 10, "95.00")
    late = second.stop("sell", 10, "95.00")
    exchange.run()
    early = first.replace(early, quantity=6)
    exchange.run()
    exchange.connection.close()
    with Exchange() as restarted:
        trader_open(cash="10000.00").buy(6, "94.00")
        restarted.run()
        trade_at(restarted, "95.00")
    assert first.order(early).status == "FILLED"
    assert second.order(late).reject_reason == "NO_LIQUIDITY"


def test_stop_moved_to_another_price_loses_its_place_and_cancel_releases_it(
    exchange: Exchange, owner: Trader
) -> None:
    order = owner.stop("sell", 10, "95.00")
    exchange.run()
    moved = owner.replace(order, stop="97.00")
    exchange.run()
    assert owner.order(moved).stop_price == Decimal("97.0000")
    assert owner.order(moved).price is None
    owner.cancel(moved)
    exchange.run()
    assert owner.order(moved).status == "CANCELLED"
    assert not LiveOrder.objects.exists()


class Pulse:
    """Counts how often a leader was seen to move."""

    ticks = 0

    def tick(self) -> None:
        self.ticks += 1


def test_stop_cascade_is_booked_in_one_batch(exchange: Exchange) -> None:
    pulse, stops = Pulse(), 60
    bidder = trader_open(cash="100000.00")
    sellers = [trader_open(shares={"AAPL": 1}) for _ in range(stops)]
    orders = [seller.stop("sell", 1, f"{99 - n / 10:.2f}") for n, seller in enumerate(sellers)]
    for n in range(stops + 1):
        bidder.buy(1, f"{99 - n / 10:.2f}")
    exchange.run()
    heartbeat.beating(pulse)
    trade_at(exchange, "99.00")
    # One order may set off more than a standby's patience lasts: it sees the leader move with every result.
    assert pulse.ticks > 2 * stops
    assert {s.order(o).status for s, o in zip(sellers, orders, strict=True)} <= {"FILLED", "CANCELLED"}
    assert Order.objects.filter(order_type="STOP", triggered_at__isnull=False).count() == stops
