"""The preview tells what entry would do, and writes nothing."""

from decimal import Decimal

import pytest

from apps.events.models import Event
from apps.orders.intents import intent_make
from apps.orders.models import LiveOrder
from apps.orders.services.preview import OrderPreview, order_preview
from apps.primitives.errors import NotFound
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange


def preview(trader: Trader, side: str, quantity: int, price: str | None = None, **more: str) -> OrderPreview:
    kind = "limit" if price else "market"
    asked = {"symbol": "AAPL", "side": side, "order_type": kind, "quantity": quantity, "price": price, **more}
    return order_preview(intent_make(account_id=trader.account_id, **asked))


def test_preview_shows_cost_buying_power_and_position_after(exchange: Exchange) -> None:
    ada = trader_open(cash="1000.00", shares={"AAPL": 3})
    shown = preview(ada, "buy", 5, "100.00")
    assert (shown.total, shown.buying_power_before, shown.buying_power_after) == (
        Decimal("500.00"),
        Decimal("1000.00"),
        Decimal("500.00"),
    )
    assert (shown.position_before, shown.position_after, shown.max_quantity) == (3, 8, 10)
    assert shown.refusal is None
    assert not LiveOrder.objects.exists()
    assert not Event.objects.filter(event_type="ORDER_PLACED").exists()


def test_preview_of_a_market_buy_walks_the_book(exchange: Exchange) -> None:
    ada, grace = trader_open(cash="5000.00"), trader_open(shares={"AAPL": 100})
    grace.sell(5, "100.00")
    grace.sell(5, "101.00")
    exchange.run()
    exchange.runner.ports.wait(0.06)
    shown = preview(ada, "buy", 8)
    assert shown.best_ask == Decimal("100.0000")
    assert shown.estimated_cost == Decimal("803.00")
    assert shown.max_quantity == 45, "a market buy must afford its collar of 110.00"


def test_preview_gives_entrys_own_refusal(exchange: Exchange) -> None:
    ada = trader_open(cash="100.00")
    shown = preview(ada, "buy", 5, "100.00")
    assert shown.refusal is not None
    assert shown.refusal.reason == "INSUFFICIENT_BP"
    assert shown.max_quantity == 1


def test_preview_of_an_unknown_symbol_is_not_found(market: None) -> None:
    with pytest.raises(NotFound):
        preview(trader_open(), "buy", 5, "100.00", symbol="NOPE")
