"""Bars and depth as published clients get them: real sockets, real SDKs, the candles of the store."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from alpaca.data.live import CryptoDataStream, StockDataStream
from django_redis import get_redis_connection
from websockets.sync.client import connect

from apps.marketdata.candles import Tick
from apps.marketdata.live import CandleTape, minute_of
from apps.marketdata.selectors import bars_at, tick_list
from apps.marketdata.services import ticks_append
from apps.primitives.clock import utc_now
from apps.streaming.depth import book_checksum
from tests.api.conftest import Api
from tests.streaming.edges import Edges, ticks_relay
from tests.streaming.test_published_client import _flushed, _running, _until
from tests.streaming.test_published_statuses import _data_stream
from tests.support.matching import Exchange

CLOSED_S_MAX = 80.0


def _taker(found: list[Any]) -> Any:
    async def take(message: Any) -> None:
        found.append(message)

    return take


def test_bars_updated_bars_and_daily_bars_are_the_candles_of_the_store(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange
) -> None:
    """One minute of trading: the day runs, the minute is told when it closed, a late trade corrects it."""
    bars: list[Any] = []
    updated: list[Any] = []
    days: list[Any] = []
    stream = StockDataStream(ada.key_id, ada.secret, url_override=edges.ws_url + "/v2/iex")
    stream.subscribe_bars(_taker(bars), "*")
    stream.subscribe_updated_bars(_taker(updated), "MSFT")
    stream.subscribe_daily_bars(_taker(days), "MSFT")
    with _running(stream):
        # Both trades belong to one minute, and the day is told before it is over.
        _until(lambda: utc_now().second < 40, 25.0)
        for price in ("50.25", "50.75"):
            grace.order(side="sell", symbol="MSFT", qty=4, limit_price=price)
            ada.order(symbol="MSFT", qty=4, limit_price=price)
            exchange.run()
        ticks_relay()
        _until(lambda: days and days[-1].trade_count == 2)
        assert not bars, "the minute was told before it was over"
        minute = minute_of(tick_list("MSFT", 1)[0].time)
        _until(lambda: bars, CLOSED_S_MAX)
        assert utc_now() >= minute + timedelta(minutes=1)
        late = Tick(9, minute + timedelta(seconds=59), "MSFT", Decimal("51.00"), 2)
        ticks_append([late])
        CandleTape(get_redis_connection("default")).tell([late])
        _until(lambda: updated)
    (bar,), (update,) = [one for one in bars if one.symbol == "MSFT"], updated
    assert (bar.timestamp, update.timestamp) == (minute, minute)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (50.25, 50.75, 50.25, 50.75, 8)
    assert (bar.trade_count, bar.vwap) == (2, 50.5)
    (stored,) = bars_at([("MSFT", minute)]).values()
    assert (update.close, update.volume, update.trade_count) == (51.0, stored.volume, stored.trade_count)
    assert Decimal(str(update.vwap)) == stored.vwap
    assert days[-1].close == 51.0


def test_a_published_client_of_books_follows_depth(edges: Edges, ada: Api, exchange: Exchange) -> None:
    """The channel is the one that the SDK has for books of other assets."""
    books: list[Any] = []
    stream = CryptoDataStream(ada.key_id, ada.secret, url_override=edges.ws_url + "/v2/iex")
    stream.subscribe_orderbooks(_taker(books), "AAPL")
    with _running(stream):
        for price in ("71.00", "72.00"):
            ada.order(qty=1, limit_price=price)
            exchange.run()
            _until(
                lambda p=price: _flushed(exchange) and books and float(p) in [q.price for q in books[-1].bids]
            )
    assert books[0].reset is True
    assert books[-1].reset is False
    assert [(quote.price, quote.size) for quote in books[-1].bids] == [(72.0, 1.0)]


def test_depth_has_a_sequence_a_checksum_and_a_fresh_snapshot_on_request(
    edges: Edges, ada: Api, exchange: Exchange
) -> None:
    with _data_stream(edges, ada, orderbooks=["AAPL"]) as socket:

        def book(fits: Any) -> Any:
            while True:
                for message in json.loads(socket.recv(timeout=10)):
                    if message["T"] == "o" and fits(message):
                        return message

        def enter(price: str) -> Any:
            ada.order(qty=2, limit_price=price)
            exchange.run()
            exchange.quiet_down()
            return book(lambda m: any(level["p"] == float(price) for level in m["b"]))

        first, second = enter("81.00"), enter("82.00")
        assert (second["r"], second["prev"], second["a"]) == (False, first["seq"], [])
        assert second["b"] == [{"p": 82.0, "s": 2}]
        socket.send(json.dumps({"action": "subscribe", "orderbooks": ["AAPL"]}))
        whole = book(lambda m: m["r"])
        assert (whole["seq"], whole["prev"]) == (second["seq"], None)
        bids = [[f"{level['p']:.4f}", level["s"]] for level in whole["b"]]
        assert bids[:2] == [["82.0000", 2], ["81.0000", 2]]
        assert whole["checksum"] == second["checksum"] == book_checksum(bids, [])
        socket.send(json.dumps({"action": "unsubscribe", "orderbooks": ["AAPL"]}))
        while json.loads(socket.recv(timeout=10))[0]["T"] != "subscription":
            pass


def test_the_subscription_names_depth_only_to_who_asked_for_it(edges: Edges, ada: Api) -> None:
    with connect(edges.ws_url + "/v2/iex", proxy=None) as socket:
        socket.send(json.dumps({"action": "auth", "key": ada.key_id, "secret": ada.secret}))
        for asked, named in (({"bars": ["AAPL"]}, False), ({"orderbooks": ["AAPL"]}, True)):
            socket.send(json.dumps({"action": "subscribe", **asked}))
            while (state := json.loads(socket.recv(timeout=10))[0])["T"] != "subscription":
                pass
            assert ("orderbooks" in state) == named
        assert state["bars"] == ["AAPL"]
