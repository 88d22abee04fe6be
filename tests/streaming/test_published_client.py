"""A published client, unchanged, against real servers: trade, then hear of it on both streams."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.live import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
)
from alpaca.trading.stream import TradingStream

from apps.events.models import RelayCursor
from tests.api.conftest import Api
from tests.streaming.edges import Edges, events_relay
from tests.support.matching import Exchange


def _client(edges: Edges, api: Api) -> TradingClient:
    return TradingClient(api.key_id, api.secret, url_override=edges.web_url)


def _limit(side: OrderSide, qty: int, price: float, **more: Any) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol="AAPL", side=side, qty=qty, limit_price=price, time_in_force=TimeInForce.DAY, **more
    )


def _until(fact: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := fact()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return found


@contextmanager
def _running(stream: Any) -> Iterator[None]:
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    _until(lambda: stream._running)
    try:
        yield
    finally:
        stream.stop()
        thread.join(timeout=10)


def test_client_reads_account_assets_positions_clock_and_calendar(edges: Edges, ada: Api) -> None:
    client = _client(edges, ada)
    account = client.get_account()
    assert (account.cash, account.status.value, account.currency) == ("10000", "ACTIVE", "USD")
    assert client.get_account_configurations().no_shorting is True
    assert [asset.symbol for asset in client.get_all_assets()] == ["AAPL", "MSFT"]
    assert client.get_asset("AAPL").id == client.get_all_positions()[0].asset_id
    assert client.get_open_position("AAPL").qty == "100"
    assert client.get_clock().is_open
    assert client.get_calendar()


def test_client_trades_replaces_cancels_and_closes(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange
) -> None:
    buyer, seller = _client(edges, ada), _client(edges, grace)
    resting = seller.submit_order(_limit(OrderSide.SELL, 10, 100.25))
    bought = buyer.submit_order(
        MarketOrderRequest(symbol="AAPL", qty=4, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )
    exchange.run()
    filled = buyer.get_order_by_id(bought.id)
    assert (filled.status, filled.filled_avg_price) == (OrderStatus.FILLED, "100.25")
    assert buyer.get_account().cash == "9599"
    replacement = seller.replace_order_by_id(resting.id, ReplaceOrderRequest(limit_price=100.5))
    exchange.run()
    assert seller.get_order_by_id(resting.id).status == OrderStatus.REPLACED
    assert seller.get_order_by_client_id(replacement.client_order_id).qty == "6"
    seller.cancel_order_by_id(replacement.id)
    exchange.run()
    every = seller.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, symbols=["AAPL"]))
    assert [order.status for order in every] == [OrderStatus.CANCELED, OrderStatus.REPLACED]
    buyer.submit_order(_limit(OrderSide.BUY, 1, 99.0))
    assert [item.status for item in buyer.cancel_orders()] == [200]
    assert buyer.close_position("AAPL", ClosePositionRequest(percentage="50")).qty == "52"
    assert {item.status for item in buyer.close_all_positions(cancel_orders=False)} == {403}


def test_client_understands_every_refusal(edges: Edges, ada: Api) -> None:
    client = _client(edges, ada)
    with pytest.raises(APIError) as funds:
        client.submit_order(_limit(OrderSide.BUY, 1_000, 100.0))
    assert (funds.value.status_code, funds.value.code) == (403, 40310000)
    assert "insufficient buying power" in funds.value.message
    with pytest.raises(APIError) as missing:
        client.get_asset("NOPE")
    assert (missing.value.status_code, missing.value.code) == (404, 40410000)
    stranger = TradingClient("OBNOBODY", "nothing", url_override=edges.web_url)
    with pytest.raises(APIError) as nobody:
        stranger.get_account()
    assert (nobody.value.status_code, nobody.value.code) == (401, 40110000)


@pytest.mark.parametrize("path", ["/stream", "/stream/"])
def test_trade_updates_arrive_in_order_and_say_what_a_later_read_says(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange, path: str
) -> None:
    updates: list[Any] = []

    async def take(update: Any) -> None:
        updates.append(update)

    stream = TradingStream(ada.key_id, ada.secret, url_override=edges.ws_url + path)
    stream.subscribe_trade_updates(take)
    buyer, seller = _client(edges, ada), _client(edges, grace)
    with _running(stream):
        time.sleep(0.3)
        order = buyer.submit_order(_limit(OrderSide.BUY, 10, 99.5))
        exchange.run()
        seller.submit_order(_limit(OrderSide.SELL, 4, 99.5))
        exchange.run()
        seller.submit_order(_limit(OrderSide.SELL, 6, 99.5))
        exchange.run()
        events_relay()
        _until(lambda: len(updates) == 3)
        cancelled = buyer.submit_order(_limit(OrderSide.BUY, 1, 90.5))
        exchange.run()
        buyer.cancel_order_by_id(cancelled.id)
        exchange.run()
        # The relay delivers at least once: the same events again must change nothing.
        RelayCursor.objects.update(xact_id=0, event_id=0)
        events_relay()
        _until(lambda: len(updates) == 5)
    assert [update.event for update in updates] == ["new", "partial_fill", "fill", "new", "canceled"]
    assert [(u.price, u.qty, u.position_qty) for u in updates[1:3]] == [(99.5, 4, 104), (99.5, 6, 110)]
    assert updates[1].execution_id != updates[2].execution_id
    assert updates[2].order == buyer.get_order_by_id(order.id)
    assert updates[4].order == buyer.get_order_by_id(cancelled.id)


def test_market_data_stream_sends_trades_and_quotes(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange
) -> None:
    trades: list[Any] = []
    quotes: list[Any] = []

    async def trade_take(trade: Any) -> None:
        trades.append(trade)

    async def quote_take(quote: Any) -> None:
        quotes.append(quote)

    stream = StockDataStream(ada.key_id, ada.secret, url_override=edges.ws_url + "/v2/iex")
    stream.subscribe_trades(trade_take, "AAPL")
    stream.subscribe_quotes(quote_take, "*")
    with _running(stream):
        time.sleep(0.5)
        grace.order(side="sell", qty=10, limit_price="100.50")
        exchange.run()
        _until(lambda: quotes and quotes[-1].ask_price == 100.5)
        ada.order(qty=3, limit_price="100.50")
        exchange.run()
        _until(lambda: _flushed(exchange) and trades)
    assert (trades[0].symbol, trades[0].price, trades[0].size) == ("AAPL", 100.5, 3)
    assert isinstance(trades[0].id, int)
    assert trades[0].timestamp.tzinfo is not None
    assert (quotes[-1].bid_price, quotes[-1].bid_size) == (0, 0)


def _flushed(exchange: Exchange) -> bool:
    exchange.runner.ports.wait(0.02)
    return True


def test_wrong_key_is_refused_by_both_streams(edges: Edges, ada: Api) -> None:
    for stream in (
        TradingStream("OBNOBODY", "nothing", url_override=edges.ws_url + "/stream"),
        StockDataStream("OBNOBODY", "nothing", url_override=edges.ws_url + "/v2/sip"),
    ):
        with pytest.raises(ValueError, match="auth"):
            asyncio.run(_start(stream))


async def _start(stream: Any) -> None:
    try:
        await stream._start_ws()
    finally:
        await stream.close()
