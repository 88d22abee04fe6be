"""A bad order is refused, nothing of it is written, and the answer says what was wrong."""

from typing import Any

import pytest

from apps.accounts.models import AccountStatus
from apps.accounts.services import account_status_change
from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.instruments.models import Instrument
from apps.matching.models import OrderCommand
from apps.orders.models import LiveOrder, Order, OrderClientKey
from tests.api.conftest import Api

PARAMETER, UNPROCESSABLE, REFUSED, MALFORMED = 40010001, 42210000, 40310000, 40010000

BAD_FIELDS: list[tuple[dict[str, Any], int, int]] = [
    ({"symbol": "NOPE"}, 422, PARAMETER),
    ({"symbol": None}, 422, PARAMETER),
    ({"symbol": ""}, 422, PARAMETER),
    ({"symbol": 7}, 422, PARAMETER),
    ({"symbol": ["AAPL"]}, 422, PARAMETER),
    ({"symbol": "x" * 5_000}, 422, PARAMETER),
    ({"symbol": "AAPL'; DROP TABLE orders; --"}, 422, PARAMETER),
    ({"symbol": "00000000-0000-8000-8400-c2e7abc67d55"}, 422, PARAMETER),
    ({"qty": None}, 422, PARAMETER),
    ({"qty": 0}, 422, PARAMETER),
    ({"qty": -1}, 422, PARAMETER),
    ({"qty": "-0"}, 422, PARAMETER),
    ({"qty": "NaN"}, 422, PARAMETER),
    ({"qty": "Infinity"}, 422, PARAMETER),
    ({"qty": "1e400"}, 422, PARAMETER),
    ({"qty": 10**12}, 422, PARAMETER),
    ({"qty": 0.5}, 422, UNPROCESSABLE),
    ({"qty": "1.000000001"}, 422, UNPROCESSABLE),
    ({"qty": True}, 422, PARAMETER),
    ({"qty": {}}, 422, PARAMETER),
    ({"qty": "one"}, 422, PARAMETER),
    ({"qty": "１"}, 422, PARAMETER),
    ({"qty": None, "notional": 100}, 422, UNPROCESSABLE),
    ({"notional": 100}, 422, UNPROCESSABLE),
    ({"side": None}, 422, PARAMETER),
    ({"side": "short"}, 422, PARAMETER),
    ({"side": {"a": 1}}, 422, PARAMETER),
    ({"type": None}, 422, PARAMETER),
    ({"type": "magic"}, 422, PARAMETER),
    ({"type": "stop"}, 422, PARAMETER),
    ({"type": "market"}, 422, PARAMETER),
    ({"time_in_force": None}, 422, PARAMETER),
    ({"time_in_force": "soon"}, 422, PARAMETER),
    ({"limit_price": None}, 422, PARAMETER),
    ({"limit_price": 0}, 422, PARAMETER),
    ({"limit_price": -1}, 422, PARAMETER),
    ({"limit_price": "NaN"}, 422, PARAMETER),
    ({"limit_price": "99.005"}, 422, UNPROCESSABLE),
    ({"limit_price": "99.00001"}, 422, PARAMETER),
    ({"limit_price": "1e30"}, 422, PARAMETER),
    ({"limit_price": "1e-30"}, 422, PARAMETER),
    ({"limit_price": [99]}, 422, PARAMETER),
    ({"limit_price": "150.00"}, 403, REFUSED),
    ({"stop_price": "98"}, 422, PARAMETER),
    ({"trail_percent": "1"}, 422, PARAMETER),
    ({"type": "trail", "trail_percent": "1"}, 422, PARAMETER),
    ({"type": "stop_limit"}, 422, PARAMETER),
    ({"type": "stop", "limit_price": None, "stop_price": "99"}, 422, UNPROCESSABLE),
    ({"type": "stop", "limit_price": None, "stop_price": "101.005"}, 422, UNPROCESSABLE),
    ({"type": "stop", "limit_price": None, "stop_price": "NaN"}, 422, PARAMETER),
    ({"type": "stop", "limit_price": None, "stop_price": "101", "time_in_force": "ioc"}, 422, PARAMETER),
    ({"type": "stop", "limit_price": None, "stop_price": "101", "qty": 1_000}, 403, REFUSED),
    ({"type": "trailing_stop", "limit_price": None}, 422, PARAMETER),
    (
        {"type": "trailing_stop", "limit_price": None, "trail_price": "1", "trail_percent": "1"},
        422,
        PARAMETER,
    ),
    ({"type": "trailing_stop", "limit_price": None, "trail_percent": "100"}, 422, PARAMETER),
    ({"type": "trailing_stop", "limit_price": None, "trail_percent": "0.00001"}, 422, PARAMETER),
    ({"type": "trailing_stop", "limit_price": None, "trail_price": "-1"}, 422, PARAMETER),
    ({"time_in_force": "opg"}, 422, UNPROCESSABLE),
    ({"time_in_force": "cls"}, 422, UNPROCESSABLE),
    ({"order_class": "bracket"}, 422, UNPROCESSABLE),
    ({"order_class": "mleg"}, 422, UNPROCESSABLE),
    ({"order_class": "pair"}, 422, PARAMETER),
    ({"order_class": ["oco"]}, 422, PARAMETER),
    ({"take_profit": {"limit_price": "120"}}, 422, UNPROCESSABLE),
    ({"order_class": "bracket", "take_profit": "120"}, 422, PARAMETER),
    ({"order_class": "bracket", "take_profit": {"limit_price": "120"}}, 422, UNPROCESSABLE),
    ({"order_class": "bracket", "take_profit": {"limit_price": "NaN"}}, 422, PARAMETER),
    (
        {
            "order_class": "bracket",
            "take_profit": {"limit_price": "98"},
            "stop_loss": {"stop_price": "97"},
        },
        422,
        UNPROCESSABLE,
    ),
    ({"order_class": "oco", "take_profit": {"limit_price": "99"}}, 422, UNPROCESSABLE),
    ({"legs": [{"symbol": "AAPL"}]}, 422, UNPROCESSABLE),
    ({"advanced_instructions": {"algorithm": "TWAP"}}, 422, UNPROCESSABLE),
    ({"extended_hours": True}, 422, UNPROCESSABLE),
    ({"position_intent": "buy_to_close"}, 422, PARAMETER),
    ({"position_intent": "sell_to_open", "side": "sell"}, 403, REFUSED),
    ({"client_order_id": "x" * 129}, 422, PARAMETER),
    ({"client_order_id": "a\nb"}, 422, PARAMETER),
    ({"client_order_id": 5}, 422, PARAMETER),
    ({"qty": 1_000}, 403, REFUSED),
    ({"side": "sell", "qty": 101}, 403, REFUSED),
    ({"side": "sell", "symbol": "MSFT", "limit_price": "50"}, 403, REFUSED),
]

BAD_BODIES = ["", "{", "[]", '"text"', "null", "7", '{"qty": NaN}', '{"qty":1,"qty":2}', "[" * 5_000]


def _rows() -> list[int]:
    return [model.objects.count() for model in (Order, LiveOrder, OrderClientKey, OrderCommand)]


def _is_plain_refusal(answer: Any, status: int, code: int) -> None:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert len(body["message"]) > 5
    assert "Traceback" not in body["message"]


@pytest.mark.parametrize(("change", "status", "code"), BAD_FIELDS, ids=lambda value: str(value)[:40])
def test_bad_order_is_refused_and_nothing_is_written(
    ada: Api, change: dict[str, Any], status: int, code: int
) -> None:
    _is_plain_refusal(ada.order(**change), status, code)
    assert _rows() == [0, 0, 0, 0]
    assert not Event.objects.filter(event_type="ORDER_PLACED").exists()
    assert ada.get("/v2/account").json()["buying_power"] == "10000"


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda value: value[:20] or "empty")
def test_bad_body_is_refused_and_nothing_is_written(ada: Api, body: str) -> None:
    answer = ada.post("/v2/orders", body)
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in (MALFORMED, PARAMETER)
    assert _rows() == [0, 0, 0, 0]


def test_reused_client_order_id_names_the_first_order(ada: Api) -> None:
    first = ada.order(client_order_id="once").json()
    answer = ada.order(client_order_id="once", qty=2)
    _is_plain_refusal(answer, 422, PARAMETER)
    assert answer.json()["message"] == "client_order_id must be unique"
    assert answer.json()["existing_order_id"] == first["id"]
    assert _rows() == [1, 1, 1, 1]


def test_refusals_give_the_figures_behind_them(ada: Api) -> None:
    money = ada.order(qty=1_000).json()
    assert (money["buying_power"], money["cost_basis"]) == ("10000.00", "99000.00")
    ada.order(side="sell", qty=60, limit_price="105")
    shares = ada.order(side="sell", qty=50, limit_price="105").json()
    assert (shares["available"], shares["existing_qty"], shares["held_for_orders"]) == ("40", "100", "60")
    assert shares["symbol"] == "AAPL"


def test_suspended_account_trades_nothing_but_may_cancel(ada: Api) -> None:
    order = ada.order().json()
    account_status_change(
        account_id=ada.trader.account_id, status=AccountStatus.SUSPENDED, reason="a test", origin=SYSTEM
    )
    _is_plain_refusal(ada.order(), 403, REFUSED)
    account = ada.get("/v2/account").json()
    assert (account["status"], account["trading_blocked"]) == ("ACTIVE", True)
    assert ada.delete(f"/v2/orders/{order['id']}").status_code == 204


def test_delisted_and_halted_shares_are_refused_with_the_reason(ada: Api) -> None:
    Instrument.objects.filter(symbol="AAPL").update(halted=True)
    _is_plain_refusal(ada.order(type="market", limit_price=None), 403, REFUSED)
    assert ada.order().status_code == 200
    Instrument.objects.filter(symbol="AAPL").update(tradable=False)
    _is_plain_refusal(ada.order(), 422, UNPROCESSABLE)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"qty": 0},
        {"qty": 1.5},
        {"limit_price": "NaN"},
        {"limit_price": "99.001"},
        {"time_in_force": "soon"},
        {"stop_price": "90"},
        {"trail": "2"},
        {"trail": "NaN"},
        {"qty": 10_000},
        {"client_order_id": "once"},
        {"client_order_id": "once", "qty": 2},
    ],
    ids=str,
)
def test_bad_change_of_an_order_is_refused_and_nothing_is_written(ada: Api, change: dict[str, Any]) -> None:
    order = ada.order(client_order_id="once").json()
    before = _rows()
    answer = ada.patch(f"/v2/orders/{order['id']}", change)
    assert answer.status_code in (403, 422), answer.content
    assert answer.json()["message"]
    assert _rows() == before
    assert ada.get(f"/v2/orders/{order['id']}").json() == order
