"""Numbers from outside become exact Decimals or a clear refusal; trade values round one way only."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.primitives.errors import Invalid
from apps.primitives.money import (
    PRICE_MAX,
    decimal_parse,
    price_parse,
    price_to_units,
    quantity_parse,
    trade_value,
    units_to_price,
)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "abc",
        "NaN",
        "Infinity",
        "-Infinity",
        "1_000",
        "1,000",
        "１２",
        "1e999999999",
        True,
        None,
        [],
        1.5,
        "9" * 60,
    ],
)
def test_what_is_not_a_plain_finite_number_is_refused(value: object) -> None:
    with pytest.raises(Invalid):
        price_parse(value, "limit_price")


@pytest.mark.parametrize("value", ["0", "-1", "0.00001", "1000000", "1e20", "-0"])
def test_price_out_of_range_or_too_fine_is_refused(value: str) -> None:
    with pytest.raises(Invalid):
        price_parse(value, "limit_price")


@pytest.mark.parametrize("value", ["0", "-5", "1.5", "0.1", "1e12", 2**63, "0.9999999999999999999"])
def test_quantity_that_is_no_whole_positive_number_is_refused(value: object) -> None:
    with pytest.raises(Invalid):
        quantity_parse(value)


@pytest.mark.parametrize(
    ("value", "expected"), [("1.0", 1), (7, 7), ("100", 100), ("1e3", 1000), (Decimal("2.00"), 2)]
)
def test_whole_quantity_is_read_however_it_is_written(value: object, expected: int) -> None:
    assert quantity_parse(value) == expected


@given(st.integers(1, int(PRICE_MAX * 10_000)))
def test_price_units_and_prices_are_each_other(units: int) -> None:
    assert price_to_units(units_to_price(units)) == units
    assert price_parse(str(units_to_price(units)), "price") == units_to_price(units)


@pytest.mark.parametrize(
    ("price", "quantity", "expected"),
    [
        ("0.0150", 1, "0.02"),
        ("0.0250", 1, "0.02"),
        ("10.1250", 1, "10.12"),
        ("10.1350", 1, "10.14"),
        ("99.99", 3, "299.97"),
    ],
)
def test_trade_value_rounds_half_to_even_once(price: str, quantity: int, expected: str) -> None:
    assert trade_value(Decimal(price), quantity) == Decimal(expected)


def test_decimal_parse_names_the_field() -> None:
    with pytest.raises(Invalid, match="stop_price"):
        decimal_parse("x", "stop_price")
