"""Minutes are told once when they have closed, corrected when they change after, and days while they run."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.marketdata.candles import Bar, Tick
from apps.marketdata.live import candles_message
from apps.marketdata.services import ticks_append
from apps.streaming.bar_feed import BarFeed
from apps.streaming.bars import (
    DAILY_EVERY,
    GRACE,
    SECOND_LOOK,
    UPDATED_EVERY,
    BarBoard,
    bar_message,
    minute_closed,
)
from apps.streaming.market import Subscription, SubscriptionInvalid

OPEN = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def bar(start: datetime, trades: int, close: str = "100.0000") -> Bar:
    price = Decimal(close)
    return Bar(start, price, price, price, price, trades * 10, trades, price)


def told(board: BarBoard, now: datetime, *channels: str) -> list[tuple[str, datetime, int | None]]:
    """Return what is told now on these channels (any, when none is named): channel, start, trades."""
    found = board.tick(now)
    return [
        (channel, one.time, one.trade_count)
        for channel, _, one in found
        if not channels or channel in channels
    ]


def test_a_minute_is_told_once_after_it_closed_and_not_before_its_grace_is_over() -> None:
    board = BarBoard(OPEN)
    assert board.minute_take("AAPL", bar(OPEN, 1))
    assert board.minute_take("AAPL", bar(OPEN, 2))
    assert told(board, OPEN + MINUTE) == []
    assert told(board, OPEN + MINUTE + GRACE - SECOND) == []
    assert told(board, OPEN + MINUTE + GRACE) == [("bars", OPEN, 2)]
    assert told(board, OPEN + MINUTE + GRACE) == []
    assert told(board, OPEN + 5 * MINUTE) == [], "minutes without a trade have no bar"


def test_an_older_state_of_a_candle_is_dropped() -> None:
    board = BarBoard(OPEN)
    assert board.minute_take("AAPL", bar(OPEN, 3))
    assert not board.minute_take("AAPL", bar(OPEN, 2))
    assert not board.minute_take("AAPL", bar(OPEN, 3))
    assert told(board, OPEN + MINUTE + GRACE) == [("bars", OPEN, 3)]


def test_a_minute_that_changes_after_it_was_told_is_told_as_updated_once_in_its_newest_state() -> None:
    board, closed = BarBoard(OPEN), OPEN + MINUTE + GRACE
    board.minute_take("AAPL", bar(OPEN, 1))
    assert told(board, closed) == [("bars", OPEN, 1)]
    board.minute_take("AAPL", bar(OPEN, 2))
    board.minute_take("AAPL", bar(OPEN, 3))
    assert told(board, closed + UPDATED_EVERY, "updatedBars") == [("updatedBars", OPEN, 3)]
    assert told(board, closed + 2 * UPDATED_EVERY) == []
    board.minute_take("AAPL", bar(OPEN, 3))
    assert told(board, closed + 3 * UPDATED_EVERY) == [], "what was told is no news"


def test_a_minute_whose_ticks_come_after_its_close_is_told_as_a_bar_as_soon_as_it_is_known() -> None:
    board, closed = BarBoard(OPEN), OPEN + MINUTE + GRACE
    assert told(board, closed) == []
    board.minute_take("AAPL", bar(OPEN, 1))
    assert told(board, closed + SECOND) == [("bars", OPEN, 1)]
    board.minute_take("AAPL", bar(OPEN + MINUTE, 1))
    assert told(board, closed + MINUTE) == [("bars", OPEN + MINUTE, 1)]


def test_a_minute_older_than_what_was_told_is_a_correction_for_bars_come_in_order() -> None:
    board = BarBoard(OPEN)
    board.minute_take("AAPL", bar(OPEN + MINUTE, 1))
    closed = OPEN + 2 * MINUTE + GRACE
    assert told(board, closed) == [("bars", OPEN + MINUTE, 1)]
    board.minute_take("AAPL", bar(OPEN, 1))
    board.minute_take("AAPL", bar(OPEN - 90 * MINUTE, 5))
    assert told(board, closed + UPDATED_EVERY) == [
        ("updatedBars", OPEN - 90 * MINUTE, 5),
        ("updatedBars", OPEN, 1),
    ]


def test_what_closed_before_the_process_began_is_told_only_when_it_changes() -> None:
    board = BarBoard(OPEN)
    board.begin("AAPL", [bar(OPEN - 2 * MINUTE, 4)], [bar(OPEN.replace(hour=5, minute=0), 9)])
    assert not board.minute_take("AAPL", bar(OPEN - 2 * MINUTE, 4))
    assert told(board, OPEN + UPDATED_EVERY) == []
    assert board.minute_take("AAPL", bar(OPEN - 2 * MINUTE, 5))
    assert told(board, OPEN + 2 * UPDATED_EVERY) == [("updatedBars", OPEN - 2 * MINUTE, 5)]
    board.begin("AAPL", [bar(OPEN - MINUTE, 1)], [])
    assert OPEN - MINUTE not in board.minutes["AAPL"], "a symbol that is followed does not begin again"


def test_a_day_that_runs_is_told_in_its_newest_state_and_no_earlier_day() -> None:
    board, day = BarBoard(OPEN), datetime(2026, 11, 20, 5, tzinfo=UTC)
    for trades in (1, 2, 3):
        board.day_take("AAPL", bar(day, trades))
    assert not board.day_take("AAPL", bar(day - timedelta(days=1), 9))
    assert told(board, OPEN + DAILY_EVERY) == [("dailyBars", day, 3)]
    assert told(board, OPEN + 2 * DAILY_EVERY) == []
    board.day_take("AAPL", bar(day + timedelta(days=1), 1))
    assert told(board, OPEN + 3 * DAILY_EVERY) == [("dailyBars", day + timedelta(days=1), 1)]


def test_a_bar_is_worded_as_published() -> None:
    message = bar_message("updatedBars", "AAPL", bar(OPEN, 3))
    assert message == {
        "T": "u",
        "S": "AAPL",
        **dict.fromkeys(("o", "h", "l", "c", "vw"), Decimal(100)),
        "v": 30,
        "n": 3,
        "t": OPEN,
    }
    assert [bar_message(name, "A", bar(OPEN, 1))["T"] for name in ("bars", "dailyBars")] == ["b", "d"]


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32), lag_s=st.sampled_from((0.1, 1.0, 10.0, 100.0)))
def test_what_a_client_has_at_the_end_are_the_candles_whenever_they_came(seed: int, lag_s: float) -> None:
    """A client keeps the newest bar or updated bar of each minute: these are the candles, however late."""
    rng, board = random.Random(seed), BarBoard(OPEN)
    trades: dict[datetime, int] = defaultdict(int)
    arrivals: list[tuple[datetime, Bar]] = []
    for _ in range(rng.randint(1, 80)):
        at = OPEN + timedelta(seconds=rng.uniform(0, 600))
        start = at.replace(second=0, microsecond=0)
        trades[start] += 1
        late = timedelta(seconds=rng.uniform(0, lag_s))
        arrivals += [(at + late, bar(start, trades[start]))] * rng.choice((1, 1, 2))
    arrivals.sort(key=lambda pair: pair[0])
    client: dict[datetime, Bar] = {}
    firsts: list[datetime] = []
    now = OPEN
    while now < OPEN + timedelta(seconds=800):
        while arrivals and arrivals[0][0] <= now:
            board.minute_take("AAPL", arrivals.pop(0)[1])
        for channel, _, one in board.tick(now):
            assert one.time + MINUTE + GRACE <= now, "nothing is told before its time"
            if channel == "bars":
                firsts.append(one.time)
            client[one.time] = one
        now += timedelta(seconds=0.25)
    assert {start: one.trade_count for start, one in client.items()} == trades
    assert firsts == sorted(set(firsts)), "bars come once and in order"


class Ear:
    """Hears the bars of a feed."""

    def __init__(self) -> None:
        self.grown: list[tuple[str, datetime, int | None]] = []
        self.told: list[tuple[str, datetime, int | None]] = []

    def candle_take(self, symbol: str, unit: str, one: Bar) -> None:
        self.grown.append((unit, one.time, one.trade_count))

    def bar_take(self, channel: str, symbol: str, one: Bar) -> None:
        self.told.append((channel, one.time, one.trade_count))

    def on(self, channel: str) -> list[tuple[datetime, int | None]]:
        return [(time, count) for name, time, count in self.told if name == channel]


def stepped(steps: Callable[[], Any]) -> None:
    async def story() -> None:
        await steps()
        await database_sync_to_async(connections.close_all)()

    asyncio.run(story())


@pytest.mark.parametrize("symbols", [{"AAPL"}, {"*"}])
def test_a_minute_is_told_from_the_store_though_redis_told_nothing(database: None, symbols: set[str]) -> None:
    now = [OPEN]
    feed, ear = BarFeed(lambda: ["AAPL", "MSFT"], lambda: now[0]), Ear()
    feed.listeners.listen(ear, symbols)
    price = Decimal("100.25")
    ticks_append([Tick(n, OPEN + n * SECOND, "AAPL", price, 10) for n in range(3)])

    async def story() -> None:
        now[0] = OPEN + MINUTE + GRACE
        await feed.step()
        # One came too late for the first look; the second one finds it.
        ticks_append([Tick(9, OPEN + 59 * SECOND, "AAPL", price, 10)])
        now[0] = OPEN + MINUTE + SECOND_LOOK - SECOND
        await feed.step()
        now[0] = OPEN + MINUTE + GRACE + SECOND_LOOK
        await feed.step()
        now[0] += UPDATED_EVERY
        await feed.step()

    stepped(story)
    assert ear.on("bars") == [(OPEN, 3)]
    assert ear.on("updatedBars") == [(OPEN, 4)]
    assert [count for _, count in ear.on("dailyBars")] == [3, 4]


def test_what_redis_tells_is_handed_on_at_once_and_told_again_by_nobody(database: None) -> None:
    now = [OPEN + 10 * SECOND]
    feed, ear = BarFeed(lambda: ["AAPL"], lambda: now[0]), Ear()
    feed.listeners.listen(ear, {"AAPL"})
    ticks_append([Tick(1, OPEN, "AAPL", Decimal(100), 10)])
    message = candles_message("AAPL", [bar(OPEN, 1)], [bar(OPEN.replace(hour=5), 1)])

    async def story() -> None:
        for _ in range(3):
            feed.take(message)
        now[0] = OPEN + MINUTE + GRACE
        await feed.step()
        await feed.step()

    stepped(story)
    assert ear.grown == [("minute", OPEN, 1), ("day", OPEN.replace(hour=5), 1)]
    assert ear.told == [("bars", OPEN, 1), ("dailyBars", OPEN.replace(hour=5), 1)]
    assert [unit for unit, _ in feed.newest("AAPL")] == ["minute", "day"]
    assert feed.newest("MSFT") == []


def test_a_process_that_stood_still_tells_the_minutes_it_missed(database: None) -> None:
    now = [OPEN]
    feed, ear = BarFeed(lambda: [], lambda: now[0]), Ear()
    feed.listeners.listen(ear, {"AAPL"})
    ticks_append([Tick(n, OPEN + n * MINUTE, "AAPL", Decimal(100), 10) for n in range(3)])

    async def story() -> None:
        now[0] = OPEN + 3 * MINUTE + GRACE
        await feed.step()

    stepped(story)
    assert ear.on("bars") == [(OPEN + n * MINUTE, 1) for n in range(3)]


def test_minutes_close_by_the_clock_and_its_grace() -> None:
    assert minute_closed(OPEN + MINUTE + GRACE) == OPEN
    assert minute_closed(OPEN + MINUTE + GRACE - timedelta(microseconds=1)) == OPEN - MINUTE


def test_an_old_minute_is_never_told_in_an_older_state_nor_twice_in_the_same() -> None:
    """A relay that was killed tells its last candles again."""
    now = OPEN + 60 * MINUTE
    board = BarBoard(now)
    for n in range(50, 58):
        board.minute_take("AAPL", bar(OPEN + n * MINUTE, 1))
    told(board, now := now + UPDATED_EVERY)
    found = []
    for trades in (3, 2, 3, 3, 4):
        board.minute_take("AAPL", bar(OPEN, trades))
        found += told(board, now := now + UPDATED_EVERY)
    assert found == [("updatedBars", OPEN, 3), ("updatedBars", OPEN, 4)]


@pytest.mark.parametrize("name", ["A\x00", "\ud800", "A B", "ABCDEFGHIJK", "", "%s", "*A", 7, None])
def test_what_names_no_symbol_is_not_subscribed_to(name: object) -> None:
    """One client's nonsense in a statement for all would keep every bar from being read."""
    with pytest.raises(SubscriptionInvalid):
        Subscription().change({"bars": [name]}, adding=True)
