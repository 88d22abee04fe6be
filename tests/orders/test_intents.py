"""Which raw values make an order, and which sentence names what is wrong with them."""

from decimal import Decimal
from typing import Any

import pytest

from apps.orders.intents import OrderIntent, StopLoss, intent_make
from apps.primitives.errors import Invalid
from apps.primitives.fix import OrderClass, OrderType

STOP = {"order_type": "stop", "stop_price": "95.00"}
EXITS = {"take_profit": {"limit_price": "110.00"}, "stop_loss": {"stop_price": "95.00"}}


def intent(**more: Any) -> OrderIntent:
    asked = {"symbol": "aapl", "side": "sell", "order_type": "limit", "quantity": "10", **more}
    return intent_make(account_id=1, **asked)


def test_every_type_is_read_with_its_own_prices() -> None:
    assert intent(price="100").price == Decimal("100.0000")
    assert intent(**STOP).stop_price == Decimal("95.0000")
    both = intent(order_type="stop_limit", stop_price="95.00", price="94.50")
    assert (both.stop_price, both.price) == (Decimal("95.0000"), Decimal("94.5000"))
    assert intent(order_type="trail", trail_price="1.50").trail_amount == Decimal("1.5000")
    assert intent(order_type="TRAIL", trail_percent="2.5").trail_percent == Decimal("2.5000")


REFUSED = [
    ({"order_type": "limit"}, "limit orders require a limit price"),
    ({"order_type": "market", "price": "100.00"}, "market orders take no limit price"),
    ({"order_type": "limit", "price": "100.00", "stop_price": "95.00"}, "limit orders take no stop price"),
    ({"order_type": "stop"}, "stop orders require a stop price"),
    ({**STOP, "price": "94.00"}, "stop orders take no limit price"),
    ({"order_type": "stop_limit", "stop_price": "95.00"}, "stop_limit orders require a limit price"),
    ({"order_type": "stop_limit", "price": "95.00"}, "stop_limit orders require a stop price"),
    ({"order_type": "trail"}, "exactly one of trail_price and trail_percent"),
    ({"order_type": "trail", "trail_price": "1", "trail_percent": "1"}, "exactly one of"),
    ({"order_type": "trail", "trail_price": "1", "stop_price": "95.00"}, "take no stop price"),
    ({"order_type": "trail", "trail_percent": "100"}, "above 0 and below 100"),
    ({"order_type": "trail", "trail_percent": "0"}, "above 0 and below 100"),
    ({"order_type": "trail", "trail_percent": "1.00001"}, "at most 4 decimals"),
    ({"order_type": "trail", "trail_percent": "NaN"}, "trail_percent must be a finite number"),
    ({**STOP, "time_in_force": "ioc"}, "stop orders must be day or gtc orders"),
    ({**STOP, "time_in_force": "opg"}, "stop orders must be day or gtc orders"),
    ({"order_type": "trail", "trail_price": "1", "time_in_force": "cls"}, "trailing_stop orders must be"),
    ({"price": "100.00", "time_in_force": "gtd"}, "time_in_force must be one of"),
    ({"order_type": ["limit"]}, "type must be one of market, limit, stop, stop_limit, trailing_stop"),
    ({"price": "100.00", "order_class": "mleg"}, "order_class must be one of simple, bracket, oco, oto"),
    ({"price": "100.00", "stop_loss": {"limit_price": "94.00"}}, "requires stop_loss.stop_price"),
    ({**STOP, "order_class": "bracket", "side": "buy", **EXITS}, "must be market or limit orders"),
]


@pytest.mark.parametrize(("asked", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_is_no_order_is_refused_with_the_reason(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        intent(**asked)


def test_oco_takes_its_limit_from_its_take_profit() -> None:
    pair = intent(order_class="oco", **EXITS)
    assert (pair.order_class, pair.order_type, pair.price) == (
        OrderClass.OCO,
        OrderType.LIMIT,
        Decimal("110.0000"),
    )
    assert pair.stop_loss == StopLoss(Decimal("95.0000"), None)


def test_request_hash_tells_every_difference() -> None:
    asked = [
        intent(price="100.00"),
        intent(price="100.01"),
        intent(price="100.00", time_in_force="gtc"),
        intent(**STOP),
        intent(order_type="trail", trail_price="1"),
        intent(order_type="trail", trail_percent="1"),
        intent(order_class="oco", **EXITS),
        intent(order_class="oco", take_profit={"limit_price": "111.00"}, stop_loss={"stop_price": "95.00"}),
    ]
    assert len({one.request_hash() for one in asked}) == len(asked)
    assert intent(price="100.00").request_hash() == intent(price="100").request_hash()
