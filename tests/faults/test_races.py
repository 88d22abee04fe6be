"""F32 and F33: many at once for the same cash and the same shares, and cancels that race fills."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import connections

from apps.events.facts import SYSTEM
from apps.orders.selectors import OrderView, order_get
from apps.orders.services.changes import order_cancel
from apps.primitives.errors import BrokerageError
from tests.faults.conftest import ROUNDS
from tests.support.builders import Trader, trader_open
from tests.support.house import House


def together(acts: list[Callable[[], Any]]) -> list[Any]:
    """Do all this at once; what is refused comes back as its refusal."""

    def once(act: Callable[[], Any]) -> Any:
        try:
            return act()
        except BrokerageError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(once, acts))


def later(delay_s: float, act: Callable[[], Any]) -> Any:
    time.sleep(delay_s)
    return act()


def accepted(outcomes: list[Any]) -> list[Any]:
    return [outcome for outcome in outcomes if not isinstance(outcome, BrokerageError)]


def test_of_100_orders_at_once_with_cash_for_10_exactly_10_are_accepted_while_they_fill(house: House) -> None:
    """F32: with a runner that books their fills at the same time, so that holds become money spent."""
    house.leader()
    seller = trader_open(shares={"AAPL": 10_000})
    house.sent(seller.sell(10_000, "100.00"))
    for _ in range(2 + 48 * (ROUNDS > 0)):
        buyer = trader_open(cash="1000.00")
        taken = accepted(together([partial(buyer.buy, 1, "100.00")] * 100))
        assert len(taken) == 10
        for order in taken:
            house.sent(order)
        house.drained()
        assert (buyer.cash, buyer.shares()) == (Decimal("0.00"), 10)
    house.books_hold()


def test_cash_for_one_of_two_symbols_buys_one(house: House) -> None:
    """F33: the same cash promised to two books at once."""
    house.leader()
    for _ in range(10 + 190 * (ROUNDS > 0)):
        buyer = trader_open(cash="500.00")
        both = [partial(buyer.buy, 5, "100.00"), partial(buyer.buy, 10, "50.00", symbol="MSFT")]
        taken = accepted(together(both))
        assert len(taken) == 1
        house.sent(taken[0])
    house.books_hold()


def test_a_cancel_that_races_a_fill_tells_the_truth(house: House) -> None:
    """F33: of a fill and a cancel one wins, wholly or for what is left; the order's end says which."""
    house.leader()
    maker, taker = (trader_open(cash="50000000.00", shares={"AAPL": 100_000}) for _ in range(2))
    chance = random.Random(33)
    ends = set()
    for _ in range(40 + 9_960 * (ROUNDS > 0)):
        resting = house.sent(maker.sell(10, "100.00"))
        cancel = partial(later, chance.uniform(0, 0.03), partial(maker.cancel, resting))
        acts = [cancel, partial(taker.buy, chance.choice((4, 10, 10)), "100.00")]
        chance.shuffle(acts)
        for bought in accepted(together(acts)):
            if bought.side == "BUY":
                house.sent(bought)
                with suppress(BrokerageError):
                    taker.cancel(bought)
        house.drained()
        order = maker.order(resting)
        ends.add(order.status)
        assert order.status in ("FILLED", "CANCELLED")
        assert (order.status == "FILLED") == (order.filled_quantity == 10)
    assert len(ends) == 2, "the race is no race: one side always wins"
    house.books_hold()


def test_a_replacement_that_races_a_fill_never_makes_shares(house: House) -> None:
    """F33: an order is replaced by a larger one while it is filled: never more than was promised is sold."""
    house.leader()
    maker, taker = trader_open(shares={"AAPL": 10_000}), trader_open(cash="50000000.00")
    for number in range(20 + 480 * (ROUNDS > 0)):
        resting = house.sent(maker.sell(10, "100.00"))
        bigger = partial(maker.replace, resting, quantity=12)
        outcomes = together([bigger, partial(taker.buy, 1 + number % 12, "100.00")])
        for bought in accepted(outcomes):
            if bought.side == "BUY":
                house.sent(bought)
                with suppress(BrokerageError):
                    taker.cancel(bought)
        house.drained()
        _end(maker, resting)
    house.books_hold()
    assert maker.shares() + taker.shares() == 10_000


def _end(maker: Trader, order: OrderView) -> None:
    """Cancel whatever became of an order."""
    now = maker.order(order)
    while now.replaced_by is not None:
        now = order_get(maker.account_id, now.replaced_by)
    with suppress(BrokerageError):
        order_cancel(maker.account_id, now.order_id, SYSTEM)
