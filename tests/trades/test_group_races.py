"""What is asked of a leg while the batch that changes it is under way."""

from collections.abc import Callable

import pytest

from apps.matching.models import OrderCommand
from apps.orders.models import LiveOrder, Order
from apps.primitives.errors import Invalid
from tests.support.books import books_problems
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange


@pytest.fixture
def ada(market: None) -> Trader:
    return trader_open(cash="100000.00")


@pytest.fixture
def maker(market: None) -> Trader:
    return trader_open(cash="100000.00", shares={"AAPL": 1000})


def while_booking(exchange: Exchange, act: Callable[[], object]) -> None:
    """Do something after the next batch was matched and before it is booked."""
    runner = exchange.runner
    match = runner._match

    def match_once(commands):  # type: ignore[no-untyped-def]
        runner._match = match  # type: ignore[method-assign]
        batch = match(commands)
        act()
        return batch

    runner._match = match_once  # type: ignore[method-assign]


def test_replacement_asked_of_a_waiting_leg_does_not_reach_the_leg_at_work(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    entry = ada.group("bracket", 10, "104.00", "95.00", price="100.00")
    exchange.run()
    ada.replace(entry, quantity=6)
    maker.sell(6, "100.00")
    profit = ada.legs(entry)[0]
    while_booking(exchange, lambda: ada.replace(profit, price="103.00"))
    exchange.run()
    maker.buy(10, "103.00")
    maker.buy(10, "104.00")
    exchange.run()
    assert ada.shares() == 0
    assert books_problems() == []


def test_cancel_of_a_replacement_that_waits_for_its_order_is_not_lost(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    entry = ada.group("bracket", 10, "104.00", "95.00", price="100.00")
    exchange.run()
    maker.sell(10, "100.00")
    profit = ada.legs(entry)[0]

    def change_and_cancel() -> None:
        ada.replace(profit, price="103.00")
        ada.cancel(profit)

    while_booking(exchange, change_and_cancel)
    exchange.run()
    assert not LiveOrder.objects.filter(account_id=ada.account_id).exists()


def test_more_early_cancels_than_a_batch_holds_do_not_stop_the_market(
    exchange: Exchange, ada: Trader, maker: Trader
) -> None:
    entries = [ada.group("bracket", 1, "104.00", "95.00", price="100.00") for _ in range(205)]
    exchange.run()
    maker.sell(205, "100.00")
    profits = [ada.legs(entry)[0] for entry in entries]
    while_booking(exchange, lambda: [ada.cancel(profit) for profit in profits])
    exchange.runner.step(exchange.connection)
    bystander = maker.buy(1, "99.00")
    for _ in range(30):
        exchange.runner.step(exchange.connection)
    assert maker.order(bystander).status == "NEW"
    assert not OrderCommand.objects.exists()


def test_entry_cannot_grow_beyond_what_one_exit_can_sell(exchange: Exchange, ada: Trader) -> None:
    entry = ada.group("oto", 10, "104.00", None, price="100.00")
    exchange.run()
    leg_id = ada.legs(entry)[0].order_id
    Order.objects.filter(pk=leg_id).update(quantity=9_999_995)
    with pytest.raises(Invalid, match="at most 10,000,000"):
        ada.replace(entry, quantity=20)
    Order.objects.filter(pk=leg_id).update(quantity=10)
