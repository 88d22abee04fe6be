"""What a page costs: the rows that it shows, whatever else there is; where buckets begin and are filled."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.db import connections
from django.test import override_settings

from apps.instruments.calendar import calendar_named
from apps.marketdata import joining, keyed
from apps.marketdata.backends import Backend
from apps.marketdata.candles import LEVELS, Bar, Tick
from apps.marketdata.filling import bars_filled
from apps.marketdata.joining import Direction, Span, rows_read
from apps.marketdata.paging import Walk, bars_newest, bars_page, quotes_page, trades_page
from apps.marketdata.services import ticks_append
from apps.marketdata.timeframes import Timeframe, timeframe_read
from apps.marketdata.written import written_of
from apps.primitives.clock import utc_now
from apps.primitives.partitions import partition_name

START = datetime(2026, 1, 1, tzinfo=UTC)
SYMBOLS = tuple(f"S{number}" for number in range(10))
MINUTES = 5_000

Scan = tuple[str, int]
"""A table, or a partition of one, and how many of its rows a statement looked at."""

FILL_SQL = """
INSERT INTO ohlcv_1m (symbol, time, open, high, low, close, volume, trade_count, turnover,
                      opened_at, open_trade_id, closed_at, close_trade_id)
SELECT 'S' || s, t, 10, 11, 9, 10, 100, 5, 1000, t, 1, t, 2
FROM generate_series(0, 9) AS s, generate_series(0, %(rows)s - 1) AS m,
     LATERAL (SELECT %(start)s::timestamptz + m * interval '1 minute') AS at (t);
INSERT INTO ohlcv (symbol, interval, time, open, high, low, close, volume)
SELECT symbol, '1m', time - interval '1 year', open, high, low, close, volume FROM ohlcv_1m;
INSERT INTO market_data_ticks (symbol, time, price, quantity, trade_id)
SELECT symbol, now() - (time - %(start)s::timestamptz) / 60, 10, 1, 7 FROM ohlcv_1m;
ANALYZE ohlcv_1m; ANALYZE ohlcv; ANALYZE market_data_ticks;
"""


@pytest.fixture
def history(database: None) -> None:
    """Ten symbols with days of minutes, imported and traded, and trades of the last hours."""
    with connections["marketdata"].cursor() as cursor:
        cursor.execute(FILL_SQL, {"rows": MINUTES, "start": START})


@contextmanager
def scans() -> Iterator[list[Scan]]:
    """Let every statement be explained as it runs, and gather what it looked at."""
    found: list[Scan] = []

    def explained(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        if "LATERAL" in sql:
            ((plan,),) = rows_read("EXPLAIN (ANALYZE, FORMAT JSON) " + sql, parameters)
            (top,) = json.loads(plan) if isinstance(plan, str) else plan
            found.extend(_scans_of(top["Plan"]))
        return rows_read(sql, parameters)

    with mock.patch.object(joining, "rows_read", explained), mock.patch.object(keyed, "rows_read", explained):
        yield found


def _scans_of(node: dict[str, Any]) -> Iterator[Scan]:
    if "Relation Name" in node and node["Actual Loops"]:
        gone = node.get("Rows Removed by Filter", 0)
        yield node["Relation Name"], int((node["Actual Rows"] + gone) * node["Actual Loops"])
    for child in node.get("Plans", []):
        yield from _scans_of(child)


def minutes(walk: Walk) -> Any:
    return bars_page(walk, timeframe_read("1Min"))


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("page", [minutes, trades_page])
def test_a_page_looks_at_what_it_shows_and_not_at_the_history(
    history: None, page: Callable[[Walk], Any], direction: Direction
) -> None:
    end = datetime(2030, 1, 1, tzinfo=UTC)
    walk = Walk(SYMBOLS, datetime(2020, 1, 1, tzinfo=UTC), end, direction, limit=50)
    with scans() as found:
        first = page(walk)
        assert len(first.rows) == 50
        later = Walk(SYMBOLS, walk.start, end, direction, 50, first.position)
        assert len(page(later).rows) == 50
    # A page's symbol, and the one after it that a statement has begun when it stops.
    assert 0 < sum(rows for _, rows in found) < 1_000


def test_the_newest_of_many_costs_a_few_rows_of_each(history: None) -> None:
    with scans() as found:
        assert len(bars_newest(SYMBOLS, timeframe_read("1Min"))) == 10
        assert len(keyed.trades_newest(SYMBOLS)) == 10
    assert sum(rows for _, rows in found) < 200


def test_a_day_s_trades_open_that_day_and_no_other(history: None) -> None:
    day = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    walk = Walk(SYMBOLS, day, day + timedelta(hours=23))
    with scans() as found:
        trades_page(walk)
        quotes_page(walk)
    days = {partition_name(table, day.date()) for table in ("market_data_ticks", "market_data_quotes")}
    assert {name for name, _ in found} == days


@pytest.mark.parametrize("minutes_each", range(1, 60))
def test_buckets_follow_one_another_without_gap_or_overlap(minutes_each: int) -> None:
    """Also on the two days of the year that have another length: 23 and 25 hours."""
    timeframe = Timeframe(minutes_each, "Min")
    spring, autumn = datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 11, 1, 4, tzinfo=UTC)
    for midnight, hours in ((spring, 23), (autumn, 25)):
        day_end = midnight + timedelta(hours=hours)
        starts = list(timeframe.buckets_of(midnight, day_end))
        assert starts[0] == midnight
        gaps = {after - before for before, after in zip(starts, starts[1:], strict=False)}
        assert gaps == {timedelta(minutes=minutes_each)}
        assert day_end - starts[-1] <= timedelta(minutes=minutes_each)
        assert timeframe.bucket_of(day_end) == day_end
        assert {timeframe.bucket_of(start + timedelta(seconds=59)) for start in starts} == set(starts)


def test_weeks_and_months_hold_the_session_s_day() -> None:
    opens = datetime(2026, 11, 30, 14, 30, tzinfo=UTC)
    days = {"1W": "2026-11-30", "1M": "2026-11-01", "6M": "2026-07-01", "12M": "2026-01-01"}
    for text, day in days.items():
        (start,) = timeframe_read(text).buckets_of(opens, opens + timedelta(hours=6))
        assert start.date().isoformat() == day
        assert start.hour in (4, 5)


def flat(at: datetime, price: str, volume: int = 9) -> Bar:
    return Bar(at, *[Decimal(price)] * 4, volume)


@pytest.mark.parametrize("timeframe", ["1Min", "5Min", "1Hour", "1Day", "1Week", "1Month"])
@pytest.mark.parametrize("has_before", [True, False])
@pytest.mark.parametrize("places", [(), (3,), (0, 1, 5), (2, 40)])
def test_filling_is_the_same_in_both_directions_and_keeps_every_bar(
    timeframe: str, has_before: bool, places: tuple[int, ...]
) -> None:
    """The model: each session's buckets in order, each with its own bar or a flat one at the last close."""
    length = timeframe_read(timeframe)
    opens = datetime(2025, 11, 25, 14, 30, tzinfo=UTC)
    span = Span("S", opens, datetime(2025, 12, 31, 21, tzinfo=UTC))
    with override_settings(MARKET_CALENDAR="XNYS"):
        grid = _grid(length, span)
        bars = [flat(grid[place], f"{place + 1}") for place in places if place < len(grid)]
        before = flat(opens - timedelta(days=40), "77") if has_before else None
        rising = list(bars_filled(bars, before, span, length, "asc"))
        falling = list(bars_filled(bars[::-1], before, span, length, "desc"))
    assert falling[::-1] == rising
    known, expected, close = {bar.time: bar for bar in bars}, [], before.close if before else None
    for start in grid:
        if start in known:
            close = known[start].close
            expected.append(known[start])
        elif close is not None:
            expected.append(Bar(start, close, close, close, close, 0, 0))
    assert rising == expected


def _grid(timeframe: Timeframe, span: Span) -> list[datetime]:
    calendar, starts = calendar_named("XNYS"), []
    session = calendar.session_at(span.start)
    while session.opens_at <= span.end:
        starts += timeframe.buckets_of(session.opens_at, session.closes_at)
        session = calendar.session_after(session.trade_date)
    return sorted({start for start in starts if span.start <= start <= span.end})


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_what_is_written_down_and_what_is_not_yet_are_one_line(
    backend: Backend, direction: Direction
) -> None:
    """TimescaleDB writes candles down up to a mark, and makes the rest of ticks: pages go across it."""
    now = utc_now().replace(second=0, microsecond=0)
    ticks = [
        Tick(number, now - timedelta(minutes=5 * number + 2), symbol, Decimal(100 + number % 7), 1)
        for number in range(600)
        for symbol in SYMBOLS[:3]
    ]
    early = [tick for tick in ticks if tick.trade_id % 5]
    ticks_append(early)
    if backend is Backend.TIMESCALE:
        for level in LEVELS:
            _write_down(level.table, now - timedelta(days=1))
    # Late ones fall before the mark as well, and correct what is written there.
    ticks_append([tick for tick in ticks if not tick.trade_id % 5])
    whole = {(tick.symbol, tick.time.replace(second=0)): (tick.price, tick.quantity, 1) for tick in ticks}
    for text in ("1Min", "5Min", "1Hour", "1Day", "7Min"):
        rows = _walked(direction, text, limit=10_000)
        assert sum(bar.trade_count or 0 for _, bar in rows) == len(ticks)
        if text == "1Min":
            assert {(name, bar.time): (bar.close, bar.volume, bar.trade_count) for name, bar in rows} == whole
        assert _walked(direction, text, limit=37) == rows
        with mock.patch.object(joining, "written_of", lambda view: None):
            assert _walked(direction, text, limit=10_000) == rows
    if backend is Backend.TIMESCALE:
        assert all(written_of(level.table) for level in LEVELS), "the mark was there"


def _write_down(view: str, until: datetime) -> None:
    with connections["marketdata_owner"].cursor() as cursor:
        cursor.execute(f"CALL refresh_continuous_aggregate('{view}', NULL, %s::timestamptz)", (until,))


def _walked(direction: Direction, text: str, limit: int) -> list[tuple[str, Bar]]:
    walk = Walk(SYMBOLS[:3], START, utc_now(), direction, limit)
    rows = []
    while True:
        page = bars_page(walk, timeframe_read(text))
        rows += page.rows
        if page.position is None:
            return rows
        walk = replace(walk, position=page.position)
