"""Halts, bands and auctions reach market-data clients and open pages while they happen."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from alpaca.data.live import StockDataStream
from websockets.sync.client import ClientConnection, connect

from apps.events.facts import SYSTEM
from apps.operations.services.controls import symbol_bands, symbol_halt, symbol_resume
from tests.api.conftest import Api
from tests.streaming.edges import Edges
from tests.streaming.test_published_client import _flushed, _running, _until
from tests.streaming.test_terminal import _login, _read, _subscribe, _terminal
from tests.support.matching import Exchange


@pytest.fixture
def resumed(exchange: Exchange) -> Iterator[None]:
    """Leave the server, which outlives the test, with a book that trades."""
    yield
    symbol_resume(symbol="AAPL", reason="the test is over", origin=SYSTEM)
    exchange.run()
    exchange.quiet_down()


@contextmanager
def _data_stream(edges: Edges, api: Api, **channels: list[str]) -> Iterator[ClientConnection]:
    with connect(edges.ws_url + "/v2/iex", proxy=None) as socket:
        socket.send(json.dumps({"action": "auth", "key": api.key_id, "secret": api.secret}))
        socket.send(json.dumps({"action": "subscribe", **channels}))
        while json.loads(socket.recv(timeout=10))[0]["T"] != "subscription":
            pass
        yield socket


def _message(socket: ClientConnection, kind: str) -> Any:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for message in json.loads(socket.recv(timeout=10)):
            if message["T"] == kind:
                return message
    raise TimeoutError(kind)


def test_published_client_hears_of_a_halt_with_its_reason_and_of_the_resumption(
    edges: Edges, ada: Api, exchange: Exchange
) -> None:
    statuses: list[Any] = []

    async def take(status: Any) -> None:
        statuses.append(status)

    stream = StockDataStream(ada.key_id, ada.secret, url_override=edges.ws_url + "/v2/iex")
    stream.subscribe_trading_statuses(take, "AAPL")
    with _running(stream):
        time.sleep(0.5)
        symbol_halt(symbol="AAPL", reason="news is pending", origin=SYSTEM)
        exchange.run()
        _until(lambda: _flushed(exchange) and statuses)
        symbol_resume(symbol="AAPL", reason="news is out", origin=SYSTEM)
        exchange.run()
        _until(lambda: _flushed(exchange) and len(statuses) == 2)
    told = [(one.symbol, one.status_code, one.reason_message, one.tape) for one in statuses]
    assert told == [("AAPL", "H", "news is pending", "C"), ("AAPL", "T", "Trading resumes", "C")]


def test_bands_and_the_auction_of_a_halted_book_are_published(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange, resumed: None
) -> None:
    with _data_stream(edges, ada, lulds=["AAPL"], imbalances=["*"]) as socket:
        symbol_bands(symbol="AAPL", lower=Decimal("95"), upper=Decimal("105"), reason="a test", origin=SYSTEM)
        exchange.run()
        exchange.quiet_down()
        bands = _message(socket, "l")
        assert (bands["S"], bands["d"], bands["u"]) == ("AAPL", 95, 105)
        symbol_halt(symbol="AAPL", reason="news is pending", origin=SYSTEM)
        grace.order(side="sell", qty=10, limit_price="99.50")
        ada.order(qty=4, limit_price="100.50")
        exchange.run()
        exchange.quiet_down()
        assert _message(socket, "i")["S"] == "AAPL"


def test_an_open_page_is_told_the_phase_and_what_the_auction_would_bring(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange, resumed: None
) -> None:
    with _terminal(edges, _login(ada.trader.user_id)) as socket:
        _subscribe(socket, ["AAPL"], "AAPL")
        _read(socket, "status", lambda one: one["phase"] == "CONTINUOUS")
        symbol_halt(symbol="AAPL", reason="news is pending", origin=SYSTEM)
        grace.order(side="sell", qty=10, limit_price="100.00")
        ada.order(qty=4, limit_price="100.00")
        exchange.run()
        exchange.quiet_down()
        halted = _read(socket, "status", lambda one: one["phase"] == "HALTED" and one["auction"])
        assert halted["auction"] == {"p": "100.0000", "v": 4, "i": -6}
