"""The width of price bands by tier, price and time of day, and when their reference price moves."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from apps.instruments.bands import (
    BAND_WIDTHS,
    band_is_doubled,
    band_times,
    band_width,
    bands_around,
    reference_moved,
)
from apps.instruments.calendar import ExchangeCalendar
from tests.instruments.test_auctions import new_york

CENT, FINE = Decimal("0.01"), Decimal("0.0001")
TIMES = band_times(date(2026, 11, 20))


@pytest.mark.parametrize(
    ("tier", "close", "reference", "tick", "lower", "upper"),
    [
        (1, "100.00", "100.00", CENT, "95.00", "105.00"),
        (2, "100.00", "100.00", CENT, "90.00", "110.00"),
        (1, "3.0001", "3.01", CENT, "2.86", "3.16"),
        (1, "3.00", "3.00", CENT, "2.40", "3.60"),
        (2, "0.75", "0.75", FINE, "0.60", "0.90"),
        (2, "0.7499", "0.50", FINE, "0.35", "0.65"),
        (1, "0.10", "0.10", FINE, "0.0250", "0.1750"),
        (2, "3.50", "2.90", CENT, "2.61", "3.19"),
    ],
)
def test_bands_by_tier_and_yesterdays_close(
    tier: int, close: str, reference: str, tick: Decimal, lower: str, upper: str
) -> None:
    width = band_width(BAND_WIDTHS, tier, Decimal(close))
    assert width is not None
    assert bands_around(Decimal(reference), width, False, tick) == (Decimal(lower), Decimal(upper))


def test_bands_lie_on_the_nearest_tick_and_never_below_one() -> None:
    width = band_width(BAND_WIDTHS, 1, Decimal("33.33"))
    assert width is not None
    assert bands_around(Decimal("33.3350"), width, False, CENT) == (Decimal("31.67"), Decimal("35.00"))
    cheap = band_width(BAND_WIDTHS, 1, Decimal("0.0002"))
    assert cheap is not None
    assert bands_around(Decimal("0.0002"), cheap, True, FINE)[0] == FINE


def test_widths_are_doubled_in_the_last_minutes_where_the_rule_says_so() -> None:
    session = ExchangeCalendar().session_at(new_york("2026-11-27T12:00"))
    liquid, other = (band_width(BAND_WIDTHS, tier, Decimal(50)) for tier in (1, 2))
    assert liquid is not None
    assert other is not None
    before, after = new_york("2026-11-27T12:34:59"), new_york("2026-11-27T12:35")
    assert [band_is_doubled(liquid, session, at, TIMES) for at in (before, after)] == [False, True]
    assert not band_is_doubled(other, session, after, TIMES)
    assert bands_around(Decimal(50), liquid, True, CENT) == (Decimal(45), Decimal(55))


def test_a_price_below_every_rule_has_no_bands() -> None:
    assert band_width(BAND_WIDTHS, 3, Decimal(50)) is None
    assert band_width((), 1, Decimal(50)) is None


@pytest.mark.parametrize(
    ("mean", "moves"), [("100.99", False), ("101.00", True), ("99.01", False), ("99.00", True)]
)
def test_a_reference_moves_by_one_percent_or_stays(mean: str, moves: bool) -> None:
    assert reference_moved(Decimal(100), Decimal(mean), TIMES) is moves


def test_the_plans_times() -> None:
    assert (TIMES.limit_state, TIMES.pause) == (timedelta(seconds=15), timedelta(minutes=5))
