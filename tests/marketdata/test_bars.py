"""Bars join imported history with candles made from ticks, by the exchange's days."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from django.db import DatabaseError

from apps.marketdata.backends import Backend
from apps.marketdata.selectors import (
    Bar,
    Tick,
    bar_latest,
    bar_list,
    bar_today,
    bars_imported,
    sparkline,
)
from apps.marketdata.services import bars_import, ticks_append
from apps.primitives.clock import utc_now
from apps.primitives.errors import Invalid

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
"""A Monday; New York is five hours behind until the 8th of March, then four."""


def make_bars(start: datetime, step: timedelta, count: int, seed: int = 1) -> list[Bar]:
    rng, bars = Random(seed), []
    for n in range(count):
        opened, closed = (Decimal(rng.randint(9_500, 10_500)) / 100 for _ in range(2))
        high = max(opened, closed) + Decimal("0.10")
        low = min(opened, closed) - Decimal("0.10")
        bars.append(Bar(start + n * step, opened, high, low, closed, rng.randint(1, 900)))
    return bars


def joined(bars: list[Bar], time: datetime) -> Bar:
    return Bar(
        time,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
    )


def midnight(day: int, hour_utc: int = 5) -> datetime:
    return datetime(2026, 3, day, hour_utc, tzinfo=UTC)


@pytest.mark.parametrize(("interval", "minutes"), [("1m", 1), ("5m", 5), ("15m", 15), ("1h", 60)])
def test_longer_bars_are_made_of_imported_minutes(backend: Backend, interval: str, minutes: int) -> None:
    day = make_bars(OPEN, timedelta(minutes=1), 390)
    bars_import("AAPL", "1m", day)
    length = timedelta(minutes=minutes)
    expected: dict[datetime, list[Bar]] = {}
    for bar in day:
        since = (bar.time - datetime(2026, 1, 1, tzinfo=UTC)) % length
        expected.setdefault(bar.time - since, []).append(bar)
    found = bar_list("AAPL", interval, end=OPEN + timedelta(days=1), limit=1000)
    assert found == [joined(bars, time) for time, bars in expected.items()]


@pytest.mark.parametrize("limit", [1, 2, 7, 25])
@pytest.mark.parametrize("interval", ["1m", "5m", "15m", "1h"])
def test_a_limit_gives_the_newest_bars_whole(backend: Backend, interval: str, limit: int) -> None:
    bars_import("AAPL", "1m", make_bars(OPEN, timedelta(minutes=1), 390))
    end = OPEN + timedelta(hours=5, minutes=3)
    all_bars = bar_list("AAPL", interval, end=end)
    assert bar_list("AAPL", interval, end=end, limit=limit) == all_bars[-limit:]
    assert all(bar.time <= end for bar in all_bars)


def test_start_and_end_are_both_included(backend: Backend) -> None:
    day = make_bars(OPEN, timedelta(minutes=1), 60)
    bars_import("AAPL", "1m", day)
    assert bar_list("AAPL", "1m", start=day[10].time, end=day[20].time) == day[10:21]
    fives = bar_list("AAPL", "5m", start=OPEN + timedelta(minutes=3), end=OPEN + timedelta(minutes=15))
    assert [bar.time for bar in fives] == [OPEN + timedelta(minutes=n) for n in (5, 10, 15)]
    assert fives[-1] == joined(day[15:20], day[15].time)


def test_where_both_know_a_bucket_the_ticks_win(backend: Backend) -> None:
    day = make_bars(OPEN, timedelta(minutes=1), 3)
    bars_import("AAPL", "1m", day)
    price = Decimal("55.5000")
    ticks_append([Tick(1, day[1].time + timedelta(seconds=5), "AAPL", price, 9)])
    found = bar_list("AAPL", "1m", end=OPEN + timedelta(hours=1))
    assert found == [day[0], Bar(day[1].time, price, price, price, price, 9, 1, price), day[2]]


def test_days_and_weeks_are_new_yorks_across_the_clock_change(backend: Backend) -> None:
    days = [
        *make_bars(midnight(2), timedelta(days=1), 5, seed=1),
        *make_bars(midnight(9, 4), timedelta(days=1), 5, seed=2),
    ]
    bars_import("AAPL", "1d", days)
    assert bar_list("AAPL", "1D", end=midnight(20)) == days
    weeks = bar_list("AAPL", "1W", end=midnight(20))
    assert weeks == [joined(days[:5], midnight(2)), joined(days[5:], midnight(9, 4))]


def test_a_week_holds_imported_days_and_traded_days(backend: Backend) -> None:
    days = make_bars(midnight(2), timedelta(days=1), 4)
    bars_import("AAPL", "1d", days)
    late = datetime(2026, 3, 7, 4, 59, tzinfo=UTC)  # 23:59 on Friday in New York
    price = Decimal("321.0000")
    ticks_append([Tick(1, late, "AAPL", price, 5)])
    friday = Bar(midnight(6), price, price, price, price, 5, 1, price)
    assert bar_list("AAPL", "1D", end=midnight(20)) == [*days, friday]
    assert bar_list("AAPL", "1W", end=midnight(20)) == [joined([*days, friday], midnight(2))]


def test_importing_again_replaces_and_other_symbols_stay(backend: Backend) -> None:
    first, second = (
        make_bars(midnight(2), timedelta(days=1), 3),
        make_bars(midnight(2), timedelta(days=1), 3, 9),
    )
    assert bars_import("AAPL", "1d", first) == 3
    bars_import("MSFT", "1d", first)
    bars_import("AAPL", "1d", second)
    assert bar_list("AAPL", "1D", end=midnight(20)) == second
    assert bar_list("MSFT", "1D", end=midnight(20)) == first
    assert bars_imported() == {("AAPL", "1d"): 3, ("MSFT", "1d"): 3}


def test_today_latest_and_the_line_follow_the_ticks(backend: Backend) -> None:
    assert bar_today("AAPL") is None
    assert bar_latest(["AAPL"]) == {}
    now = utc_now()
    ticks_append([Tick(n, now, "AAPL", Decimal(100 + n), 1) for n in range(3)])
    today = bar_today("AAPL")
    assert today is not None
    assert (today.open, today.high, today.low, today.close, today.volume) == (100, 102, 100, 102, 3)
    assert bar_latest(["AAPL", "MSFT"])["AAPL"].close == 102
    assert sparkline("AAPL") == [Decimal(102)]


def test_unknown_intervals_and_numbers_out_of_bounds_are_answered(backend: Backend) -> None:
    with pytest.raises(Invalid):
        bar_list("AAPL", "2m")
    with pytest.raises(Invalid):
        bars_import("AAPL", "5m", [])
    assert bar_list("AAPL", "1m", limit=0) == []
    assert bar_list("AAPL", "1m", limit=10**9) == []


def test_imported_counts_and_averages_are_kept_and_joined_where_all_parts_know_them(backend: Backend) -> None:
    known = [
        Bar(OPEN + n * timedelta(minutes=1), *[Decimal(10 + n)] * 4, 100 * (n + 1), n + 2, Decimal(10 + n))
        for n in range(5)
    ]
    silent = make_bars(OPEN + timedelta(minutes=5), timedelta(minutes=1), 2)
    bars_import("AAPL", "1m", known + silent)
    end = OPEN + timedelta(hours=1)
    assert bar_list("AAPL", "1m", end=end) == known + silent
    first, second = bar_list("AAPL", "5m", end=end)
    assert (first.trade_count, first.volume) == (20, 1500)
    assert first.vwap == Decimal("12.666667")
    assert (second.trade_count, second.vwap) == (None, None)
    with pytest.raises(DatabaseError):
        bars_import("AAPL", "1m", [Bar(OPEN, *[Decimal(1)] * 4, 5, 1, Decimal("NaN"))])
    with pytest.raises(DatabaseError):
        bars_import("AAPL", "1m", [Bar(OPEN, *[Decimal(1)] * 4, 5, -1)])
    assert bar_list("AAPL", "1m", end=end) == known + silent
