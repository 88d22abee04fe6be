"""The published order: every type and class in the words that clients know."""

from uuid import UUID

from apps.orders.wire import order_wire
from tests.support.builders import trader_open

ASSET = UUID(int=7)


def test_plain_order_has_no_class_no_legs_and_no_trigger(market: None) -> None:
    told = order_wire(trader_open(cash="1000.00").buy(1, "100.00"), ASSET)
    assert (told["type"], told["order_class"], told["limit_price"]) == ("limit", "", "100")
    assert not any(told[name] for name in ("legs", "stop_price", "trail_price", "trail_percent", "hwm"))


def test_trailing_stop_tells_its_mark_and_its_present_stop(market: None) -> None:
    told = order_wire(trader_open(shares={"AAPL": 1}).trail("sell", 1, trail_percent="2.5"), ASSET)
    assert (told["type"], told["order_type"]) == ("trailing_stop", "trailing_stop")
    assert (told["trail_percent"], told["trail_price"]) == ("2.5", None)
    assert (told["hwm"], told["stop_price"], told["limit_price"]) == ("100", "97.5", None)


def test_bracket_carries_its_legs(market: None) -> None:
    ada = trader_open(cash="1000.00")
    bracket = ada.group("bracket", 5, "104.00", "95.00", stop_limit="94.00", price="100.00")
    told = order_wire(bracket, ASSET, [order_wire(leg, ASSET) for leg in ada.legs(bracket)])
    assert told["order_class"] == "bracket"
    profit, loss = told["legs"]
    assert (profit["type"], profit["limit_price"], profit["status"]) == ("limit", "104", "held")
    assert (loss["type"], loss["stop_price"], loss["limit_price"]) == ("stop_limit", "95", "94")
    assert {leg["order_class"] for leg in told["legs"]} == {"bracket"}
    assert {leg["position_intent"] for leg in told["legs"]} == {"sell_to_close"}
