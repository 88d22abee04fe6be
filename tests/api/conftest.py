"""A caller with a key: one line for one request."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.test import Client

from apps.access.services import api_key_issue
from apps.events.facts import SYSTEM
from tests.support.builders import Trader, trader_open


class Api:
    """A trader who speaks the published protocol."""

    def __init__(self, trader: Trader) -> None:
        self.trader = trader
        self.key_id, self.secret = api_key_issue(account_id=trader.account_id, origin=SYSTEM)
        self.client = Client(raise_request_exception=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": self.secret}

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return self.client.get(path, query, headers=self.headers)

    def delete(self, path: str, query: str = "") -> Any:
        return self.client.delete(path + query, headers=self.headers)

    def post(self, path: str, body: Any) -> Any:
        """Send a body: a dict is written as JSON, a string goes out as it is."""
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.post(path, text, content_type="application/json", headers=self.headers)

    def patch(self, path: str, body: Any) -> Any:
        return self.client.patch(
            path, json.dumps(body), content_type="application/json", headers=self.headers
        )

    def order(self, **changes: Any) -> Any:
        """Submit a limit order to buy one share at 99.00, but for what is changed."""
        body = {
            "symbol": "AAPL",
            "qty": "1",
            "side": "buy",
            "type": "limit",
            "time_in_force": "day",
            "limit_price": "99.00",
        }
        given = {name: value for name, value in {**body, **changes}.items() if value is not None}
        return self.post("/v2/orders", given)


@pytest.fixture
def caller(market: None) -> Callable[..., Api]:
    """Open a trader with a key: ``caller(cash="1000.00", shares={"AAPL": 10})``."""
    return lambda **funds: Api(trader_open(**funds))


@pytest.fixture
def ada(caller: Callable[..., Api]) -> Api:
    return caller(cash="10000.00", shares={"AAPL": 100})


@pytest.fixture
def grace(caller: Callable[..., Api]) -> Api:
    return caller(cash="10000.00", shares={"AAPL": 100, "MSFT": 40})
