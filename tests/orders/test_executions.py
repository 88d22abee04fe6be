"""What events tell of an order: exact, and in the order in which the server keeps it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.orders.executions import OrderState
from apps.primitives.fix import OrdStatus

AT = datetime(2026, 1, 8, 15, 30, tzinfo=UTC)
FRESH = OrderState(
    order_id=453_432_423_423_423_423,
    user_id=7,
    account_id=12,
    client_order_id='50% "now" \\ %s %(x)s {later}',
    symbol="AAPL",
    side="BUY",
    order_type="LIMIT",
    time_in_force="GTC",
    price=Decimal("100.0100"),
    collar_price=None,
    quantity=30,
    filled_quantity=0,
    filled_value=Decimal(0),
    status=OrdStatus.PENDING,
    reason=None,
    replaces=None,
    replaced_by=None,
    created_at=AT,
    expires_at=None,
)
EVERYTHING = replace(
    FRESH,
    reason="REQUESTED",
    replaces=1,
    replaced_by=2,
    expires_at=AT,
    stop_price=Decimal("99.5000"),
    trail_amount=Decimal("1.0000"),
    trail_percent=Decimal("2.5"),
    high_water_mark=Decimal("101.0000"),
    triggered_at=AT,
    group_id=3,
    leg="ENTRY",
)


@pytest.mark.parametrize("order", [FRESH, EVERYTHING], ids=["fresh", "everything"])
def test_keys_come_as_jsonb_keeps_them_shorter_ones_first(order: OrderState) -> None:
    keys = list(json.loads(order.facts_json()))
    assert keys == sorted(keys, key=lambda key: (len(key), key))


def test_what_a_client_wrote_is_told_as_it_was_written() -> None:
    facts = json.loads(replace(FRESH).facts_json())
    assert facts["client_order_id"] == '50% "now" \\ %s %(x)s {later}'


def test_an_order_told_again_is_told_as_it_now_is() -> None:
    order = replace(FRESH)
    before = json.loads(order.facts_json(), parse_float=Decimal)
    order.accept(priority=1)
    order.fill(Decimal("100.0000"), 10)
    order.fill(Decimal("100.0100"), 20)
    after = json.loads(order.facts_json(), parse_float=Decimal)
    changed = {name: after[name] for name in after if after[name] != before[name]}
    assert (before["status"], before["average_price"]) == ("PENDING", None)
    assert changed == {"status": "FILLED", "filled_quantity": 30, "average_price": Decimal("100.0067")}


def test_everything_an_order_can_have_is_told() -> None:
    facts = json.loads(EVERYTHING.facts_json(), parse_float=Decimal)
    assert facts == {
        "order_id": "453432423423423423",
        "client_order_id": EVERYTHING.client_order_id,
        "account_id": 12,
        "symbol": "AAPL",
        "side": "BUY",
        "order_type": "LIMIT",
        "time_in_force": "GTC",
        "price": Decimal("100.0100"),
        "trail_amount": Decimal("1.0000"),
        "trail_percent": Decimal("2.5"),
        "order_class": "SIMPLE",
        "group_id": "3",
        "leg": "ENTRY",
        "replaces": "1",
        "created_at": "2026-01-08T15:30:00.000000Z",
        "stop_price": Decimal("99.5000"),
        "high_water_mark": Decimal("101.0000"),
        "triggered_at": "2026-01-08T15:30:00.000000Z",
        "quantity": 30,
        "filled_quantity": 0,
        "average_price": None,
        "status": "PENDING",
        "reason": "REQUESTED",
        "replaced_by": "2",
        "expires_at": "2026-01-08T15:30:00.000000Z",
    }
