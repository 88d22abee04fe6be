"""Orders in the blotter: what they wait for, and which of them belong together."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from apps.orders.selectors import OrderView
from apps.primitives.fix import Leg, OrderClass
from apps.web.presenters.orders import edit_fields, order_notice, order_row, order_rows, terms_text

AT = datetime(2026, 7, 1, 18, 3, 21, tzinfo=UTC)


def order(order_id: int = 1, **changes: Any) -> OrderView:
    plain = OrderView(
        order_id=order_id,
        user_id=1,
        account_id=1,
        matching_partition=0,
        client_order_id=f"order-{order_id}",
        symbol="AAPL",
        side="SELL",
        order_type="LIMIT",
        time_in_force="DAY",
        quantity=10,
        filled_quantity=0,
        price=None,
        avg_fill_price=None,
        status="NEW",
        reject_reason=None,
        created_at=AT,
        updated_at=AT,
        filled_at=None,
        cancelled_at=None,
        expired_at=None,
        replaced_at=None,
        failed_at=None,
        expires_at=None,
        replaces=None,
        replaced_by=None,
    )
    return replace(plain, **changes)


STOP = {"order_type": "STOP", "stop_price": Decimal("95.0000")}
STOP_LIMIT = {**STOP, "order_type": "STOP_LIMIT", "price": Decimal("94.5000")}
TRAIL = {"order_type": "TRAIL", "stop_price": Decimal("98.0000")}


@pytest.mark.parametrize(
    ("facts", "terms"),
    [
        ({"order_type": "MARKET"}, "Market"),
        ({"price": Decimal("99.5000")}, "Limit 99.50"),
        (STOP, "Stop 95.00"),
        (STOP_LIMIT, "Stop 95.00, limit 94.50"),
        ({**TRAIL, "trail_amount": Decimal("2.0000")}, "Trailing 2.00, stop 98.00"),
        ({**TRAIL, "trail_percent": Decimal("1.5000")}, "Trailing 1.5%, stop 98.00"),
        ({**TRAIL, "trail_percent": Decimal("10.0000")}, "Trailing 10%, stop 98.00"),
    ],
    ids=str,
)
def test_terms_say_the_type_and_every_price(facts: dict[str, Any], terms: str) -> None:
    assert terms_text(order(**facts)) == terms


@pytest.mark.parametrize(
    ("facts", "status", "fields"),
    [
        ({"price": Decimal(99)}, "Working", {"limit_price": "99.00"}),
        (STOP, "Waiting", {"stop_price": "95.00"}),
        (STOP_LIMIT, "Waiting", {"stop_price": "95.00", "limit_price": "94.50"}),
        ({**STOP_LIMIT, "triggered_at": AT}, "Triggered", {"limit_price": "94.50"}),
        ({**TRAIL, "trail_percent": Decimal("1.5000")}, "Waiting", {"trail": "1.5"}),
        ({"order_type": "MARKET"}, "Working", {}),
        ({"price": Decimal(99), "status": "PENDING_CANCEL"}, "Cancelling", {"limit_price": "99.00"}),
    ],
    ids=str,
)
def test_a_row_says_what_the_order_waits_for_and_what_can_change(
    facts: dict[str, Any], status: str, fields: dict[str, str]
) -> None:
    view = order(**facts)
    row = order_row(view)
    assert row.status == status
    assert {field.name: field.value for field in edit_fields(view)} == fields
    assert row.can_edit == (bool(fields) and status != "Cancelling")


def bracket(entry_status: str) -> list[OrderView]:
    group = {"group_id": 5, "order_class": OrderClass.BRACKET}
    loss = order(7, **STOP, **group, leg=Leg.STOP_LOSS, status="HELD")
    profit = order(6, price=Decimal(110), **group, leg=Leg.TAKE_PROFIT, status="HELD")
    entry = order(5, side="BUY", price=Decimal(100), **group, leg=Leg.ENTRY, status=entry_status)
    return [order(8), loss, order(3), profit, entry]


def test_a_group_stands_together_under_its_first_order() -> None:
    rows = order_rows(bracket("NEW"))
    assert [(row.order.order_id, row.is_child, row.leg, row.status) for row in rows] == [
        (8, False, "", "Working"),
        (5, False, "", "Working"),
        (6, True, "Take profit", "Waits for entry"),
        (7, True, "Stop-loss", "Waits for entry"),
        (3, False, "", "Working"),
    ]


def test_exits_without_their_entry_stand_together_and_the_stop_loss_is_armed() -> None:
    exits = [one for one in bracket("FILLED") if one.leg in (Leg.TAKE_PROFIT, Leg.STOP_LOSS)]
    exits[1] = replace(exits[1], status="NEW")
    rows = order_rows(exits)
    assert [(row.leg, row.is_child, row.status) for row in rows] == [
        ("Take profit", False, "Working"),
        ("Stop-loss", True, "Armed"),
    ]


def test_history_says_when_a_stop_was_reached_and_why_its_partner_ended() -> None:
    stopped = order_row(order(**STOP, triggered_at=AT, status="FILLED", filled_quantity=10))
    assert (stopped.status, stopped.note) == ("Filled", "Triggered 14:03:21")
    partner = order_row(order(price=Decimal(110), status="CANCELLED", reject_reason="OCO"))
    assert partner.reason == "The other exit of its pair filled."


def test_a_notice_says_that_a_stop_was_reached() -> None:
    waiting, reached = order(**STOP_LIMIT), order(**STOP_LIMIT, triggered_at=AT)
    assert order_notice(waiting)["title"] == "Sell 10 AAPL: waiting"
    assert order_notice(reached)["title"] == "Sell 10 AAPL: triggered"
    assert order_notice(reached)["text"] == "The stop at 95.00 was reached."


def test_notice_of_a_leg_names_it() -> None:
    gain = order(leg=Leg.TAKE_PROFIT, price=Decimal("105.0000"))
    assert order_notice(gain)["text"] == "Take profit: Limit 105.00, Day."
    filled = order(leg=Leg.STOP_LOSS, order_type="STOP", status="FILLED", filled_quantity=10)
    assert order_notice(filled)["text"] == "Stop-loss filled in full."
