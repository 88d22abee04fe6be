"""The preview tells what entry would do, and writes nothing."""

from decimal import Decimal
from typing import Any

import pytest

from apps.events.models import Event
from apps.marketdata.quotes import AuctionView, BookView, StatusView
from apps.orders.intents import intent_make
from apps.orders.models import LiveOrder
from apps.orders.services.preview import OrderPreview, order_preview
from apps.primitives.errors import NotFound
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange


def preview(trader: Trader, side: str, quantity: int, price: str | None = None, **more: Any) -> OrderPreview:
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


def test_preview_of_a_stop_shows_where_it_triggers_and_its_worst_price(market: None) -> None:
    ada = trader_open(cash="2000.00", shares={"AAPL": 10})
    shown = preview(ada, "buy", 10, order_type="stop", stop_price="105.00")
    assert (shown.stop_price, shown.worst_price) == (Decimal("105.0000"), Decimal("115.50"))
    assert (shown.estimated_cost, shown.max_quantity) == (Decimal("1050.00"), 17)
    assert shown.hint == "It waits outside the book until the price rises to 105."
    trailing = preview(ada, "sell", 10, order_type="trail", trail_percent="5")
    assert (trailing.stop_price, trailing.worst_price) == (Decimal("95.0000"), Decimal("85.50"))
    limited = preview(ada, "sell", 10, "94.50", order_type="stop_limit", stop_price="95.00")
    assert (limited.stop_price, limited.worst_price) == (Decimal("95.0000"), None)


def test_preview_of_a_group_refuses_its_exits_as_entry_does(market: None) -> None:
    ada = trader_open(cash="2000.00")
    exits = {"take_profit": {"limit_price": "110.00"}, "stop_loss": {"stop_price": "100.00"}}
    shown = preview(ada, "buy", 10, "100.00", order_class="bracket", **exits)
    assert shown.refusal is not None
    assert (shown.refusal.reason, shown.refusal.field) == ("LEG_PRICE", "stop_loss.stop_price")


BANDS = (Decimal("95.0000"), Decimal("105.0000"))
HALTED = StatusView("HALTED", "OPEN", "", None, None, AuctionView(Decimal("101.5000"), 30, 0))


def standing(mode: str = "OPEN", phase: str = "CONTINUOUS") -> StatusView:
    return StatusView(phase, mode, "", None, BANDS, None)


@pytest.mark.parametrize(
    ("status", "side", "price", "more", "hint"),
    [
        (HALTED, "buy", "102.00", {}, "waits for the auction, which would now trade at 101.5."),
        (
            standing(phase="PAUSED"),
            "buy",
            "99.00",
            {},
            "Trading is paused: this order waits for the auction.",
        ),
        (HALTED, "buy", None, {}, "an order that must trade at once would be rejected."),
        (HALTED, "buy", "102.00", {"time_in_force": "ioc"}, "must trade at once would be rejected."),
        (standing("REDUCE_ONLY"), "buy", "102.00", {}, "reduce a position right now: this order would be"),
        (standing("REDUCE_ONLY"), "sell", "99.00", {}, "the order can fill at once."),
        (standing("CANCEL_ONLY"), "sell", "99.00", {}, "takes only cancellations right now"),
        (standing(), "buy", "106.00", {}, "above the upper price band of 105: this order would be rejected."),
        (standing(), "sell", "94.00", {}, "below the lower price band of 95: this order would be rejected."),
        (standing(), "buy", "102.00", {}, "the order can fill at once."),
    ],
)
def test_hint_says_what_the_book_would_do_with_the_order_now(
    market: None,
    monkeypatch: pytest.MonkeyPatch,
    status: StatusView,
    side: str,
    price: str | None,
    more: Any,
    hint: str,
) -> None:
    book = BookView(((Decimal("100.0000"), 5),), ((Decimal("101.0000"), 5),), status)
    monkeypatch.setattr("apps.orders.services.preview.book_latest", lambda symbol: book)
    ada = trader_open(cash="5000.00", shares={"AAPL": 10})
    assert hint in preview(ada, side, 2, price, **more).hint
