"""Stops, trails and groups over the published protocol: how they are sent, shown, changed and refused."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.support.matching import Exchange


def market_at(grace: Api, ada: Api, exchange: Exchange, price: str) -> None:
    """Make one share trade at a price, which becomes the last."""
    grace.order(side="sell", qty=1, limit_price=price)
    ada.order(qty=1, limit_price=price)
    exchange.run()


def read(api: Api, order: dict[str, Any], **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/v2/orders/{order['id']}", query).json()
    return found


def stop(api: Api, **changes: Any) -> dict[str, Any]:
    given = {"side": "sell", "type": "stop", "limit_price": None, "qty": 10, "stop_price": "95", **changes}
    answer = api.order(**given)
    assert answer.status_code == 200, answer.content
    sent: dict[str, Any] = answer.json()
    return sent


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({}, {"type": "stop", "stop_price": "95", "limit_price": None}),
        (
            {"type": "stop_limit", "limit_price": 94.5},
            {"type": "stop_limit", "stop_price": "95", "limit_price": "94.5"},
        ),
        (
            {"type": "trailing_stop", "stop_price": None, "trail_price": 2},
            {"type": "trailing_stop", "trail_price": "2", "trail_percent": None, "hwm": "100"},
        ),
        (
            {"type": "trailing_stop", "stop_price": None, "trail_percent": "1.5", "time_in_force": "gtc"},
            {"type": "trailing_stop", "stop_price": "98.5", "trail_percent": "1.5", "trail_price": None},
        ),
        ({"side": "buy", "stop_price": "105"}, {"side": "buy", "stop_price": "105"}),
    ],
    ids=str,
)
def test_a_stop_is_shown_as_it_was_sent(
    ada: Api, exchange: Exchange, sent: dict[str, Any], shown: dict[str, Any]
) -> None:
    order = stop(ada, **sent)
    assert {name: order[name] for name in shown} == shown
    assert (order["order_class"], order["legs"], order["order_type"]) == ("", None, order["type"])
    exchange.run()
    later = read(ada, order)
    assert later["status"] == "new"
    assert {name: later[name] for name in shown} == shown


def test_a_stop_trades_at_the_market_when_the_price_reaches_it(
    ada: Api, grace: Api, exchange: Exchange
) -> None:
    waiting = stop(ada)
    grace.order(qty=20, limit_price="94.90")
    exchange.run()
    assert read(ada, waiting)["status"] == "new"
    ada.order(side="sell", qty=1, limit_price="94.90")
    exchange.run()
    done = read(ada, waiting)
    assert (done["status"], done["filled_qty"], done["filled_avg_price"]) == ("filled", "10", "94.9")


def test_a_trailing_stop_shows_where_it_has_moved(ada: Api, grace: Api, exchange: Exchange) -> None:
    order = stop(ada, type="trailing_stop", stop_price=None, trail_price="2.00")
    exchange.run()
    market_at(grace, ada, exchange, "103.00")
    moved = read(ada, order)
    assert (moved["hwm"], moved["stop_price"]) == ("103", "101")
    market_at(grace, ada, exchange, "102.00")
    assert read(ada, order)["stop_price"] == "101"


@pytest.mark.parametrize(
    ("sent", "change", "shown"),
    [
        ({}, {"stop_price": 94}, {"stop_price": "94", "qty": "10"}),
        (
            {"type": "stop_limit", "limit_price": "94.5"},
            {"stop_price": "94", "limit_price": "93.5", "qty": 5},
            {"stop_price": "94", "limit_price": "93.5", "qty": "5"},
        ),
        (
            {"type": "trailing_stop", "stop_price": None, "trail_price": "2"},
            {"trail": 3},
            {"trail_price": "3", "trail_percent": None, "stop_price": "97"},
        ),
        (
            {"type": "trailing_stop", "stop_price": None, "trail_percent": "2"},
            {"trail": "1.5"},
            {"trail_percent": "1.5", "trail_price": None},
        ),
    ],
    ids=str,
)
def test_a_waiting_stop_is_replaced(
    ada: Api, exchange: Exchange, sent: dict[str, Any], change: dict[str, Any], shown: dict[str, Any]
) -> None:
    order = stop(ada, **sent)
    exchange.run()
    answer = ada.patch(f"/v2/orders/{order['id']}", change)
    assert answer.status_code == 200, answer.content
    exchange.run()
    new = read(ada, answer.json())
    assert (new["status"], new["replaces"]) == ("new", order["id"])
    assert {name: new[name] for name in shown} == shown


@pytest.mark.parametrize("change", [{"trail": "1"}, {"limit_price": "94"}, {"stop_price": "101"}], ids=str)
def test_a_stop_takes_no_change_that_is_not_its_own(
    ada: Api, exchange: Exchange, change: dict[str, Any]
) -> None:
    order = stop(ada)
    exchange.run()
    answer = ada.patch(f"/v2/orders/{order['id']}", change)
    assert answer.status_code == 422, answer.content
    assert read(ada, order)["status"] == "new"


@pytest.mark.parametrize(
    ("change", "status", "code", "words"),
    [
        ({"stop_price": "101"}, 422, 42210000, "stop price must be less than current price"),
        ({"side": "buy", "stop_price": "99"}, 422, 42210000, "stop price must be greater than current price"),
        ({"stop_price": "95.001"}, 422, 42210000, "Prices for AAPL move in steps"),
        ({"stop_price": None}, 422, 40010001, "stop orders require a stop price"),
        ({"type": "stop_limit"}, 422, 40010001, "stop_limit orders require a limit price"),
        ({"type": "market"}, 422, 40010001, "market orders take no stop price"),
        ({"qty": 101}, 403, 40310000, "insufficient qty available for order"),
        ({"time_in_force": "fok"}, 422, 40010001, "stop orders must be day or gtc orders"),
        ({"type": "trailing_stop", "stop_price": None}, 422, 40010001, "exactly one of trail_price"),
        ({"time_in_force": "opg", "type": "market", "stop_price": None}, 422, 42210000, "never closes"),
    ],
    ids=str,
)
def test_a_refusal_of_a_stop_has_the_code_and_the_words(
    ada: Api, change: dict[str, Any], status: int, code: int, words: str
) -> None:
    given = {"side": "sell", "type": "stop", "limit_price": None, "qty": 10, "stop_price": "95", **change}
    answer = ada.order(**given)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert words in answer.json()["message"]


BRACKET = {
    "order_class": "bracket",
    "qty": 10,
    "limit_price": "100",
    "take_profit": {"limit_price": "110"},
    "stop_loss": {"stop_price": "95", "limit_price": "94"},
}


def legs_of(order: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {leg["type"]: leg for leg in order["legs"]}


def test_a_bracket_answers_with_its_legs_and_lists_them_flat_or_nested(ada: Api) -> None:
    answer = ada.order(**BRACKET)
    assert answer.status_code == 200, answer.content
    order = answer.json()
    legs = legs_of(order)
    assert (order["order_class"], order["status"], order["type"]) == ("bracket", "accepted", "limit")
    assert {name: leg["status"] for name, leg in legs.items()} == {"limit": "held", "stop_limit": "held"}
    assert (legs["limit"]["limit_price"], legs["limit"]["side"], legs["limit"]["qty"]) == (
        "110",
        "sell",
        "10",
    )
    assert (legs["stop_limit"]["stop_price"], legs["stop_limit"]["limit_price"]) == ("95", "94")
    assert {leg["order_class"] for leg in order["legs"]} == {"bracket"}
    assert {leg["legs"] for leg in order["legs"]} == {None}
    flat = ada.get("/v2/orders").json()
    assert {one["id"] for one in flat} == {order["id"], *(leg["id"] for leg in order["legs"])}
    assert {one["legs"] for one in flat} == {None}
    (nested,) = ada.get("/v2/orders", {"nested": "true"}).json()
    assert nested == order
    assert read(ada, order, nested="True") == order
    assert read(ada, order)["legs"] is None


def test_a_bracket_s_legs_wait_for_the_whole_entry_and_one_fill_ends_the_other(
    ada: Api, grace: Api, exchange: Exchange
) -> None:
    order = ada.order(**BRACKET).json()
    legs = legs_of(order)
    grace.order(side="sell", qty=4, limit_price="100")
    exchange.run()
    assert read(ada, legs["limit"])["status"] == "held"
    grace.order(side="sell", qty=6, limit_price="100")
    exchange.run()
    assert read(ada, order)["status"] == "filled"
    assert read(ada, legs["limit"])["status"] == "new"
    assert read(ada, legs["stop_limit"])["status"] == "held"
    assert ada.get("/v2/positions/AAPL").json()["qty_available"] == "100"
    grace.order(qty=10, limit_price="110")
    exchange.run()
    assert read(ada, legs["limit"])["status"] == "filled"
    assert read(ada, legs["stop_limit"])["status"] == "canceled"


def test_cancelling_a_leg_or_its_parent_ends_the_group(ada: Api, exchange: Exchange) -> None:
    for which in ("parent", "leg"):
        order = ada.order(**BRACKET).json()
        exchange.run()
        target = order if which == "parent" else legs_of(order)["stop_limit"]
        assert ada.delete(f"/v2/orders/{target['id']}").status_code == 204
        exchange.run()
        members = [order, *order["legs"]]
        assert [read(ada, one)["status"] for one in members] == ["canceled"] * 3
    assert ada.get("/v2/account").json()["buying_power"] == "10000"


@pytest.mark.parametrize("limit_price", [None, "110"])
def test_an_exit_pair_holds_the_shares_once_and_its_stop_replaces_its_limit(
    ada: Api, grace: Api, exchange: Exchange, limit_price: str | None
) -> None:
    pair = ada.order(
        order_class="oco",
        side="sell",
        qty=99,
        limit_price=limit_price,
        take_profit={"limit_price": "110"},
        stop_loss={"stop_price": "95"},
    )
    assert pair.status_code == 200, pair.content
    order = pair.json()
    (loss,) = order["legs"]
    assert (order["order_class"], order["limit_price"], loss["type"], loss["status"]) == (
        "oco",
        "110",
        "stop",
        "held",
    )
    exchange.run()
    assert read(ada, order)["status"] == "new"
    assert grace.order(qty=100, limit_price="95").status_code == 200
    ada.order(side="sell", qty=1, limit_price="95")
    exchange.run()
    done = read(ada, loss)
    assert (done["status"], done["filled_qty"]) == ("filled", "99")
    assert read(ada, order)["status"] == "canceled"


def test_one_exit_follows_an_entry(ada: Api, grace: Api, exchange: Exchange) -> None:
    order = ada.order(order_class="oto", limit_price="100", stop_loss={"stop_price": 95}).json()
    (loss,) = order["legs"]
    assert (order["order_class"], loss["status"], loss["stop_price"]) == ("oto", "held", "95")
    grace.order(side="sell", qty=1, limit_price="100")
    exchange.run()
    assert read(ada, loss)["status"] == "new"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"take_profit": None}, 42210000, "bracket orders require take_profit.limit_price"),
        ({"stop_loss": None}, 42210000, "bracket orders require stop_loss.stop_price"),
        ({"stop_loss": {"limit_price": "94"}}, 42210000, "stop_loss.stop_price"),
        ({"side": "sell"}, 42210000, "bracket orders must be entry orders"),
        ({"order_class": "oco", "limit_price": None}, 42210000, "oco orders must be exit orders"),
        ({"order_class": "oto"}, 42210000, "oto orders require exactly one"),
        ({"type": "stop", "stop_price": "105"}, 40010001, "bracket orders must be market or limit orders"),
        ({"time_in_force": "ioc"}, 40010001, "bracket orders must be day or gtc orders"),
        ({"stop_loss": {"stop_price": "100"}}, 42210000, "base_price - 0.01"),
        ({"take_profit": {"limit_price": "99"}}, 42210000, "take_profit.limit_price"),
        ({"stop_loss": {"stop_price": "95.005"}}, 42210000, "move in steps"),
    ],
    ids=str,
)
def test_a_refusal_of_a_group_has_the_code_and_the_words(
    ada: Api, change: dict[str, Any], code: int, words: str
) -> None:
    answer = ada.order(**{**BRACKET, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.content
    assert words in answer.json()["message"]
    assert ada.get("/v2/orders", {"status": "all"}).json() == []


def test_a_leg_that_waits_is_repriced(ada: Api, exchange: Exchange) -> None:
    order = ada.order(**BRACKET).json()
    exchange.run()
    loss = legs_of(order)["stop_limit"]
    answer = ada.patch(f"/v2/orders/{loss['id']}", {"stop_price": "96"})
    assert answer.status_code == 200, answer.content
    exchange.run()
    new = read(ada, answer.json())
    assert (new["status"], new["stop_price"], new["replaces"]) == ("held", "96", loss["id"])
    (nested,) = ada.get("/v2/orders", {"nested": "true"}).json()
    assert new["id"] in {leg["id"] for leg in nested["legs"]}


def test_cancel_all_reaches_every_order_of_a_group(ada: Api, exchange: Exchange) -> None:
    order = ada.order(**BRACKET).json()
    exchange.run()
    answer = ada.delete("/v2/orders")
    assert {item["status"] for item in answer.json()} == {200}
    assert len(answer.json()) == 3
    exchange.run()
    assert ada.get("/v2/orders").json() == []
    assert read(ada, order)["status"] == "canceled"
