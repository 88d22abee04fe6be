"""A published client, unchanged, sends stops, trails and groups, and hears what becomes of them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    OrderClass,
    OrderSide,
    OrderStatus,
    OrderType,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)
from alpaca.trading.stream import TradingStream

from tests.api.conftest import Api
from tests.streaming.edges import Edges, events_relay
from tests.streaming.test_published_client import _client, _limit, _running, _until
from tests.support.matching import Exchange

SELL: dict[str, Any] = {"symbol": "AAPL", "side": OrderSide.SELL, "time_in_force": TimeInForce.DAY}
BUY: dict[str, Any] = {**SELL, "side": OrderSide.BUY}


@pytest.fixture
def heard(edges: Edges, ada: Api) -> Iterator[list[Any]]:
    """Every trade update of the first trader's account, as the client's model has it."""
    updates: list[Any] = []

    async def take(update: Any) -> None:
        updates.append(update)

    stream = TradingStream(ada.key_id, ada.secret, url_override=edges.ws_url + "/stream")
    stream.subscribe_trade_updates(take)
    with _running(stream):
        time.sleep(0.3)
        yield updates


def _bid(other: TradingClient, exchange: Exchange, price: float, qty: int) -> None:
    """Let the second trader bid, so that what the first one sells trades there."""
    other.submit_order(_limit(OrderSide.BUY, qty, price))
    exchange.run()


def test_client_sends_reads_replaces_and_cancels_every_stop(
    edges: Edges, ada: Api, exchange: Exchange
) -> None:
    client = _client(edges, ada)
    stop = client.submit_order(StopOrderRequest(**SELL, qty=10, stop_price=95))
    limited = client.submit_order(StopLimitOrderRequest(**SELL, qty=10, stop_price=95, limit_price=94.5))
    by_price = client.submit_order(TrailingStopOrderRequest(**SELL, qty=10, trail_price=2.5))
    by_percent = client.submit_order(TrailingStopOrderRequest(**SELL, qty=10, trail_percent=1.5))
    exchange.run()
    assert [order.type for order in (stop, limited, by_price, by_percent)] == [
        OrderType.STOP,
        OrderType.STOP_LIMIT,
        OrderType.TRAILING_STOP,
        OrderType.TRAILING_STOP,
    ]
    assert (limited.stop_price, limited.limit_price) == ("95", "94.5")
    assert (by_price.trail_price, by_price.hwm, by_price.stop_price) == ("2.5", "100", "97.5")
    assert (by_percent.trail_percent, by_percent.stop_price) == ("1.5", "98.5")
    moved = client.replace_order_by_id(stop.id, ReplaceOrderRequest(stop_price=94))
    trailed = client.replace_order_by_id(by_price.id, ReplaceOrderRequest(trail=3))
    exchange.run()
    assert client.get_order_by_id(stop.id).status == OrderStatus.REPLACED
    assert client.get_order_by_id(moved.id).stop_price == "94"
    assert client.get_order_by_id(trailed.id).trail_price == "3"
    assert client.get_open_position("AAPL").qty_available == "60"
    client.cancel_orders()
    exchange.run()
    assert client.get_orders() == []
    assert client.get_open_position("AAPL").qty_available == "100"


def test_client_hears_of_a_stop_that_is_reached(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange, heard: list[Any]
) -> None:
    client, other = _client(edges, ada), _client(edges, grace)
    order = client.submit_order(StopLimitOrderRequest(**SELL, qty=10, stop_price=95, limit_price=94.8))
    exchange.run()
    _bid(other, exchange, 94.5, 5)
    client.submit_order(_limit(OrderSide.SELL, 1, 94.5))
    exchange.run()
    _bid(other, exchange, 94.8, 10)
    events_relay()
    _until(lambda: [update for update in heard if update.event == "fill" and update.order.id == order.id])
    own = [update for update in heard if update.order.id == order.id]
    assert [update.event for update in own] == ["new", "restated", "fill"]
    assert own[1].order.status == OrderStatus.NEW
    assert own[2].order == client.get_order_by_id(order.id)


def test_client_enters_a_bracket_and_hears_of_every_leg(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange, heard: list[Any]
) -> None:
    client, other = _client(edges, ada), _client(edges, grace)
    other.submit_order(_limit(OrderSide.SELL, 10, 100.0))
    exchange.run()
    parent = client.submit_order(
        MarketOrderRequest(
            **BUY,
            qty=10,
            order_class=OrderClass.BRACKET,
            take_profit=TakeProfitRequest(limit_price=110),
            stop_loss=StopLossRequest(stop_price=95, limit_price=94.5),
        )
    )
    assert parent.order_class == OrderClass.BRACKET
    profit, loss = sorted(parent.legs, key=lambda leg: leg.type != OrderType.LIMIT)
    assert {profit.status, loss.status} == {OrderStatus.HELD}
    exchange.run()
    nested = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True))
    assert parent.id in [order.id for order in nested]
    assert not {profit.id, loss.id} & {order.id for order in nested}
    whole = client.get_order_by_id(parent.id, GetOrderByIdRequest(nested=True))
    assert {leg.id: leg.status for leg in whole.legs} == {
        profit.id: OrderStatus.NEW,
        loss.id: OrderStatus.HELD,
    }
    other.submit_order(_limit(OrderSide.BUY, 10, 110.0))
    exchange.run()
    events_relay()
    _until(lambda: [update for update in heard if update.order.id == loss.id])
    events = {one.id: [u.event for u in heard if u.order.id == one.id] for one in (parent, profit, loss)}
    assert events == {parent.id: ["new", "fill"], profit.id: ["new", "fill"], loss.id: ["canceled"]}
    assert heard[-1].order == client.get_order_by_id(heard[-1].order.id)


def test_client_leaves_a_position_by_a_pair(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange, heard: list[Any]
) -> None:
    client, other = _client(edges, ada), _client(edges, grace)
    pair = client.submit_order(
        LimitOrderRequest(
            **SELL,
            qty=50,
            order_class=OrderClass.OCO,
            take_profit=TakeProfitRequest(limit_price=110),
            stop_loss=StopLossRequest(stop_price=95),
        )
    )
    (loss,) = pair.legs
    assert (pair.order_class, pair.limit_price, loss.stop_price) == (OrderClass.OCO, "110", "95")
    exchange.run()
    _bid(other, exchange, 94.9, 60)
    client.submit_order(_limit(OrderSide.SELL, 1, 94.9))
    exchange.run()
    events_relay()
    _until(lambda: [update for update in heard if update.event == "fill" and update.order.id == loss.id])
    told = [update.event for update in heard if update.order.id == loss.id]
    assert told[-2:] == ["new", "fill"]
    assert "canceled" in [update.event for update in heard if update.order.id == pair.id]
    assert client.get_open_position("AAPL").qty == "49"


def test_client_enters_with_one_exit_and_cancels_by_it(edges: Edges, ada: Api, exchange: Exchange) -> None:
    client = _client(edges, ada)
    entry = client.submit_order(
        _limit(OrderSide.BUY, 5, 99.0, order_class=OrderClass.OTO, stop_loss=StopLossRequest(stop_price=95))
    )
    exchange.run()
    (loss,) = entry.legs
    client.cancel_order_by_id(loss.id)
    exchange.run()
    assert client.get_order_by_id(entry.id).status == OrderStatus.CANCELED
    assert client.get_account().buying_power == "10000"


def test_client_understands_why_a_group_or_a_stop_is_refused(edges: Edges, ada: Api) -> None:
    client = _client(edges, ada)
    with pytest.raises(APIError) as beyond:
        client.submit_order(StopOrderRequest(**SELL, qty=1, stop_price=101))
    assert (beyond.value.status_code, beyond.value.code) == (422, 42210000)
    assert beyond.value.message == "stop price must be less than current price"
    with pytest.raises(APIError) as entry:
        client.submit_order(
            MarketOrderRequest(
                **SELL,
                qty=1,
                order_class=OrderClass.BRACKET,
                take_profit=TakeProfitRequest(limit_price=110),
                stop_loss=StopLossRequest(stop_price=95),
            )
        )
    assert (entry.value.code, entry.value.message) == (42210000, "bracket orders must be entry orders")
