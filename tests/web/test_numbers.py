"""Figures as traders read them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.web import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("148230.42"), "148,230.42"),
        (Decimal("-261"), "−261.00"),
        (Decimal("0"), "0.00"),
        (Decimal("9999999999999.99"), "9,999,999,999,999.99"),
        (None, "—"),
    ],
)
def test_money_has_two_places_separators_and_a_true_minus(value: Decimal | None, text: str) -> None:
    assert numbers.money_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("1648.07", "+1,648.07"), ("-1085", "−1,085.00"), ("0", "0.00"), ("0.001", "0.00"), ("-0.001", "0.00")],
)
def test_a_change_of_money_shows_its_sign_unless_it_is_zero(value: str, text: str) -> None:
    assert numbers.money_signed(Decimal(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("184.3200", "184.32"), ("1204.6000", "1,204.60"), ("0.1234", "0.1234"), ("176.8437", "176.8437")],
)
def test_a_price_is_never_rounded(value: str, text: str) -> None:
    assert numbers.price_text(Decimal(value)) == text


def test_a_percentage_has_two_places_and_a_sign() -> None:
    assert numbers.percent_signed(Decimal("1.269")) == "+1.27%"
    assert numbers.percent_signed(Decimal("-0.004")) == "0.00%"
    assert numbers.percent_text(Decimal("44.94"), 1) == "44.9%"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (950, "950"), (3_840_000, "3.84 M"), (2_100_000_000, "2.10 B")]
)
def test_volume_keeps_three_figures(value: int, text: str) -> None:
    assert numbers.volume_text(value) == text


def test_a_direction_is_a_class_and_an_arrow() -> None:
    assert (numbers.tone(Decimal("0.01")), numbers.arrow(Decimal("0.01"))) == ("up", "▲")
    assert (numbers.tone(Decimal("-0.01")), numbers.arrow(Decimal("-0.01"))) == ("down", "▼")
    assert (numbers.tone(Decimal("0")), numbers.arrow(None)) == ("", "")


def test_times_are_the_exchanges() -> None:
    assert numbers.exchange_time(datetime(2026, 7, 1, 18, 3, 21, tzinfo=UTC)) == "14:03:21"
    assert numbers.exchange_time(datetime(2026, 12, 1, 19, 3, 21, tzinfo=UTC)) == "14:03:21"


@pytest.mark.parametrize(
    ("seconds", "text"), [(6_990, "1 h 56 m"), (59, "0 m"), (200_000, "2 d 7 h"), (-5, "0 m")]
)
def test_a_duration_has_two_units(seconds: int, text: str) -> None:
    assert numbers.duration_text(seconds) == text
