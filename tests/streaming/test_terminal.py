"""The terminal's socket against a real server: who may open it, what it says, and what it never says."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from apps.access.services import api_key_revoke
from apps.accounts.models import User
from apps.events.facts import SYSTEM
from apps.events.models import RelayCursor
from apps.instruments.calendar import exchange_date
from apps.primitives.clock import utc_now
from apps.streaming.depth import book_checksum
from tests.api.conftest import Api
from tests.streaming.edges import Edges, events_relay, ticks_relay
from tests.support.matching import Exchange


def _login(user_id: int) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.get(pk=user_id))
    return client


@contextmanager
def _terminal(
    edges: Edges, client: Client, origin: str | None = None, query: str = ""
) -> Iterator[ClientConnection]:
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    headers = {"Cookie": cookies, **({"Origin": origin} if origin else {})}
    with connect(edges.ws_url + "/ws/terminal" + query, additional_headers=headers, proxy=None) as socket:
        yield socket


def _read(socket: ClientConnection, kind: str, fits: Callable[[Any], bool] = lambda _: True) -> Any:
    """Return the next frame of a kind, skipping others."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = json.loads(socket.recv(timeout=10))
        if found["type"] == kind and fits(found):
            return found
    raise TimeoutError(kind)


def _asked(frame: Any, ask: str) -> bool:
    return [quote["ask"] for quote in frame["quotes"]] == [ask]


def _close_code(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=10)
    return closed.value.rcvd.code if closed.value.rcvd else None


def _subscribe(socket: ClientConnection, symbols: list[str], depth: str | None) -> None:
    socket.send(json.dumps({"action": "subscribe", "symbols": symbols, "depth": depth}))


def test_strangers_staff_and_other_sites_are_turned_away(edges: Edges, ada: Api) -> None:
    with _terminal(edges, Client()) as socket:
        assert _close_code(socket) == 4401
    staff = User.objects.create_user("staff", is_staff=True)
    with _terminal(edges, _login(staff.pk)) as socket:
        assert _close_code(socket) == 4403
    ours = _login(ada.trader.user_id)
    with _terminal(edges, ours, origin="http://evil.example") as socket:
        assert _close_code(socket) == 4403
    with _terminal(edges, ours, origin=f"http://127.0.0.1:{edges.ws_port + 1}") as socket:
        assert _close_code(socket) == 4403
    with _terminal(edges, ours, origin=f"http://127.0.0.1:{edges.ws_port}") as socket:
        assert _read(socket, "hello")["account_seq"] >= 0


def test_unknown_address_is_refused(edges: Edges) -> None:
    with pytest.raises(InvalidStatus), connect(edges.ws_url + "/ws/other", proxy=None):
        pass


def test_hello_heartbeats_quotes_depth_and_trades(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange
) -> None:
    with _terminal(edges, _login(ada.trader.user_id)) as socket:
        hello = json.loads(socket.recv(timeout=10))
        assert hello["type"] == "hello"
        _subscribe(socket, ["AAPL", "MSFT"], "AAPL")
        # A price of this test alone: the server has seen the markets of other tests.
        grace.order(side="sell", qty=10, limit_price="103.25")
        exchange.run()
        quote = _read(socket, "quotes", lambda f: _asked(f, "103.2500"))["quotes"][0]
        assert (quote["symbol"], quote["ask_size"], quote["bid"]) == ("AAPL", 10, None)
        depth = _read(socket, "depth")
        assert (depth["symbol"], depth["asks"][-1]) == ("AAPL", ["103.2500", 10])
        time.sleep(0.1)
        ada.order(qty=3, limit_price="103.25")
        exchange.run()
        trade = _read(socket, "trades", lambda f: f["trades"][-1]["price"] == "103.2500")["trades"][-1]
        assert (trade["size"], trade["side"]) == (3, "BUY")
        assert isinstance(trade["id"], str)
        beats = [_read(socket, "heartbeat") for _ in range(2)]
        assert beats[1]["seq"] == beats[0]["seq"] + 1
        assert beats[1]["feed_age_ms"] >= 0
    # Who comes later is shown what is known before anything moves.
    with _terminal(edges, _login(grace.trader.user_id)) as socket:
        _subscribe(socket, ["AAPL"], "AAPL")
        assert _read(socket, "trades")["trades"][-1]["id"] == trade["id"]
        assert _read(socket, "quotes")["quotes"][0]["last"] == "103.2500"


def test_depth_begins_whole_goes_on_by_changes_and_comes_whole_again_when_asked(
    edges: Edges, ada: Api, exchange: Exchange
) -> None:
    with _terminal(edges, _login(ada.trader.user_id)) as socket:
        _subscribe(socket, ["AAPL"], "AAPL")
        seen: list[Any] = []
        for price in ("91.00", "92.00", "93.00"):
            ada.order(qty=1, limit_price=price)
            exchange.run()
            exchange.quiet_down()
            best = [f"{price}00", 1]
            seen.append(_read(socket, "depth", lambda f, best=best: best in f["bids"]))
        assert [frame["bids"] for frame in seen[1:]] == [[["92.0000", 1]], [["93.0000", 1]]]
        assert [frame["snapshot"] for frame in seen[1:]] == [False, False]
        assert seen[2]["prev"] == seen[1]["seq"]
        socket.send(json.dumps({"action": "resync"}))
        whole = _read(socket, "depth")
        assert (whole["snapshot"], whole["prev"], whole["seq"]) == (True, None, seen[2]["seq"])
        bids = [["93.0000", 1], ["92.0000", 1], ["91.0000", 1]]
        assert whole["bids"][:3] == bids
        assert whole["checksum"] == seen[2]["checksum"] == book_checksum(whole["bids"], whole["asks"])


def test_candles_of_what_is_shown_come_as_the_store_has_them(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange
) -> None:
    with _terminal(edges, _login(ada.trader.user_id)) as socket:
        _subscribe(socket, ["AAPL", "MSFT"], "AAPL")
        for number in (1, 2):
            grace.order(side="sell", qty=3, limit_price="104.25")
            ada.order(qty=3, limit_price="104.25")
            exchange.run()
            ticks_relay()
            frame = _read(socket, "bars", lambda f, n=number: f["days"] and f["days"][-1]["n"] == n)
        (minute,) = frame["minutes"]
        assert (minute["c"], frame["symbol"]) == ("104.2500", "AAPL")
        (day,) = frame["days"]
        assert (day["n"], day["v"], day["vw"]) == (2, 6, "104.250000")
        assert day["date"] == exchange_date(utc_now()).isoformat()
    # Who comes later is shown the newest minute and day before anything moves.
    with _terminal(edges, _login(grace.trader.user_id)) as socket:
        _subscribe(socket, [], "AAPL")
        assert _read(socket, "bars")["days"] == [day]


def test_subscription_replaces_the_one_before(edges: Edges, ada: Api, exchange: Exchange) -> None:
    with _terminal(edges, _login(ada.trader.user_id)) as socket:
        _subscribe(socket, ["AAPL"], "AAPL")
        _subscribe(socket, ["MSFT"], None)
        # A heartbeat later nothing of the first subscription can still be on its way.
        _read(socket, "heartbeat")
        ada.order()
        ada.order(symbol="MSFT", limit_price="49.00")
        exchange.run()
        seen: list[Any] = []
        while not seen or seen[-1]["type"] != "heartbeat":
            seen.append(json.loads(socket.recv(timeout=10)))
        symbols = {q["symbol"] for frame in seen if frame["type"] == "quotes" for q in frame["quotes"]}
        assert symbols == {"MSFT"}
        assert {frame["type"] for frame in seen} == {"quotes", "heartbeat"}


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        "{}",
        '{"action":"buy"}',
        '{"action":"subscribe","symbols":"AAPL"}',
        '{"action":"subscribe","symbols":[1]}',
        '{"action":"subscribe","symbols":[],"depth":["AAPL"]}',
        json.dumps({"action": "subscribe", "symbols": ["A"] * 500}),
        " " * 300_000,
        b"\xff\x00",
    ],
    ids=lambda value: str(value)[:30].strip() or "long",
)
def test_bad_message_is_answered_and_the_socket_lives(edges: Edges, ada: Api, message: str | bytes) -> None:
    with _terminal(edges, _login(ada.trader.user_id)) as socket:
        _read(socket, "hello")
        socket.send(message)
        assert _read(socket, "error")["message"]
        assert _read(socket, "heartbeat")["seq"] >= 1


def test_account_events_are_the_own_ones_in_order_and_repeats_are_dropped(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange
) -> None:
    with _terminal(edges, _login(ada.trader.user_id)) as socket:
        seq = _read(socket, "hello")["account_seq"]
        order = ada.order(qty=3, limit_price="100.00").json()
        grace.order(side="sell", qty=3, limit_price="100.00")
        exchange.run()
        events_relay()
        frames = [_read(socket, "account", lambda f: f["seq"] is not None) for _ in range(3)]
        assert [frame["seq"] for frame in frames] == [seq + 1, seq + 2, seq + 3]
        kinds = [frame["event"]["event_type"] for frame in frames]
        assert kinds == ["ORDER_ACCEPTED", "ORDER_FILLED", "BALANCE_CHANGED"]
        assert frames[1]["event"]["data"]["public_id"] == order["id"]
        assert frames[1]["event"]["data"]["execution"]["price"] == "100.0000"
        assert {frame["event"]["account_id"] for frame in frames} == {ada.trader.account_id}


def test_lost_events_are_read_from_the_record(edges: Edges, ada: Api, exchange: Exchange) -> None:
    with _terminal(edges, _login(ada.trader.user_id)) as socket:
        seq = _read(socket, "hello")["account_seq"]
        events_relay()
        lost = ada.order().json()
        exchange.run()
        # The relay moved on, but what it sent never arrived.
        newest = _newest_event()
        RelayCursor.objects.update(xact_id=newest[0], event_id=newest[1])
        ada.delete(f"/v2/orders/{lost['id']}")
        exchange.run()
        events_relay()
        frames = [_read(socket, "account", lambda f: f["seq"] is not None) for _ in range(2)]
        assert [frame["seq"] for frame in frames] == [seq + 1, seq + 2]
        kinds = [frame["event"]["event_type"] for frame in frames]
        assert kinds == ["ORDER_ACCEPTED", "ORDER_CANCELLED"]


def _newest_event() -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_id::text::bigint, id FROM events ORDER BY xact_id DESC, id DESC LIMIT 1")
        return cursor.fetchone()


def test_trade_stream_says_nothing_before_authentication_and_refuses_to_listen(
    edges: Edges, ada: Api
) -> None:
    with connect(edges.ws_url + "/stream", proxy=None) as socket:
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.5)
        socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        verdict = {"stream": "authorization", "data": {"status": "unauthorized", "action": "listen"}}
        assert json.loads(socket.recv(timeout=5)) == verdict
        socket.send("{")
        assert json.loads(socket.recv(timeout=5))["action"] == "error"
        pair = {"key_id": ada.key_id, "secret_key": ada.secret}
        socket.send(json.dumps({"action": "authenticate", "data": pair}))
        assert json.loads(socket.recv(timeout=5))["data"]["status"] == "authorized"
        for asked, told in ((["trade_updates", "other"], ["trade_updates"]), ([], [])):
            socket.send(json.dumps({"action": "listen", "data": {"streams": asked}}))
            listening = {"stream": "listening", "data": {"streams": told}}
            assert json.loads(socket.recv(timeout=5)) == listening


def test_market_stream_in_json_follows_the_protocol(edges: Edges, ada: Api) -> None:
    def said() -> Any:
        return json.loads(socket.recv(timeout=5))

    with connect(edges.ws_url + "/v2/test", proxy=None) as socket:
        assert said() == [{"T": "success", "msg": "connected"}]
        socket.send(json.dumps({"action": "subscribe", "trades": ["AAPL"]}))
        assert said()[0]["code"] == 401
        socket.send("nonsense")
        assert said()[0]["code"] == 400
        socket.send(json.dumps({"action": "auth", "key": ada.key_id, "secret": ada.secret}))
        assert said() == [{"T": "success", "msg": "authenticated"}]
        socket.send(json.dumps({"action": "auth", "key": ada.key_id, "secret": ada.secret}))
        assert said()[0]["code"] == 403
        for _ in range(2):
            socket.send(json.dumps({"action": "subscribe", "trades": ["AAPL"], "quotes": ["AAPL", "MSFT"]}))
            state = said()[0]
            assert (state["T"], state["trades"], state["quotes"]) == (
                "subscription",
                ["AAPL"],
                ["AAPL", "MSFT"],
            )
        socket.send(json.dumps({"action": "subscribe", "trades": [f"S{n}" for n in range(2_000)]}))
        assert said()[0]["code"] == 405
        socket.send(json.dumps({"action": "subscribe", "trades": 7}))
        assert said()[0]["code"] == 400


def test_market_stream_closes_on_a_wrong_or_revoked_key(edges: Edges, ada: Api) -> None:
    api_key_revoke(key_id=ada.key_id, origin=SYSTEM)
    with connect(edges.ws_url + "/v2/iex", proxy=None) as socket:
        socket.recv(timeout=5)
        socket.send(json.dumps({"action": "auth", "key": ada.key_id, "secret": ada.secret}))
        assert json.loads(socket.recv(timeout=5))[0]["code"] == 402
        assert _close_code(socket) == 1008


def test_client_that_comes_back_goes_on_where_it_was(
    edges: Edges, ada: Api, grace: Api, exchange: Exchange
) -> None:
    client = _login(ada.trader.user_id)
    with _terminal(edges, client) as socket:
        seq = _read(socket, "hello")["account_seq"]
        ada.order(qty=1, limit_price="99.00")
        exchange.run()
        events_relay()
        assert _read(socket, "account", lambda f: f["seq"] is not None)["seq"] == seq + 1
    for price in ("98.00", "97.00", "96.00"):
        ada.order(qty=1, limit_price=price)
        exchange.run()
    events_relay()
    with _terminal(edges, client, query=f"?after={seq + 1}") as socket:
        assert _read(socket, "hello")["account_seq"] == seq + 1
        ada.order(qty=1, limit_price="95.00")
        exchange.run()
        events_relay()
        frames = [_read(socket, "account", lambda f: f["seq"] is not None) for _ in range(4)]
        assert [frame["seq"] for frame in frames] == [seq + 2, seq + 3, seq + 4, seq + 5]
    for nonsense in ("?after=-1", "?after=999999", "?after=x", "?after=" + "9" * 30, "?after=", "?other=1"):
        with _terminal(edges, client, query=nonsense) as socket:
            assert _read(socket, "hello")["account_seq"] == seq + 5
    # A position of another account means nothing here.
    with _terminal(edges, _login(grace.trader.user_id), query=f"?after={seq + 5}") as socket:
        assert _read(socket, "hello")["account_seq"] != seq + 5
