"""Positions: read at the last price, closed at the market."""

import pytest

from tests.api.conftest import Api
from tests.support.matching import Exchange


def test_position_is_valued_at_the_last_price(ada: Api, grace: Api, exchange: Exchange) -> None:
    grace.order(side="sell", qty=10, limit_price="102.00")
    ada.order(qty=10, limit_price="102.00")
    exchange.run()
    position = ada.get("/v2/positions/AAPL").json()
    expected = {
        "symbol": "AAPL",
        "exchange": "NASDAQ",
        "asset_class": "us_equity",
        "qty": "110",
        "qty_available": "110",
        "side": "long",
        "avg_entry_price": "91.0909",
        "market_value": "11220",
        "cost_basis": "10020",
        "unrealized_pl": "1200",
        "unrealized_plpc": "0.11976",
        "current_price": "102",
        "lastday_price": "100",
        "change_today": "0.02",
    }
    assert {name: position[name] for name in expected} == expected
    by_id = ada.get(f"/v2/positions/{position['asset_id']}").json()
    assert by_id == position
    assert ada.get("/v2/positions").json() == [position]


@pytest.mark.parametrize("name", ["MSFT", "NOPE", "x" * 300, "00000000-0000-8000-8400-c2e7abc67d55", "%00"])
def test_position_that_does_not_exist_is_404(ada: Api, name: str) -> None:
    for answer in (ada.get(f"/v2/positions/{name}"), ada.delete(f"/v2/positions/{name}")):
        assert answer.status_code == (422 if name == "%00" else 404)


def test_close_sells_all_a_quantity_or_a_percentage(ada: Api) -> None:
    assert ada.delete("/v2/positions/AAPL", "?qty=10").json()["qty"] == "10"
    assert ada.delete("/v2/positions/AAPL", "?percentage=33.333").json()["qty"] == "33"
    held = ada.delete("/v2/positions/AAPL")
    assert (held.status_code, held.json()["held_for_orders"]) == (403, "43")
    rest = ada.delete("/v2/positions/AAPL", "?qty=57").json()
    assert (rest["side"], rest["type"], rest["position_intent"]) == ("sell", "market", "sell_to_close")


@pytest.mark.parametrize(
    "query",
    [
        "?qty=1&percentage=1",
        "?qty=0",
        "?qty=1.5",
        "?percentage=0",
        "?percentage=101",
        "?percentage=NaN",
        "?percentage=0.5",
        "?percentage=1.0000000001",
    ],
)
def test_bad_close_is_refused(ada: Api, query: str) -> None:
    answer = ada.delete("/v2/positions/AAPL", query)
    assert answer.status_code == 422
    assert ada.get("/v2/orders").json() == []


def test_close_all_says_for_each_position_what_became_of_it(grace: Api) -> None:
    grace.order(symbol="MSFT", side="sell", qty=40, limit_price="51")
    answer = grace.delete("/v2/positions", "?cancel_orders=False")
    assert answer.status_code == 207
    items = {item["symbol"]: item for item in answer.json()}
    assert items["AAPL"]["status"] == 200
    assert (items["AAPL"]["body"]["side"], items["AAPL"]["body"]["qty"]) == ("sell", "100")
    assert items["MSFT"]["status"] == 403
    assert items["MSFT"]["body"]["held_for_orders"] == "40"
