"""The road of an order through the pages: preview, review, send, replace, cancel."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.events.facts import SYSTEM
from apps.operations.services.busting import trade_bust
from apps.trades.models import Trade
from tests.support.builders import Trader
from tests.support.matching import Exchange

TICKET = {
    "symbol": "AAPL",
    "side": "BUY",
    "order_type": "LIMIT",
    "time_in_force": "DAY",
    "quantity": "5",
    "limit_price": "99.50",
}
SignIn = Callable[[Trader], Client]


def hidden_fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))


def reviewed(client: Client, **changes: str) -> dict[str, str]:
    response = client.post("/orders/review", {**TICKET, **changes})
    assert response.status_code == 200, response.content
    return hidden_fields(response.content.decode())


def test_a_preview_shows_what_the_order_costs_and_leaves(
    trader: Callable[..., Trader], signed_in: SignIn
) -> None:
    page = signed_in(trader(cash="1000.00")).post("/orders/preview", TICKET).content.decode()
    assert "497.50" in page
    assert "502.50" in page
    assert "Max 10" in page


def test_a_preview_of_a_blank_field_asks_for_it_and_shows_no_figures(
    trader: Callable[..., Trader], signed_in: SignIn
) -> None:
    response = signed_in(trader(cash="1000.00")).post("/orders/preview", {**TICKET, "quantity": ""})
    page = response.content.decode()
    assert response.status_code == 200
    assert "Enter a quantity." in page
    assert "refusal" not in page


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"quantity": "1.5"}, "quantity"),
        ({"quantity": "NaN"}, "quantity"),
        ({"limit_price": "1,234"}, "limit_price"),
        ({"limit_price": "-1"}, "limit_price"),
        ({"symbol": "NOPE"}, ""),
        ({"symbol": "A" * 500}, "symbol"),
        ({"side": "BOTH"}, "side"),
        ({"limit_price": "99.501"}, "limit_price"),
        ({"quantity": "11"}, ""),
    ],
)
def test_bad_input_is_named_before_it_is_reviewed(
    changes: dict[str, str], field: str, trader: Callable[..., Trader], signed_in: SignIn
) -> None:
    client = signed_in(trader(cash="1000.00"))
    preview = client.post("/orders/preview", {**TICKET, **changes}).content.decode()
    assert f'data-testid="refusal" data-field="{field}"' in preview
    assert client.post("/orders/review", {**TICKET, **changes}).status_code == 422


def test_a_review_says_the_side_in_words_and_what_is_left(
    trader: Callable[..., Trader], signed_in: SignIn
) -> None:
    page = signed_in(trader(cash="1000.00")).post("/orders/review", TICKET).content.decode()
    assert "Send buy order" in page
    assert "1,000.00 → 502.50" in page
    assert "0 → 5 shares" in page
    assert "Limit 99.50 · Day" in page


def test_the_reviewed_order_is_sent_and_found_by_its_client_id(
    trader: Callable[..., Trader], signed_in: SignIn
) -> None:
    client = signed_in(trader(cash="1000.00"))
    fields = reviewed(client)
    response = client.post("/orders", fields)
    assert response.status_code == 201
    sent = response.json()["order"]
    assert (sent["status"], sent["title"]) == ("PENDING", "Buy 5 AAPL: accepted")
    found = client.get(f"/orders/by-client-id/{fields['client_order_id']}")
    assert found.json()["order"]["order"] == sent["order"]


def test_the_same_review_sent_twice_is_one_order(trader: Callable[..., Trader], signed_in: SignIn) -> None:
    client = signed_in(trader(cash="1000.00"))
    fields = reviewed(client)
    first, second = client.post("/orders", fields), client.post("/orders", fields)
    assert first.json()["order"]["order"] == second.json()["order"]["order"]
    assert client.get("/partials/orders").content.decode().count("data-order=") == 1


def test_an_order_that_the_money_no_longer_covers_is_refused_with_the_figures(
    trader: Callable[..., Trader], signed_in: SignIn
) -> None:
    client = signed_in(trader(cash="600.00"))
    first, second = reviewed(client), reviewed(client)
    assert client.post("/orders", first).status_code == 201
    response = client.post("/orders", second)
    assert response.status_code == 403
    error = response.json()["error"]
    assert error["reason"] == "INSUFFICIENT_BP"
    assert "short by 395.00" in error["message"]


def test_a_market_buy_fills_and_shows_everywhere(
    trader: Callable[..., Trader], exchange: Exchange, signed_in: SignIn
) -> None:
    seller, buyer = trader(cash="0.00", shares={"AAPL": 20}), trader(cash="2000.00")
    seller.sell(20, "100.00")
    exchange.run()
    client = signed_in(buyer)
    sent = client.post("/orders", reviewed(client, order_type="MARKET", quantity="10", limit_price=""))
    exchange.run()
    notice: dict[str, Any] = client.get(f"/orders/{sent.json()['order']['order']}").json()["order"]
    assert (notice["tone"], notice["title"]) == ("success", "Bought 10 AAPL at 100.00")
    assert "1,000.00" in client.get("/partials/account").content.decode()
    assert 'data-testid="position-row-AAPL"' in client.get("/partials/positions").content.decode()
    assert "1,000.00" in client.get("/partials/fills").content.decode()
    assert "Filled" in client.get("/partials/history").content.decode()
    marks = client.get("/chart/AAPL/marks").json()
    assert [(fill["side"], fill["quantity"]) for fill in marks["fills"]] == [("BUY", 10)]


def test_a_working_order_is_replaced_and_then_cancelled(
    trader: Callable[..., Trader], exchange: Exchange, signed_in: SignIn
) -> None:
    buyer = trader(cash="1000.00")
    order = buyer.buy(5, "90.00")
    exchange.run()
    client = signed_in(buyer)
    assert 'value="90.00"' in client.get(f"/orders/{order.public_id}/edit").content.decode()
    asked = client.post(f"/orders/{order.public_id}/replace", {"quantity": "6", "limit_price": "91,50"})
    assert asked.status_code == 202
    exchange.run()
    page = client.get("/partials/orders").content.decode()
    assert "Limit 91.50" in page
    (replacement,) = re.findall(r'data-order="([0-9a-f-]{36})"', page)
    assert client.post(f"/orders/{replacement}/cancel").status_code == 202
    exchange.run()
    assert "No open orders" in client.get("/partials/orders").content.decode()
    assert "Cancelled on request." in client.get("/partials/history").content.decode()


def test_cancelling_a_filled_order_says_that_it_was_too_late(
    trader: Callable[..., Trader], exchange: Exchange, signed_in: SignIn
) -> None:
    seller, buyer = trader(cash="0.00", shares={"AAPL": 5}), trader(cash="1000.00")
    seller.sell(5, "100.00")
    exchange.run()
    order = buyer.buy(5, "100.00")
    exchange.run()
    response = signed_in(buyer).post(f"/orders/{order.public_id}/cancel")
    assert response.status_code == 409
    assert response.json()["error"]["reason"] == "TOO_LATE"


def test_an_ioc_order_that_found_nothing_is_neutral_not_red(
    trader: Callable[..., Trader], exchange: Exchange, signed_in: SignIn
) -> None:
    buyer = trader(cash="1000.00")
    order = buyer.buy(5, "90.00", time_in_force="ioc")
    exchange.run()
    notice = signed_in(buyer).get(f"/orders/{order.public_id}").json()["order"]
    assert (notice["tone"], notice["status"]) == ("notice", "CANCELLED")
    assert notice["text"].startswith("Nothing more was available")


STOP = {"order_type": "STOP", "side": "SELL", "stop_price": "95", "limit_price": ""}


def test_a_stop_is_reviewed_in_words_with_the_worst_it_can_get(
    trader: Callable[..., Trader], exchange: Exchange, signed_in: SignIn
) -> None:
    holder = trader(shares={"AAPL": 10})
    client = signed_in(holder)
    page = client.post("/orders/review", {**TICKET, **STOP}).content.decode()
    assert "If the price falls to 95.00, sell 5 at the market, no worse than " in page
    assert client.post("/orders", hidden_fields(page)).status_code == 201
    exchange.run()
    working = client.get("/partials/orders").content.decode()
    assert "Stop 95.00" in working
    assert "Waiting" in working
    (order,) = holder_orders(working)
    form = client.get(f"/orders/{order}/edit").content.decode()
    assert 'name="stop_price"' in form
    assert 'name="limit_price"' not in form
    asked = client.post(f"/orders/{order}/replace", {"stop_price": "94,50"})
    assert asked.status_code == 202, asked.content
    exchange.run()
    assert "Stop 94.50" in client.get("/partials/orders").content.decode()
    marks = client.get("/chart/AAPL/marks").json()["orders"]
    assert [(mark["price"], mark["stop"]) for mark in marks] == [("94.5000", True)]


def holder_orders(page: str) -> list[str]:
    return re.findall(r'data-order="([0-9a-f-]{36})"', page)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({**STOP, "stop_price": "101"}, "stop_price"),
        ({**STOP, "stop_price": "95.001"}, "stop_price"),
        ({**STOP, "stop_price": "1,234"}, "stop_price"),
        ({**STOP, "time_in_force": "IOC"}, "time_in_force"),
        ({"time_in_force": "OPG"}, "time_in_force"),
        ({"order_type": "TRAIL", "trail_kind": "PERCENT", "trail": "100"}, "trail"),
        ({"exits": "BOTH", "take_profit": "99", "stop_loss": "95"}, "take_profit"),
        ({"exits": "BOTH", "take_profit": "110", "stop_loss": "99.50"}, "stop_loss"),
        ({"exits": "STOP_LOSS", "stop_loss": "95", "time_in_force": "FOK"}, "time_in_force"),
        ({"exits": "STOP_LOSS", "stop_loss": "95", "side": "SELL", "limit_price": "95"}, "stop_loss"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_stop_or_an_exit_stands_beside_its_field(
    changes: dict[str, str], field: str, trader: Callable[..., Trader], signed_in: SignIn
) -> None:
    client = signed_in(trader(cash="1000.00", shares={"AAPL": 10}))
    preview = client.post("/orders/preview", {**TICKET, **changes}).content.decode()
    assert f'data-testid="refusal" data-field="{field}"' in preview
    assert client.post("/orders/review", {**TICKET, **changes}).status_code == 422


def test_a_preview_of_a_trail_says_where_its_stop_is_now(
    trader: Callable[..., Trader], signed_in: SignIn
) -> None:
    client = signed_in(trader(shares={"AAPL": 10}))
    trail = {"order_type": "TRAIL", "side": "SELL", "trail_kind": "PERCENT", "trail": "1.5"}
    page = client.post("/orders/preview", {**TICKET, **trail}).content.decode()
    assert "stop now 98.50" in page


def test_a_bracket_stands_in_the_blotter_as_one_group_and_ends_as_one(
    trader: Callable[..., Trader], exchange: Exchange, signed_in: SignIn
) -> None:
    client = signed_in(trader(cash="1000.00"))
    exits = {"exits": "BOTH", "take_profit": "110", "stop_loss": "95", "stop_loss_limit": "94.50"}
    assert client.post("/orders", reviewed(client, **exits)).status_code == 201
    exchange.run()
    page = client.get("/partials/orders").content.decode()
    entry, profit, loss = holder_orders(page)
    assert page.count('class="child"') == 2
    assert page.count("Waits for entry") == 4, "in its column, and under the terms for a phone"
    assert page.index("Take profit") < page.index("Stop-loss")
    assert "Stop 95.00, limit 94.50" in page
    assert client.post(f"/orders/{loss}/cancel").status_code == 202
    exchange.run()
    assert "No open orders" in client.get("/partials/orders").content.decode()
    assert "Another order of its group ended." in client.get("/partials/history").content.decode()


def test_auctions_are_offered_where_the_market_has_some(
    trader: Callable[..., Trader], signed_in: SignIn, settings: Any
) -> None:
    client = signed_in(trader(cash="1000.00"))
    assert "At the open" not in client.get("/trade/AAPL").content.decode()
    settings.MARKET_CALENDAR = "XNYS"
    page = client.get("/trade/AAPL").content.decode()
    assert "At the open" in page
    assert "At the close" in page


def test_a_busted_fill_says_so_and_is_no_mark_on_the_chart(
    trader: Callable[..., Trader], exchange: Exchange, signed_in: SignIn
) -> None:
    seller, buyer = trader(shares={"AAPL": 10}), trader(cash="5000.00")
    seller.sell(10, "100.00")
    buyer.buy(10, "100.00")
    exchange.run()
    client = signed_in(buyer)
    assert b"busted" not in client.get("/partials/fills").content
    assert len(client.get("/chart/AAPL/marks").json()["fills"]) == 1
    trade_bust(trade_id=Trade.objects.get().trade_id, reason="Price was an error", origin=SYSTEM)
    assert b"busted" in client.get("/partials/fills").content
    assert client.get("/chart/AAPL/marks").json()["fills"] == []
