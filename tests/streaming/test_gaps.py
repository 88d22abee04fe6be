"""What the tape loses on its way: the book is whole again at once, missed trades are told late and once."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import connections

from apps.marketdata.candles import Tick
from apps.marketdata.services import ticks_append
from apps.primitives.clock import iso, utc_now
from apps.streaming import repairs
from apps.streaming.feed import Feed
from apps.streaming.repairs import LOOKS_S, SEEN_MAX, SEEN_MIN, SEEN_S, TradesSeen, trade_told

BOOK = {"bids": [["100.0000", 5]], "asks": []}


class Ear:
    """Keeps the trades and the gaps of what it is told."""

    def __init__(self) -> None:
        self.trades: list[int] = []
        self.gaps: list[bool] = []

    def frame_take(self, frame: dict[str, Any]) -> None:
        self.trades.extend(trade["i"] for trade in frame["trades"])
        self.gaps.append(bool(frame.get("gap")))


def tick(number: int, symbol: str = "AAPL") -> Tick:
    return Tick(number, utc_now(), symbol, Decimal("100.25"), 10, "BUY")


def told(seq: int, *ticks: Tick, symbol: str = "AAPL") -> dict[str, Any]:
    trades = [trade_told(one) for one in ticks]
    return {"S": symbol, "seq": seq, "t": iso(utc_now()), "trades": trades, "book": BOOK}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for missed trades at once, and once more."""
    monkeypatch.setattr(repairs, "LOOKS_S", (0.0, 0.0))


def repaired(feed: Feed, looks: int = 1) -> None:
    async def look() -> None:
        for _ in range(looks):
            await feed.repairs.step()
        await database_sync_to_async(connections.close_all)()

    asyncio.run(look())


def test_missed_trades_are_read_from_the_store_and_none_is_told_twice(database: None, soon: None) -> None:
    feed, ear = Feed(), Ear()
    feed.listen(ear, {"AAPL"})
    first, lost, lost_too, last = [tick(n) for n in range(1, 5)]
    feed.take(told(1, first))
    feed.take(told(4, last))
    assert (ear.trades, ear.gaps) == ([1, 4], [False, True])
    ticks_append([first, lost, last])
    repaired(feed)
    assert ear.trades == [1, 4, 2]
    # Stored only after the first look: the second one finds it.
    ticks_append([lost_too])
    repaired(feed)
    assert ear.trades == [1, 4, 2, 3]
    repaired(feed)
    feed.take(told(5, lost))
    assert ear.trades == [1, 4, 2, 3]
    assert [trade["i"] for trade in feed.trades["AAPL"]] == [1, 4], "pages read what was before by themselves"


def test_trades_of_before_this_process_are_not_told(database: None, soon: None) -> None:
    earlier = Tick(1, utc_now() - timedelta(seconds=1), "AAPL", Decimal(100), 1)
    feed, ear = Feed(), Ear()
    feed.listen(ear, {"*"})
    feed.take(told(1))
    feed.take(told(9))
    ticks_append([earlier])
    repaired(feed)
    assert ear.trades == []


def test_nobody_reads_the_store_for_symbols_that_nobody_hears(database: None, soon: None) -> None:
    feed = Feed()
    feed.take(told(1))
    feed.take(told(9))
    assert feed.repairs._due == {}


def test_a_kept_frame_shows_a_gap_and_its_twin_on_the_channel_brings_its_trades() -> None:
    feed, ear = Feed(), Ear()
    feed.listen(ear, {"AAPL"})
    feed.take(told(1))
    kept = told(2)
    feed._seed_frame(kept)
    feed.take(told(2, tick(7)))
    feed.take(told(2, tick(7)))
    feed.take(told(3, tick(8)))
    assert (ear.trades, ear.gaps) == ([7, 8], [False, True, False, False])
    feed._seed_frame(told(3))
    assert len(ear.gaps) == 4, "what is known already is no news"


def test_who_hears_a_symbol_and_every_symbol_is_told_once() -> None:
    feed, ear = Feed(), Ear()
    feed.listen(ear, {"AAPL", "*"})
    feed.take(told(1, tick(1)))
    assert ear.trades == [1]


def test_the_memory_of_trades_is_bounded_and_outlives_the_last_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = TradesSeen()
    trades = [{"i": number} for number in range(SEEN_MAX + 10)]
    assert seen.fresh(trades) == trades
    assert seen.fresh(trades[-SEEN_MAX:]) == [], "more than a minute's trades are known for a minute"
    assert seen.fresh(trades[:1]) == trades[:1]
    monkeypatch.setattr(repairs, "SEEN_S", 0.0)
    seen.fresh([{"i": -1}])
    assert len(seen._ids) == SEEN_MIN, "then only the newest"
    assert seen.fresh(trades[-10:]) == []
    assert LOOKS_S[-1] < SEEN_S


def test_trades_after_the_gap_are_not_read(database: None, soon: None) -> None:
    feed, ear = Feed(), Ear()
    feed.listen(ear, {"AAPL"})
    feed.take(told(1))
    feed.take(told(3))
    later = Tick(8, utc_now() + timedelta(seconds=10), "AAPL", Decimal(100), 1)
    ticks_append([tick(7), later])
    repaired(feed, looks=2)
    assert ear.trades == [7]
