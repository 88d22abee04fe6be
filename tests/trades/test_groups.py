"""Brackets, OCO and OTO, from entry to the exit that fills, whatever comes in between."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.matching.models import OrderCommand
from apps.operations.services.controls import symbol_halt, symbol_resume
from apps.orders.models import LiveOrder, Order
from apps.orders.selectors import OrderView, order_list
from apps.primitives.errors import Conflict, Invalid, Refused
from apps.trades.models import Trade
from tests.support.books import books_problems
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange


def trade_at(exchange: Exchange, price: str, quantity: int = 1) -> None:
    """Let two strangers trade, so that the last price is ``price``."""
    trade_queue(price, quantity)
    exchange.run()


def trade_queue(price: str, quantity: int = 1) -> None:
    seller, buyer = trader_open(shares={"AAPL": quantity}), trader_open(cash="1000000.00")
    seller.sell(quantity, price)
    buyer.buy(quantity, price)


@pytest.fixture
def ada(market: None) -> Trader:
    return trader_open(cash="10000.00")


@pytest.fixture
def maker(market: None) -> Trader:
    return trader_open(cash="100000.00", shares={"AAPL": 1_000})


def statuses(trader: Trader, order: OrderView) -> list[str]:
    """Return the status of a group's parent, then of its legs, take-profit first."""
    return [trader.order(order).status, *(leg.status for leg in trader.legs(order))]


def entered(exchange: Exchange, ada: Trader, maker: Trader, **more: Any) -> OrderView:
    """Return a bracket of 10 whose entry has filled at 100."""
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="100.00", **more)
    maker.sell(10, "100.00")
    exchange.run()
    return bracket


# -- entry ---------------------------------------------------------------------------------------------------


def test_bracket_is_entered_whole_and_only_its_entry_holds_and_is_queued(ada: Trader) -> None:
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="100.00", time_in_force="gtc")
    assert statuses(ada, bracket) == ["PENDING", "HELD", "HELD"]
    profit, loss = ada.legs(bracket)
    assert (profit.order_type, profit.price, profit.side) == ("LIMIT", Decimal("104.0000"), "SELL")
    assert (loss.order_type, loss.stop_price, loss.price) == ("STOP", Decimal("95.0000"), None)
    assert {leg.time_in_force for leg in (profit, loss)} == {"GTC"}
    assert {leg.group_id for leg in (profit, loss)} == {bracket.order_id}
    assert ada.summary.held_cash == Decimal("1000.00")
    assert OrderCommand.objects.count() == 1
    assert Event.objects.filter(event_type="ORDER_PLACED").count() == 3
    assert LiveOrder.objects.filter(held_shares__gt=0).count() == 0


@pytest.mark.parametrize(
    ("order_class", "asked", "message"),
    [
        ("bracket", {"take_profit": "104.00"}, "bracket orders require stop_loss.stop_price"),
        ("bracket", {"stop_loss": "95.00"}, "bracket orders require take_profit.limit_price"),
        ("bracket", {"take_profit": "104.00", "stop_loss": "95.00", "side": "sell"}, "must be entry orders"),
        (
            "bracket",
            {"take_profit": "104.00", "stop_loss": "95.00", "order_type": "stop", "stop_price": "101.00"},
            "bracket orders must be market or limit orders",
        ),
        ("bracket", {"take_profit": "104.00", "stop_loss": "95.00", "time_in_force": "ioc"}, "day or gtc"),
        ("bracket", {"take_profit": "104.00", "stop_loss": "104.00"}, "at least 0.01 below take_profit"),
        ("bracket", {"take_profit": "104.00", "stop_loss": "100.00"}, r"<= base_price - 0\.01"),
        ("bracket", {"take_profit": "100.00", "stop_loss": "95.00"}, r">= base_price \+ 0\.01"),
        ("bracket", {"take_profit": "104.001", "stop_loss": "95.00"}, "steps of 0.01"),
        ("bracket", {"take_profit": "104.00", "stop_loss": "95.001"}, "steps of 0.01"),
        ("oto", {}, "exactly one of"),
        ("oto", {"take_profit": "104.00", "stop_loss": "95.00"}, "exactly one of"),
        ("oco", {"take_profit": "104.00"}, "oco orders require stop_loss.stop_price"),
        ("oco", {"take_profit": "104.00", "stop_loss": "95.00", "side": "buy"}, "must be exit orders"),
        ("oco", {"take_profit": "104.00", "stop_loss": "95.00", "price": "111.00"}, "must be take_profit"),
        ("oco", {"take_profit": "104.00", "stop_loss": "95.00", "order_type": "market"}, "must be limit"),
        ("simple", {"take_profit": "104.00"}, "need an order_class"),
    ],
)
def test_exits_that_do_not_go_together_are_refused(
    ada: Trader, order_class: str, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        ada.group(order_class, 10, **asked)
    assert not Order.objects.exists()


def test_stop_loss_above_the_market_is_refused_though_below_the_entry(
    exchange: Exchange, ada: Trader
) -> None:
    trade_at(exchange, "97.00")
    with pytest.raises(Invalid, match="base_price"):
        ada.group("bracket", 1, "104.00", "98.00", price="100.00")


def test_oco_holds_the_shares_once(exchange: Exchange, maker: Trader) -> None:
    pair = maker.group("oco", 1_000, "104.00", "95.00")
    assert statuses(maker, pair) == ["PENDING", "HELD"]
    exchange.run()
    assert statuses(maker, pair) == ["NEW", "HELD"]
    with pytest.raises(Refused, match="insufficient qty"):
        maker.sell(1, "100.00")


# -- the ordinary ways out -----------------------------------------------------------------------------------


def test_exits_begin_when_the_entry_has_filled_completely(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="100.00")
    maker.sell(4, "100.00")
    exchange.run()
    assert statuses(ada, bracket) == ["PARTIALLY_FILLED", "HELD", "HELD"]
    maker.sell(6, "100.00")
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "NEW", "HELD"]
    assert LiveOrder.objects.get(trigger_price__isnull=False).trigger_price == Decimal("95.0000")


def test_what_a_waiting_entry_has_bought_is_kept_for_its_exits(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="100.00")
    maker.sell(4, "100.00")
    exchange.run()
    with pytest.raises(Refused, match="insufficient qty"):
        ada.sell(1, "100.00")
    ada.cancel(bracket)
    exchange.run()
    assert statuses(ada, bracket) == ["CANCELLED", "CANCELLED", "CANCELLED"]
    assert [leg.reject_reason for leg in ada.legs(bracket)] == ["GROUP", "GROUP"]
    ada.sell(4, "100.00")


def test_take_profit_fills_and_ends_the_stop_loss(exchange: Exchange, ada: Trader, maker: Trader) -> None:
    bracket = entered(exchange, ada, maker)
    maker.buy(10, "104.00")
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "FILLED", "CANCELLED"]
    assert ada.legs(bracket)[1].reject_reason == "OCO"
    assert (ada.cash, ada.shares()) == (Decimal("10040.00"), 0)
    assert not LiveOrder.objects.filter(account_id=ada.account_id).exists()


def test_stop_loss_is_triggered_and_sells_once_the_take_profit_is_off(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = entered(exchange, ada, maker)
    maker.buy(10, "94.50")
    exchange.run()
    trade_at(exchange, "95.00")
    profit, loss = ada.legs(bracket)
    assert (profit.status, profit.reject_reason) == ("CANCELLED", "OCO")
    assert (loss.status, loss.avg_fill_price) == ("FILLED", Decimal("94.5000"))
    assert ada.shares() == 0
    assert Event.objects.filter(event_type="ORDER_TRIGGERED").count() == 1
    assert not Event.objects.filter(event_type="ORDER_CANCEL_REJECTED").exists()


def test_stop_loss_with_a_limit_rests_at_it(exchange: Exchange, ada: Trader, maker: Trader) -> None:
    bracket = entered(exchange, ada, maker, stop_limit="94.00")
    trade_at(exchange, "95.00")
    loss = ada.legs(bracket)[1]
    assert (loss.status, loss.order_type, loss.price) == ("NEW", "STOP_LIMIT", Decimal("94.0000"))
    maker.buy(10, "94.00")
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "CANCELLED", "FILLED"]


def test_partly_filled_take_profit_shrinks_the_stop_loss(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = entered(exchange, ada, maker)
    maker.buy(4, "104.00")
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "PARTIALLY_FILLED", "HELD"]
    assert ada.legs(bracket)[1].quantity == 6
    maker.buy(10, "95.00")
    exchange.run()
    trade_at(exchange, "95.00")
    assert ada.legs(bracket)[1].filled_quantity == 6
    assert ada.shares() == 0


@pytest.mark.parametrize(("take_profit", "stop_loss"), [("104.00", None), (None, "95.00")])
def test_oto_releases_its_one_exit(
    exchange: Exchange, ada: Trader, maker: Trader, take_profit: str | None, stop_loss: str | None
) -> None:
    order = ada.group("oto", 10, take_profit, stop_loss, price="100.00")
    maker.sell(4, "100.00")
    exchange.run()
    assert statuses(ada, order) == ["PARTIALLY_FILLED", "HELD"]
    maker.sell(6, "100.00")
    exchange.run()
    assert statuses(ada, order) == ["FILLED", "NEW"]
    maker.buy(10, take_profit or "94.00")
    exchange.run()
    if stop_loss:
        trade_at(exchange, "95.00")
    assert statuses(ada, order) == ["FILLED", "FILLED"]
    assert ada.shares() == 0


def test_pair_of_exits_sells_a_position_once(exchange: Exchange, maker: Trader) -> None:
    holder = trader_open(shares={"AAPL": 10})
    pair = holder.group("oco", 10, "104.00", "95.00", time_in_force="gtc")
    exchange.run()
    maker.buy(10, "94.00")
    exchange.run()
    trade_at(exchange, "94.90")
    assert statuses(holder, pair) == ["CANCELLED", "FILLED"]
    assert holder.shares() == 0


# -- ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [0, 1, 2])
def test_cancelling_any_member_ends_the_rest_before_the_entry(
    exchange: Exchange, ada: Trader, maker: Trader, which: int
) -> None:
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="99.00")
    exchange.run()
    ada.cancel([bracket, *ada.legs(bracket)][which])
    exchange.run()
    assert statuses(ada, bracket) == ["CANCELLED"] * 3
    reasons = [ada.order(bracket).reject_reason, *(leg.reject_reason for leg in ada.legs(bracket))]
    assert sorted(str(reason) for reason in reasons) == ["GROUP", "GROUP", "REQUESTED"]
    assert not Event.objects.filter(event_type="ORDER_CANCEL_REJECTED").exists()


@pytest.mark.parametrize("which", [0, 1])
def test_cancelling_either_exit_ends_the_other(
    exchange: Exchange, ada: Trader, maker: Trader, which: int
) -> None:
    bracket = entered(exchange, ada, maker)
    ada.cancel(ada.legs(bracket)[which])
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "CANCELLED", "CANCELLED"]
    ada.sell(10, "100.00")


def test_market_entry_that_finds_too_little_ends_its_exits(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    maker.sell(4, "100.00")
    bracket = ada.group("bracket", 10, "104.00", "95.00")
    exchange.run()
    assert statuses(ada, bracket) == ["CANCELLED", "CANCELLED", "CANCELLED"]
    assert ada.shares() == 4


def test_exits_expire_with_their_group(exchange: Exchange, ada: Trader, maker: Trader) -> None:
    from datetime import timedelta

    from apps.operations.services.sessions import orders_expire

    bracket = entered(exchange, ada, maker)
    expires_at = ada.order(bracket).expires_at
    assert expires_at is not None
    assert orders_expire(expires_at + timedelta(seconds=1)) == 1
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "EXPIRED", "CANCELLED"]


# -- races ---------------------------------------------------------------------------------------------------


def test_everything_in_one_batch_entry_fills_and_the_price_falls_through_the_stop(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="100.00")
    maker.sell(10, "100.00")
    maker.buy(10, "94.00")
    trade_queue("95.00")
    exchange.run()
    profit, loss = ada.legs(bracket)
    assert (profit.status, profit.reject_reason) == ("CANCELLED", "OCO")
    assert (loss.status, loss.avg_fill_price) == ("FILLED", Decimal("94.0000"))


def test_entry_that_fills_beyond_its_own_stop_is_stopped_at_once(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    maker.sell(10, "94.90")
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="100.00")
    trader_open(cash="10000.00").buy(10, "94.00")
    exchange.run()
    profit, loss = ada.legs(bracket)
    assert ada.order(bracket).avg_fill_price == Decimal("94.9000")
    assert (profit.status, loss.status, loss.avg_fill_price) == ("CANCELLED", "FILLED", Decimal("94.0000"))


def test_price_before_the_entry_filled_does_not_trigger(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    trade_queue("94.00")
    trade_queue("100.00")
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="100.00")
    maker.sell(10, "100.00")
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "NEW", "HELD"]


def test_take_profit_that_fills_while_it_is_withdrawn_ends_the_triggered_stop(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = entered(exchange, ada, maker)
    trade_queue("95.00")
    assert exchange.runner.step(exchange.connection)
    assert ada.legs(bracket)[1].triggered_at is not None
    assert ada.legs(bracket)[0].status == "PENDING_CANCEL"
    # A buyer whose command is older than the withdrawal would be taken first.
    OrderCommand.objects.update(command_id=2**62)
    maker.buy(10, "104.00")
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "FILLED", "CANCELLED"]
    assert ada.shares() == 0


def test_take_profit_partly_filled_while_it_is_withdrawn_leaves_the_rest_to_the_stop(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = entered(exchange, ada, maker)
    maker.buy(10, "94.00")
    trade_queue("95.00")
    exchange.runner.step(exchange.connection)
    OrderCommand.objects.update(command_id=2**62)
    maker.buy(3, "104.00")
    exchange.run()
    profit, loss = ada.legs(bracket)
    assert (profit.status, profit.filled_quantity) == ("CANCELLED", 3)
    assert (loss.status, loss.quantity, loss.filled_quantity) == ("FILLED", 7, 7)


def test_owner_who_cancels_the_triggered_stop_ends_the_group(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = entered(exchange, ada, maker)
    trade_queue("95.00")
    exchange.runner.step(exchange.connection)
    ada.cancel(ada.legs(bracket)[1])
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "CANCELLED", "CANCELLED"]
    assert ada.shares() == 10


def test_triggered_stop_that_finds_the_book_halted_waits_there(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = entered(exchange, ada, maker)
    trade_queue("95.00")
    exchange.runner.step(exchange.connection)
    symbol_halt(symbol="AAPL", reason="news is pending", origin=SYSTEM)
    exchange.run()
    loss = ada.legs(bracket)[1]
    assert (loss.status, loss.triggered_at) == ("NEW", None)
    assert books_problems() == []
    maker.buy(10, "94.00")
    symbol_resume(symbol="AAPL", reason="news is out", origin=SYSTEM)
    exchange.run()
    assert ada.legs(bracket)[1].status == "FILLED"


def test_oco_entered_while_the_price_passes_its_stop_is_triggered(exchange: Exchange, maker: Trader) -> None:
    holder = trader_open(shares={"AAPL": 10})
    trade_queue("94.00")
    pair = holder.group("oco", 10, "104.00", "95.00")
    maker.buy(10, "93.00")
    exchange.run()
    assert statuses(holder, pair) == ["CANCELLED", "FILLED"]


def test_pair_entered_after_the_price_fell_in_an_earlier_batch_is_triggered(
    exchange: Exchange, maker: Trader
) -> None:
    holder = trader_open(shares={"AAPL": 10})
    pair = holder.group("oco", 10, "104.00", "95.00")
    command = OrderCommand.objects.get()
    OrderCommand.objects.filter(pk=command.pk).update(matching_partition=9)
    trade_at(exchange, "94.00")
    OrderCommand.objects.filter(pk=command.pk).update(matching_partition=0)
    maker.buy(10, "93.00")
    exchange.runner.queue._swept_at = float("-inf")
    exchange.run()
    assert statuses(holder, pair) == ["CANCELLED", "FILLED"]


def test_batch_booked_again_after_a_serialisation_failure_does_the_same_once(
    exchange: Exchange, ada: Trader, maker: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="100.00")
    maker.sell(10, "100.00")
    book, failures = exchange.runner.ports.batch_book, [1, 2]

    def twice(cursor: Any, batch: Any) -> Any:
        booked = book(cursor, batch)
        if failures:
            failures.pop()
            raise psycopg.errors.SerializationFailure("once more")
        return booked

    object.__setattr__(exchange.runner.ports, "batch_book", twice)
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "NEW", "HELD"]
    maker.buy(10, "104.00")
    exchange.run()
    assert Trade.objects.count() == 2
    assert ada.shares() == 0


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_runner_that_ends_between_trigger_and_execution_goes_on_where_it_was(
    exchange: Exchange, ada: Trader, maker: Trader, steps: int
) -> None:
    bracket = entered(exchange, ada, maker)
    maker.buy(10, "94.00")
    trade_queue("95.00")
    for _ in range(steps):
        exchange.runner.step(exchange.connection)
    exchange.connection.close()
    assert books_problems() == []
    with Exchange() as restarted:
        restarted.run()
    assert statuses(ada, bracket) == ["FILLED", "CANCELLED", "FILLED"]
    assert ada.shares() == 0


# -- replacements --------------------------------------------------------------------------------------------


def test_exits_follow_the_new_total_of_a_replaced_entry(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="100.00")
    maker.sell(4, "100.00")
    exchange.run()
    larger = ada.replace(bracket, quantity=12, price="99.00")
    exchange.run()
    assert [leg.quantity for leg in ada.legs(larger)] == [12, 12]
    assert [leg.order_id for leg in ada.legs(bracket)] == [leg.order_id for leg in ada.legs(larger)]
    maker.sell(8, "99.00")
    exchange.run()
    assert statuses(ada, larger) == ["FILLED", "NEW", "HELD"]
    maker.buy(12, "104.00")
    exchange.run()
    assert ada.shares() == 0


def test_waiting_legs_can_be_repriced_and_keep_what_they_hold(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = ada.group("bracket", 10, "104.00", "95.00", price="100.00")
    maker.sell(4, "100.00")
    exchange.run()
    profit, loss = ada.legs(bracket)
    with pytest.raises(Invalid, match="quantity of a leg"):
        ada.replace(profit, quantity=5, price="111.00")
    ada.replace(profit, price="108.00")
    ada.replace(loss, stop="96.00")
    exchange.run()
    profit, loss = ada.legs(bracket)
    assert (profit.status, profit.price) == ("HELD", Decimal("108.0000"))
    assert (loss.status, loss.stop_price) == ("HELD", Decimal("96.0000"))
    assert books_problems() == []
    maker.sell(6, "100.00")
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "NEW", "HELD"]
    trade_at(exchange, "96.00")
    assert ada.legs(bracket)[1].triggered_at is not None


def test_armed_stop_loss_listens_at_its_new_price(exchange: Exchange, ada: Trader, maker: Trader) -> None:
    bracket = entered(exchange, ada, maker)
    ada.replace(ada.legs(bracket)[1], stop="97.00")
    exchange.run()
    trade_at(exchange, "97.00")
    assert ada.legs(bracket)[1].triggered_at is not None
    with pytest.raises(Conflict):
        ada.replace(ada.legs(bracket)[1], stop="90.00")


def test_stop_loss_raised_to_a_price_that_has_just_traded_is_triggered(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = entered(exchange, ada, maker)
    loss = ada.legs(bracket)[1]
    trade_queue("98.00")
    ada.replace(loss, stop="99.00")
    exchange.run()
    assert ada.legs(bracket)[1].triggered_at is not None


def test_replaced_take_profit_keeps_the_pair_together(exchange: Exchange, ada: Trader, maker: Trader) -> None:
    bracket = entered(exchange, ada, maker)
    profit, _ = ada.legs(bracket)
    with pytest.raises(Invalid, match="below take_profit"):
        ada.replace(profit, price="95.00")
    ada.replace(profit, price="105.00")
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "NEW", "HELD"]
    trade_at(exchange, "95.00")
    assert statuses(ada, bracket) == ["FILLED", "CANCELLED", "CANCELLED"]
    assert ada.legs(bracket)[1].reject_reason == "NO_LIQUIDITY"


def test_take_profit_replaced_while_its_withdrawal_is_queued_is_withdrawn_all_the_same(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = entered(exchange, ada, maker)
    maker.buy(10, "94.00")
    trade_queue("95.00")
    ada.replace(ada.legs(bracket)[0], price="105.00")
    OrderCommand.objects.filter(kind="REPLACE").update(matching_partition=9)
    exchange.runner.step(exchange.connection)
    OrderCommand.objects.filter(kind="REPLACE").update(matching_partition=0)
    exchange.runner.queue._swept_at = float("-inf")
    exchange.run()
    assert statuses(ada, bracket) == ["FILLED", "CANCELLED", "FILLED"]
    assert ada.shares() == 0


def test_orders_of_a_group_keep_their_time_in_force(exchange: Exchange, ada: Trader) -> None:
    from apps.orders.intents import ReplaceIntent
    from apps.orders.services.changes import order_replace
    from apps.primitives.fix import TimeInForce

    bracket = ada.group("bracket", 10, "104.00", "95.00", price="99.00")
    exchange.run()
    intent = ReplaceIntent(ada.account_id, bracket.order_id, None, None, TimeInForce.GTC, "longer")
    with pytest.raises(Invalid, match="keep their time in force"):
        order_replace(intent, SYSTEM)


# -- reads ---------------------------------------------------------------------------------------------------


def test_nested_list_shows_children_under_their_parent_only(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    bracket = entered(exchange, ada, maker)
    plain = ada.buy(1, "90.00")
    everything = order_list(ada.account_id, status="all")
    assert len(everything) == 4
    nested = order_list(ada.account_id, status="all", nested=True)
    assert {view.order_id for view in nested} == {bracket.order_id, plain.order_id}
    # The parent has ended: the open legs stand by themselves.
    assert len(order_list(ada.account_id, status="open", nested=True)) == 3


def test_stream_of_events_has_no_gap_after_a_group(exchange: Exchange, ada: Trader, maker: Trader) -> None:
    entered(exchange, ada, maker)
    trade_at(exchange, "95.00")
    seqs = Event.objects.filter(account_id=ada.account_id, account_seq__isnull=False)
    found = sorted(seqs.values_list("account_seq", flat=True))
    assert found == list(range(1, len(found) + 1))
