"""Orders over the published protocol, from submission to the books."""

import json
from decimal import Decimal
from uuid import UUID

from apps.events.models import Event
from tests.api.conftest import Api
from tests.support.matching import Exchange


def test_submitted_order_is_rendered_field_by_field(ada: Api) -> None:
    answer = ada.order(client_order_id="my order +1", qty=3, limit_price=99.5)
    assert answer.status_code == 200
    order = answer.json()
    asset = ada.get("/v2/assets/AAPL").json()
    expected = {
        "client_order_id": "my order +1",
        "asset_id": asset["id"],
        "symbol": "AAPL",
        "asset_class": "us_equity",
        "qty": "3",
        "filled_qty": "0",
        "filled_avg_price": None,
        "notional": None,
        "order_class": "",
        "order_type": "limit",
        "type": "limit",
        "side": "buy",
        "time_in_force": "day",
        "limit_price": "99.5",
        "stop_price": None,
        "status": "accepted",
        "extended_hours": False,
        "legs": None,
        "filled_at": None,
        "canceled_at": None,
        "replaced_by": None,
        "replaces": None,
    }
    assert {name: order[name] for name in expected} == expected
    assert UUID(order["id"]).version == 8
    assert order["created_at"] == order["submitted_at"] == order["updated_at"]
    assert order["expires_at"] > order["created_at"]


def test_order_is_found_by_its_id_and_by_the_client_s(ada: Api) -> None:
    order = ada.order(client_order_id="a b/+c").json()
    assert ada.get(f"/v2/orders/{order['id']}", {"nested": "True"}).json() == order
    assert ada.get("/v2/orders:by_client_order_id", {"client_order_id": "a b/+c"}).json() == order


def test_whole_number_with_a_decimal_point_and_an_asset_id_are_read(ada: Api) -> None:
    asset_id = ada.get("/v2/assets/AAPL").json()["id"]
    body = f'{{"symbol":"{asset_id}","qty":2.0,"side":"buy","type":"market","time_in_force":"ioc"}}'
    order = ada.post("/v2/orders", body).json()
    assert (order["symbol"], order["qty"], order["type"], order["limit_price"]) == (
        "AAPL",
        "2",
        "market",
        None,
    )


def test_nulls_and_unknown_keys_of_published_clients_are_no_trouble(ada: Api) -> None:
    more = {"notional": None, "order_class": "simple", "extended_hours": False, "take_profit": None, "x": 1}
    body = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "limit", "time_in_force": "gtc"}
    assert ada.post("/v2/orders", {**body, "limit_price": 99, **more}).status_code == 200


def test_fill_reaches_order_positions_and_account(ada: Api, grace: Api, exchange: Exchange) -> None:
    sold = grace.order(side="sell", qty=10, limit_price="100.00").json()
    bought = ada.order(qty=4, type="market", limit_price=None).json()
    exchange.run()
    order = ada.get(f"/v2/orders/{bought['id']}").json()
    assert (order["status"], order["filled_qty"], order["filled_avg_price"]) == ("filled", "4", "100")
    assert order["filled_at"] is not None
    rest = grace.get(f"/v2/orders/{sold['id']}").json()
    assert (rest["status"], rest["filled_qty"], rest["filled_at"]) == ("partially_filled", "4", None)
    account = ada.get("/v2/account").json()
    assert (account["cash"], account["buying_power"]) == ("9600", "9600")
    position = grace.get("/v2/positions/AAPL").json()
    assert (position["qty"], position["qty_available"], position["avg_entry_price"]) == ("96", "90", "90")


def test_listing_filters_by_status_symbol_side_time_and_cursor(ada: Api, exchange: Exchange) -> None:
    orders = [ada.order(qty=n + 1, client_order_id=f"n{n}").json() for n in range(4)]
    ada.order(symbol="MSFT", limit_price="49.00")
    exchange.run()
    ada.delete(f"/v2/orders/{orders[0]['id']}")
    exchange.run()

    def ids(**query: object) -> list[str]:
        return [one["client_order_id"] for one in ada.get("/v2/orders", query).json()]

    assert ids(symbols="AAPL") == ["n3", "n2", "n1"]
    assert ids(symbols="aapl,IBM", direction="asc") == ["n1", "n2", "n3"]
    assert ids(status="closed") == ["n0"]
    assert ids(status="all", symbols="AAPL", limit=2) == ["n3", "n2"]
    assert ids(side="sell") == []
    assert ids(symbols="AAPL", after=orders[1]["created_at"]) == ["n3", "n2"]
    assert ids(symbols="AAPL", until=orders[2]["created_at"].replace("Z", "+00:00")) == ["n1"]
    assert ids(symbols="AAPL", status="all", before_order_id=orders[2]["id"]) == ["n1", "n0"]
    assert ids(symbols="AAPL", after_order_id=orders[2]["id"]) == ["n3"]
    assert ids(symbols="AAPL", after="1970-01-01", until="9999-01-01T00:00:00Z", status="all") == [
        "n3",
        "n2",
        "n1",
        "n0",
    ]
    assert ids(asset_class="crypto") == []


def test_listing_refuses_values_it_does_not_know(ada: Api) -> None:
    for query in (
        {"status": "nonsense"},
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "-1"},
        {"limit": "many"},
        {"direction": "up"},
        {"after": "yesterday"},
        {"side": "hold"},
        {"nested": "perhaps"},
        {"before_order_id": "7"},
        {"symbols": ",".join(["A"] * 300)},
        {"symbols": "A\0"},
    ):
        answer = ada.get("/v2/orders", query)
        assert (answer.status_code, answer.json()["code"]) == (422, 40010001), query


def test_cancel_is_204_without_a_body_and_shows_as_pending_until_it_is_done(
    ada: Api, exchange: Exchange
) -> None:
    order = ada.order().json()
    exchange.run()
    answer = ada.delete(f"/v2/orders/{order['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert ada.get(f"/v2/orders/{order['id']}").json()["status"] == "pending_cancel"
    exchange.run()
    done = ada.get(f"/v2/orders/{order['id']}").json()
    assert done["status"] == "canceled"
    assert done["canceled_at"]
    again = ada.delete(f"/v2/orders/{order['id']}")
    assert (again.status_code, again.json()["code"]) == (422, 42210000)


def test_cancel_all_answers_for_each_order(ada: Api, exchange: Exchange) -> None:
    orders = {ada.order(qty=n + 1).json()["id"] for n in range(3)}
    answer = ada.delete("/v2/orders")
    assert answer.status_code == 207
    assert {item["id"]: item["status"] for item in answer.json()} == dict.fromkeys(orders, 200)
    exchange.run()
    assert ada.get("/v2/orders").json() == []
    assert ada.delete("/v2/orders").json() == []


def test_replace_makes_a_new_order_that_points_back(ada: Api, exchange: Exchange) -> None:
    old = ada.order(qty=5).json()
    exchange.run()
    new = ada.patch(f"/v2/orders/{old['id']}", {"qty": 4, "limit_price": "98.50", "client_order_id": "new"})
    assert new.status_code == 200
    assert new.json()["replaces"] == old["id"] != new.json()["id"]
    assert ada.get(f"/v2/orders/{old['id']}").json()["status"] == "pending_replace"
    exchange.run()
    after = ada.get(f"/v2/orders/{new.json()['id']}").json()
    assert (after["status"], after["qty"], after["limit_price"]) == ("new", "4", "98.5")
    gone = ada.get(f"/v2/orders/{old['id']}").json()
    assert (gone["status"], gone["replaced_by"]) == ("replaced", after["id"])
    assert gone["replaced_at"]


def test_ids_that_are_none_are_422_and_unknown_ones_404(ada: Api) -> None:
    order = ada.order().json()
    unknown = str(UUID(int=UUID(order["id"]).int ^ 1))
    for path, status in (
        ("/v2/orders/7", 422),
        (f"/v2/orders/{unknown}", 404),
        ("/v2/orders/00000000-0000-0000-0000-000000000000", 404),
        (f"/v2/orders/{ada.get('/v2/account').json()['id']}", 404),
        ("/v2/orders:by_client_order_id", 422),
        ("/v2/orders:by_client_order_id?client_order_id=%00", 422),
    ):
        assert ada.get(path).status_code == status, path


def test_origin_of_a_request_is_kept_with_the_event(ada: Api) -> None:
    body = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "limit", "time_in_force": "day"}
    ada.client.post(
        "/v2/orders",
        json.dumps({**body, "limit_price": 99}),
        content_type="application/json",
        headers={**ada.headers, "User-Agent": "APCA-PY/0.44.0"},
    )
    event = Event.objects.get(event_type="ORDER_PLACED")
    assert event.metadata["ip_address"] == "127.0.0.1"
    assert event.metadata["user_agent"] == "APCA-PY/0.44.0"
    assert event.metadata["session_id"] == f"key:{ada.key_id}"
    assert Decimal(str(event.data["price"])) == 99
