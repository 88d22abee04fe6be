"""A traded book: two sides, fills, a working order, a cancel and a replacement, all through the services."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from apps.orders.selectors import OrderView
from tests.support.builders import Trader
from tests.support.matching import Exchange


@dataclass(frozen=True, slots=True)
class TradedBook:
    """Who traded, and one order of each kind that is left."""

    buyer: Trader
    seller: Trader
    filled: OrderView
    working: OrderView


@pytest.fixture
def traded(trader: Callable[..., Trader], exchange: Exchange) -> TradedBook:
    buyer, seller = trader(cash="100000.00"), trader(cash="5000.00", shares={"AAPL": 500, "MSFT": 50})
    seller.sell(60, "100.00", client_order_id="ask-1")
    seller.sell(20, "100.50")
    exchange.run()
    filled = buyer.buy(70, "101.00", client_order_id="bid-1")
    working = buyer.buy(30, "99.00", time_in_force="gtc")
    exchange.run()
    buyer.replace(working, price="98.50")
    gone = seller.sell(10, "103.00")
    exchange.run()
    seller.cancel(gone)
    resting = seller.sell(15, "102.00", client_order_id="ask-rest")
    exchange.run()
    return TradedBook(buyer=buyer, seller=seller, filled=filled, working=resting)
