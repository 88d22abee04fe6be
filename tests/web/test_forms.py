"""The ticket as people type it: read exactly, or refused with the field's name."""

from decimal import Decimal

import pytest

from apps.primitives.errors import Invalid
from apps.web.forms import changes_read, client_order_id_mint, ticket_read
from apps.web.inputs import price_normalise, quantity_normalise

TICKET = {
    "side": "BUY",
    "order_type": "LIMIT",
    "time_in_force": "DAY",
    "quantity": "100",
    "limit_price": "184.28",
    "client_order_id": "web-1",
}


def refusal(**changes: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        ticket_read({**TICKET, **changes}, "AAPL")
    return caught.value


def test_a_whole_ticket_is_read() -> None:
    ticket = ticket_read(TICKET, "AAPL")
    assert (ticket.symbol, ticket.side, ticket.quantity, ticket.price) == (
        "AAPL",
        "BUY",
        100,
        Decimal("184.2800"),
    )


def test_a_market_order_has_no_price() -> None:
    assert ticket_read({**TICKET, "order_type": "MARKET"}, "AAPL").price is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("184.28", "184.28"),
        ("184,28", "184.28"),
        ("1,234.50", "1234.50"),
        ("1 234.50", "1234.50"),
        ("5", "5"),
    ],
)
def test_a_price_may_be_typed_with_either_decimal_mark(typed: str, meant: str) -> None:
    assert price_normalise(typed) == meant


def test_a_price_that_can_be_read_in_two_ways_is_refused() -> None:
    error = refusal(limit_price="1,234")
    assert error.reason == "ambiguous_number"
    assert error.details["field"] == "limit_price"


@pytest.mark.parametrize(("typed", "meant"), [("1,000", "1000"), ("1.000", "1000"), ("12 000", "12000")])
def test_a_quantity_may_be_typed_with_separators(typed: str, meant: str) -> None:
    assert quantity_normalise(typed) == meant


@pytest.mark.parametrize(
    "typed", ["0", "-5", "1.5", "NaN", "Infinity", "1e9", "99999999999", "ten", "１０", "0x10"]
)
def test_a_bad_quantity_is_refused(typed: str) -> None:
    assert refusal(quantity=typed).details["field"].lower() == "quantity"


@pytest.mark.parametrize(
    "typed", ["0", "-1", "NaN", "Infinity", "1e400", "184.28001", "1234567.00", "abc", "1,2,3"]
)
def test_a_bad_price_is_refused(typed: str) -> None:
    assert refusal(limit_price=typed)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("side", "HOLD", "bad_side"),
        ("order_type", "STOP", "bad_order_type"),
        ("order_type", "", "bad_order_type"),
        ("time_in_force", "GTD", "bad_time_in_force"),
        ("quantity", " ", "missing_quantity"),
        ("limit_price", "", "missing_limit_price"),
        ("client_order_id", "x" * 49, "bad_client_order_id"),
        ("client_order_id", "a\x00b", "bad_client_order_id"),
    ],
)
def test_a_wrong_choice_is_refused_by_name(field: str, value: str, reason: str) -> None:
    assert refusal(**{field: value}).reason == reason


def test_every_review_mints_its_own_client_order_id() -> None:
    assert client_order_id_mint() != client_order_id_mint()


def test_an_edit_leaves_blank_fields_alone() -> None:
    changes = changes_read({"quantity": "", "limit_price": "10,50"})
    assert (changes.quantity, changes.price) == (None, Decimal("10.5000"))
