"""The OpenAPI description is public, and every real answer is what it says."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker

from apps.api.urls import urlpatterns
from apps.marketdata.candles import Bar, Tick
from apps.marketdata.keyed import Quote
from apps.marketdata.quotes_recorder import quotes_write
from apps.marketdata.services import bars_import, ticks_append
from apps.primitives.clock import utc_now
from tests.api.conftest import Api
from tests.support.matching import Exchange


@pytest.fixture
def schema(market: None) -> dict[str, Any]:
    answer = Client().get("/api/schema/")
    assert answer.status_code == 200
    return answer.json()


def _check(schema: dict[str, Any], method: str, path: str, answer: Any) -> None:
    described = schema["paths"][path][method]["responses"][str(answer.status_code)]
    if "content" not in described:
        assert not answer.content
        return
    shape = described["content"]["application/json"]["schema"]
    validator = Draft202012Validator(
        {**_nullable(shape), "components": _nullable(schema["components"])}, format_checker=FormatChecker()
    )
    validator.validate(answer.json())


def _nullable(shape: Any) -> Any:
    """OpenAPI 3.0 writes ``nullable``, JSON Schema a second type; unknown keys are forbidden here."""
    if isinstance(shape, list):
        return [_nullable(part) for part in shape]
    if not isinstance(shape, dict):
        return shape
    found = {name: _nullable(part) for name, part in shape.items() if name != "nullable"}
    if shape.get("nullable") and "type" in shape:
        found["type"] = [shape["type"], "null"]
    if "properties" in found:
        found["additionalProperties"] = False
    return found


def test_every_operation_answers_as_described(
    schema: dict[str, Any], ada: Api, grace: Api, exchange: Exchange
) -> None:
    grace.order(side="sell", qty=10, limit_price="100.00")
    order = ada.order(qty=4, limit_price="100.00")
    _check(schema, "post", "/v2/orders", order)
    exchange.run()
    order_id, client_order_id = order.json()["id"], order.json()["client_order_id"]
    _check(schema, "get", "/v2/orders/{order_id}", ada.get(f"/v2/orders/{order_id}"))
    _check(schema, "get", "/v2/orders", ada.get("/v2/orders", {"status": "all"}))
    by_client_id = ada.get("/v2/orders:by_client_order_id", {"client_order_id": client_order_id})
    _check(schema, "get", "/v2/orders:by_client_order_id", by_client_id)
    resting = ada.order().json()["id"]
    exchange.run()
    _check(schema, "patch", "/v2/orders/{order_id}", ada.patch(f"/v2/orders/{resting}", {"qty": 2}))
    _check(schema, "delete", "/v2/orders/{order_id}", ada.delete(f"/v2/orders/{ada.order().json()['id']}"))
    _check(schema, "delete", "/v2/orders", ada.delete("/v2/orders"))
    group = ada.order(
        order_class="bracket", take_profit={"limit_price": "110"}, stop_loss={"stop_price": "95"}
    )
    _check(schema, "post", "/v2/orders", group)
    _check(schema, "get", "/v2/orders", ada.get("/v2/orders", {"nested": "true"}))
    for path in ("/v2/account", "/v2/account/configurations", "/v2/positions", "/v2/assets", "/v2/clock"):
        _check(schema, "get", path, ada.get(path))
    _check(schema, "get", "/v2/calendar", ada.get("/v2/calendar", {"start": "2026-11-23"}))
    _check(schema, "get", "/v2/positions/{symbol_or_asset_id}", ada.get("/v2/positions/AAPL"))
    _check(schema, "get", "/v2/assets/{symbol_or_asset_id}", ada.get("/v2/assets/AAPL"))
    one = ada.delete("/v2/positions/AAPL", "?qty=1")
    _check(schema, "delete", "/v2/positions/{symbol_or_asset_id}", one)
    _check(schema, "delete", "/v2/positions", ada.delete("/v2/positions"))


def test_market_data_answers_as_described(schema: dict[str, Any], ada: Api) -> None:
    now = utc_now()
    ticks_append([Tick(1, now, "AAPL", Decimal("100.5"), 3)])
    quotes_write([Quote(now, "AAPL", Decimal("100"), 1, None, 0)])
    bars_import("MSFT", "1m", [Bar(now.replace(second=0, microsecond=0), *[Decimal(50)] * 4, 9)])
    for path, query in (
        ("bars", {"timeframe": "1Min"}),
        ("trades", {}),
        ("quotes", {}),
        ("auctions", {}),
        ("bars/latest", {}),
        ("trades/latest", {}),
        ("quotes/latest", {}),
    ):
        many = {**query, "symbols": "AAPL,MSFT"}
        _check(schema, "get", f"/v2/stocks/{path}", ada.get(f"/v2/stocks/{path}", many))
        _check(schema, "get", f"/v2/stocks/{{symbol}}/{path}", ada.get(f"/v2/stocks/AAPL/{path}", query))
    both = {"symbols": "AAPL,MSFT"}
    _check(schema, "get", "/v2/stocks/snapshots", ada.get("/v2/stocks/snapshots", both))
    _check(schema, "get", "/v2/stocks/{symbol}/snapshot", ada.get("/v2/stocks/AAPL/snapshot"))
    _check(schema, "get", "/v2/stocks/meta/exchanges", ada.get("/v2/stocks/meta/exchanges"))
    conditions = ada.get("/v2/stocks/meta/conditions/trade")
    _check(schema, "get", "/v2/stocks/meta/conditions/{ticktype}", conditions)
    for path in (
        "/v1beta1/screener/stocks/most-actives",
        "/v1beta1/screener/stocks/movers",
        "/v1beta1/news",
        "/v1/corporate-actions",
    ):
        _check(schema, "get", path, ada.get(path))


def test_every_published_route_is_described(schema: dict[str, Any]) -> None:
    routes = {str(one.pattern) for one in urlpatterns} - {"api/schema", "api/schema/"}
    assert {re.sub(r"<str:(\w+)>", r"{\1}", f"/{route}") for route in routes} == set(schema["paths"])


def test_both_ways_to_present_a_key_are_described(schema: dict[str, Any]) -> None:
    names = {one.get("name") for one in schema["components"]["securitySchemes"].values()}
    assert {"APCA-API-KEY-ID", "APCA-API-SECRET-KEY"} <= names
