"""Who may see what: signed out, no account, another's order, and the browser's own guards."""

from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests.support.builders import Trader

PAGES = ["/", "/trade/AAPL", "/portfolio", "/orders", "/activity"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_sends_the_signed_out_to_the_login(market: None, page: str) -> None:
    response = Client().get(page)
    assert response.status_code == 302
    assert response["Location"] == f"/login?next={page}"


def test_a_fragment_tells_the_signed_out_instead_of_showing_a_login(market: None) -> None:
    response = Client().get("/partials/positions", headers={"HX-Request": "true"})
    assert response.status_code == 401
    assert response["HX-Trigger"] == "session-expired"
    assert response.json()["error"]["reason"] == "signed_out"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_for_a_trader(
    page: str, trader: Callable[..., Trader], signed_in: Callable[[Trader], Client]
) -> None:
    response = signed_in(trader(cash="1000.00", shares={"AAPL": 10})).get(page)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert "Simulated" in response.content.decode()


def test_a_user_without_an_account_is_told_so(market: None) -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_user("clerk", password="-", is_staff=True))
    response = client.get("/")
    assert response.status_code == 403
    assert "No trading account" in response.content.decode()


def test_an_unknown_symbol_is_not_found(
    trader: Callable[..., Trader], signed_in: Callable[[Trader], Client]
) -> None:
    client = signed_in(trader(cash="1.00"))
    assert client.get("/trade/NOPE").status_code == 404
    assert client.get("/chart/NOPE").status_code == 404


def test_nobody_sees_or_cancels_anothers_order(
    trader: Callable[..., Trader], signed_in: Callable[[Trader], Client]
) -> None:
    owner, stranger = trader(cash="1000.00"), trader(cash="1000.00")
    order = owner.buy(5, "90.00")
    client = signed_in(stranger)
    assert client.get(f"/orders/{order.public_id}").status_code == 404
    assert client.get(f"/orders/{order.order_id}").status_code == 404
    assert client.get(f"/orders/by-client-id/{order.client_order_id}").status_code == 404
    assert client.post(f"/orders/{order.public_id}/cancel").status_code == 404
    assert client.post(f"/orders/{order.public_id}/replace", {"quantity": "1"}).status_code == 404
    assert signed_in(owner).get(f"/orders/{order.public_id}").json()["order"]["status"] == "PENDING"


def test_an_order_without_the_csrf_token_is_refused(trader: Callable[..., Trader]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.get(pk=trader(cash="1000.00").user_id))
    assert client.post("/orders", {"symbol": "AAPL"}).status_code == 403


def test_the_content_policy_allows_no_inline_code(
    trader: Callable[..., Trader], signed_in: Callable[[Trader], Client]
) -> None:
    response = signed_in(trader(cash="1.00")).get("/")
    policy, page = response["Content-Security-Policy"], response.content.decode()
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert " style=" not in page
    assert "<style" not in page
    assert "<script>" not in page
    assert "onclick=" not in page
