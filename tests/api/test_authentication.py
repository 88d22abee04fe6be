"""Who calls is proved by a key pair, and every refusal says which problem it is."""

import base64

import pytest
from django.test import Client

from apps.access.services import api_key_revoke
from apps.accounts.models import User
from apps.events.facts import SYSTEM
from tests.api.conftest import Api


def _basic(key_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key_id}:{secret}".encode()).decode()}


def test_key_headers_and_basic_both_open_the_door(ada: Api) -> None:
    assert Client().get("/v2/account", headers=ada.headers).status_code == 200
    assert Client().get("/v2/account", headers=_basic(ada.key_id, ada.secret)).status_code == 200


def test_without_or_with_bad_credentials_the_answer_is_401_as_json(ada: Api) -> None:
    bad: list[dict[str, str]] = [
        {},
        {"APCA-API-KEY-ID": ada.key_id},
        {"APCA-API-SECRET-KEY": ada.secret},
        {**ada.headers, "APCA-API-SECRET-KEY": "wrong"},
        {**ada.headers, "APCA-API-KEY-ID": "OBNOBODY"},
        {**ada.headers, "APCA-API-KEY-ID": "x" * 5_000},
        {**ada.headers, "APCA-API-KEY-ID": "a\0b"},
        {**ada.headers, "APCA-API-SECRET-KEY": "ü"},
        {"Authorization": "Bearer abc"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic"},
        _basic(ada.key_id, "wrong"),
    ]
    for headers in bad:
        answer = Client().get("/v2/account", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, 40110000), headers
        assert answer.json()["message"].startswith("request is not authorized")
        assert "Basic" not in answer["WWW-Authenticate"]


def test_revoked_key_and_inactive_user_are_refused(ada: Api, grace: Api) -> None:
    api_key_revoke(key_id=ada.key_id, origin=SYSTEM)
    assert ada.get("/v2/account").status_code == 401
    User.objects.filter(pk=grace.trader.user_id).update(is_active=False)
    assert grace.get("/v2/account").status_code == 401


@pytest.mark.parametrize("method", ["get", "post", "patch", "delete", "put"])
def test_no_method_passes_without_a_key(market: None, method: str) -> None:
    assert getattr(Client(), method)("/v2/orders").status_code == 401


def test_another_account_s_order_does_not_exist(ada: Api, grace: Api) -> None:
    order = ada.order(client_order_id="hers").json()
    assert grace.get(f"/v2/orders/{order['id']}").status_code == 404
    assert grace.delete(f"/v2/orders/{order['id']}").status_code == 404
    assert grace.patch(f"/v2/orders/{order['id']}", {"qty": 2}).status_code == 404
    assert grace.get("/v2/orders:by_client_order_id", {"client_order_id": "hers"}).status_code == 404
    assert grace.get("/v2/orders", {"status": "all"}).json() == []
    assert ada.get(f"/v2/orders/{order['id']}").json()["status"] == "accepted"
