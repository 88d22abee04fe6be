"""A published client trades every kind of order on the running platform, and the books add up after it."""

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, OrderType, TimeInForce
from alpaca.trading.requests import (
    GetOrderByIdRequest,
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

from tests.support.platform import Platform

pytestmark = pytest.mark.platform

WAIT_S = 60.0
CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(demo=True) as running:
        yield running


@pytest.fixture(scope="module")
def client(platform: Platform) -> TradingClient:
    user = platform.demo["users"][0]
    return TradingClient(user["key_id"], user["secret"], url_override=platform.url)


@pytest.fixture(scope="module")
def heard(platform: Platform) -> Iterator[list[Any]]:
    user, updates = platform.demo["users"][0], []  # type: ignore[var-annotated]

    async def take(update: Any) -> None:
        updates.append(update)

    url = platform.url.replace("http", "ws") + "/stream"
    stream = TradingStream(user["key_id"], user["secret"], url_override=url)
    stream.subscribe_trade_updates(take)
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    until(lambda: stream._running)
    time.sleep(0.5)
    yield updates
    stream.stop()
    thread.join(timeout=10)


def until(fact: Callable[[], Any], timeout_s: float = WAIT_S) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := fact()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
    return found


def status_is(client: TradingClient, order: Any, *statuses: OrderStatus) -> Callable[[], bool]:
    return lambda: client.get_order_by_id(order.id).status in statuses


def price_now(client: TradingClient, symbol: str) -> Decimal:
    """Buy one share and return what it cost; again while nobody offers any, as a market does that begins."""
    price: Decimal = until(lambda: bought_for(client, symbol))
    return price


def bought_for(client: TradingClient, symbol: str) -> Decimal | None:
    order = client.submit_order(
        MarketOrderRequest(symbol=symbol, qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )
    until(status_is(client, order, OrderStatus.FILLED, OrderStatus.CANCELED))
    found = client.get_order_by_id(order.id)
    return Decimal(found.filled_avg_price) if found.status == OrderStatus.FILLED else None


def away(price: Decimal, percent: int) -> float:
    """A price so many per cent away, as clients send it."""
    return float((price * (100 + percent) / 100).quantize(CENT))


def test_stops_wait_are_replaced_and_cancelled(client: TradingClient) -> None:
    last = price_now(client, "AAPL")
    sell: dict[str, Any] = {
        "symbol": "AAPL",
        "qty": 1,
        "side": OrderSide.SELL,
        "time_in_force": TimeInForce.GTC,
    }
    stop = client.submit_order(StopOrderRequest(**sell, stop_price=away(last, -8)))
    limited = client.submit_order(
        StopLimitOrderRequest(**sell, stop_price=away(last, -8), limit_price=away(last, -9))
    )
    trail = client.submit_order(TrailingStopOrderRequest(**sell, trail_percent=8))
    for order in (stop, limited, trail):
        until(status_is(client, order, OrderStatus.NEW))
    shown = client.get_order_by_id(trail.id)
    assert Decimal(shown.hwm) > Decimal(shown.stop_price)
    moved = client.replace_order_by_id(stop.id, ReplaceOrderRequest(stop_price=away(last, -7)))
    until(status_is(client, moved, OrderStatus.NEW))
    assert client.get_order_by_id(stop.id).status == OrderStatus.REPLACED
    for order in (moved, limited, trail):
        client.cancel_order_by_id(order.id)
        until(status_is(client, order, OrderStatus.CANCELED))


def test_a_stop_close_to_the_market_is_reached_and_heard_of(client: TradingClient, heard: list[Any]) -> None:
    last = price_now(client, "IBM")
    stop = client.submit_order(
        TrailingStopOrderRequest(
            symbol="IBM",
            qty=1,
            side=OrderSide.SELL,
            time_in_force=TimeInForce.DAY,
            trail_price=float((last / 5000).quantize(CENT)) or 0.01,
        )
    )
    until(status_is(client, stop, OrderStatus.FILLED))
    told = until(lambda: [u.event for u in heard if u.order.id == stop.id and u.event == "fill"] and heard)
    assert [u.event for u in told if u.order.id == stop.id] == ["new", "restated", "fill"]


def test_a_bracket_enters_and_its_exits_end_together(client: TradingClient) -> None:
    last = price_now(client, "MSFT")
    parent = client.submit_order(
        MarketOrderRequest(
            symbol="MSFT",
            qty=2,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.DAY,
            order_class=OrderClass.BRACKET,
            take_profit=TakeProfitRequest(limit_price=away(last, 9)),
            stop_loss=StopLossRequest(stop_price=away(last, -8)),
        )
    )
    profit, loss = sorted(parent.legs, key=lambda leg: leg.type != OrderType.LIMIT)
    until(status_is(client, parent, OrderStatus.FILLED))
    until(status_is(client, profit, OrderStatus.NEW))
    whole = client.get_order_by_id(parent.id, GetOrderByIdRequest(nested=True))
    assert {leg.id: leg.status for leg in whole.legs} == {
        profit.id: OrderStatus.NEW,
        loss.id: OrderStatus.HELD,
    }
    client.cancel_order_by_id(loss.id)
    for leg in (profit, loss):
        until(status_is(client, leg, OrderStatus.CANCELED))


def test_a_pair_and_an_entry_with_one_exit(client: TradingClient) -> None:
    last = price_now(client, "AAPL")
    pair = client.submit_order(
        LimitOrderRequest(
            symbol="AAPL",
            qty=1,
            side=OrderSide.SELL,
            time_in_force=TimeInForce.DAY,
            order_class=OrderClass.OCO,
            take_profit=TakeProfitRequest(limit_price=away(last, 9)),
            stop_loss=StopLossRequest(stop_price=away(last, -8), limit_price=away(last, -9)),
        )
    )
    until(status_is(client, pair, OrderStatus.NEW))
    entry = client.submit_order(
        MarketOrderRequest(
            symbol="AAPL",
            qty=1,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.DAY,
            order_class=OrderClass.OTO,
            stop_loss=StopLossRequest(stop_price=away(last, -8)),
        )
    )
    (loss,) = entry.legs
    until(status_is(client, loss, OrderStatus.NEW))
    client.cancel_orders()
    for order in (pair, *pair.legs, loss):
        until(status_is(client, order, OrderStatus.CANCELED))


def test_the_books_add_up_after_all_that(platform: Platform) -> None:
    reconciled = platform.manage("reconcile")
    assert reconciled.returncode == 0, reconciled.stdout + reconciled.stderr
