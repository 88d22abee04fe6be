"""The demo's history is the real one: split out, moved onto the calendar, and cut into exact minutes."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.demo.history import (
    DailyBar,
    RealBar,
    history_read,
    real_bars_read,
    session_hours,
    sessions_before,
    split_ratio,
    splits_adjust,
)
from apps.demo.minute_bars import day_bar, minute_bars, shares_split, trades_of, trades_split
from apps.demo.universe import SYMBOLS
from apps.primitives.money import units_to_price

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def real() -> dict[str, list[RealBar]]:
    return real_bars_read(SYMBOLS)


@pytest.fixture(scope="module")
def history() -> dict[str, list[DailyBar]]:
    return history_read(SYMBOLS, TODAY)


def splits_of(bars: list[RealBar]) -> dict[date, Decimal]:
    pairs = zip(bars, bars[1:], strict=False)
    return {
        after.bar.date: split_ratio(before, after)
        for before, after in pairs
        if split_ratio(before, after) != 1
    }


def test_exactly_the_real_splits_are_found(real: dict[str, list[RealBar]]) -> None:
    found = {symbol: splits_of(bars) for symbol, bars in real.items()}
    assert found == {
        "AAPL": {date(2000, 6, 21): 2, date(2005, 2, 28): 2},
        "FB": {},
        "GOOG": {},
        "IBM": {},
        "MSFT": {date(2003, 2, 18): 2},
    }


def test_the_last_bar_is_as_it_was_traded_and_earlier_ones_are_in_its_shares(
    real: dict[str, list[RealBar]],
) -> None:
    adjusted = splits_adjust(real["AAPL"])
    assert adjusted[-1] == real["AAPL"][-1].bar
    assert adjusted[0].close == real["AAPL"][0].bar.close / 4
    assert adjusted[0].volume == real["AAPL"][0].bar.volume * 4


def test_no_day_jumps_as_a_split_would(history: dict[str, list[DailyBar]]) -> None:
    for bars in history.values():
        for before, after in zip(bars, bars[1:], strict=False):
            assert Decimal("0.45") < after.open / before.close < Decimal("1.8")
            assert 0 < after.low <= min(after.open, after.close) <= max(after.open, after.close) <= after.high


def test_the_last_bar_is_the_session_before_today(history: dict[str, list[DailyBar]]) -> None:
    sessions = sessions_before(TODAY, 3270)
    for bars in history.values():
        assert [bar.date for bar in bars] == sessions[-len(bars) :]
        assert bars[-1].date == date(2026, 11, 20)
    assert date(2026, 7, 3) not in sessions


def test_a_holiday_is_stepped_over() -> None:
    assert sessions_before(date(2026, 11, 27), 2) == [date(2026, 11, 24), date(2026, 11, 25)]


def test_early_closes_have_fewer_minutes() -> None:
    assert session_hours(date(2026, 11, 27)).minutes == 210
    assert session_hours(date(2026, 11, 25)).minutes == 390


CENTS = st.integers(min_value=100, max_value=100_000_00)


@st.composite
def daily_bars(draw: st.DrawFn) -> DailyBar:
    low, width = draw(CENTS), draw(st.integers(0, 5_000))
    inside = st.integers(low, low + width)
    prices = [units_to_price(draw(inside) * 100) for _ in range(2)]
    edges = units_to_price((low + width) * 100 + draw(st.integers(0, 99))), units_to_price(low * 100)
    volume = draw(st.integers(0, 10**9))
    return DailyBar(draw(st.sampled_from(SESSIONS)), prices[0], *edges, prices[1], volume)


SESSIONS = sessions_before(TODAY, 300)


@settings(max_examples=60, deadline=None)
@given(day=daily_bars(), seed=st.integers(0, 5))
def test_minutes_add_up_to_their_day(day: DailyBar, seed: int) -> None:
    hours = session_hours(day.date)
    minutes = minute_bars("AAPL", day, hours, seed)
    assert len(minutes) == hours.minutes
    assert minutes == minute_bars("AAPL", day, hours, seed)
    assert (minutes[0].open, minutes[-1].close) == (day.open, day.close)
    assert max(bar.high for bar in minutes) == day.high
    assert min(bar.low for bar in minutes) == day.low
    assert sum(bar.volume for bar in minutes) == day.volume
    whole = day_bar(day, minutes)
    assert sum(bar.trade_count or 0 for bar in minutes) == whole.trade_count
    assert whole.vwap is not None and day.low <= whole.vwap <= day.high
    turnover = sum((bar.vwap or 0) * bar.volume for bar in minutes)
    assert abs(turnover - whole.vwap * day.volume) <= day.volume * Decimal("0.0000005")
    for n, bar in enumerate(minutes):
        assert bar.time == hours.opens_at + timedelta(minutes=n)
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.vwap is not None and bar.low <= bar.vwap <= bar.high
        assert min(bar.volume, 1) <= (bar.trade_count or 0) <= bar.volume
        assert n == 0 or bar.open == minutes[n - 1].close


def test_the_real_last_days_have_exact_minutes(history: dict[str, list[DailyBar]]) -> None:
    for symbol, bars in history.items():
        for day in bars[-20:]:
            minutes = minute_bars(symbol, day, session_hours(day.date))
            assert sum(bar.volume for bar in minutes) == day.volume
            assert (max(b.high for b in minutes), min(b.low for b in minutes)) == (day.high, day.low)
            assert all(bar.volume > 0 for bar in minutes)


@given(total=st.integers(0, 10**12), weights=st.lists(st.integers(1, 10**6), min_size=1, max_size=50))
def test_split_shares_sum_to_the_total(total: int, weights: list[int]) -> None:
    parts = shares_split(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


@given(volumes=st.lists(st.integers(0, 10**6), min_size=1, max_size=390))
def test_split_trades_sum_to_the_total_and_fit_their_shares(volumes: list[int]) -> None:
    count = trades_of(sum(volumes))
    parts = trades_split(count, volumes)
    assert sum(parts) == count
    assert all(min(volume, 1) <= part <= volume for part, volume in zip(parts, volumes, strict=True))


def test_a_day_without_minutes_has_trades_and_an_average_inside_its_range(
    history: dict[str, list[DailyBar]],
) -> None:
    for bars in history.values():
        for day in bars:
            bar = day_bar(day)
            assert bar.vwap is not None and day.low <= bar.vwap <= day.high
            assert bar.trade_count == max(day.volume // 200, 390)
