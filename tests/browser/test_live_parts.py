"""The page's own modules that keep books and candles, run in Chromium without a platform."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from apps.marketdata.candles import Bar
from apps.streaming.bar_feed import Unit
from apps.streaming.depth import DepthMemory, book_checksum
from apps.streaming.frames import bars_of, depth_of
from apps.web.views.charts import bar_json, wall_seconds
from brokerage.env import ROOT
from tests.streaming.test_bars import OPEN
from tests.streaming.test_depth import book_random, tape_frame

SCRIPTS = ROOT / "static" / "js"
ADDRESS = "http://modules.test/"

PLAY_BOOK = """async (steps) => {
  const { Book } = await import("./book.js");
  const book = new Book();
  let resyncs = 0;
  for (const [n, step] of steps.entries()) {
    if (step.lost) continue;
    for (const frame of step.frames) {
      if (book.take(frame)) continue;
      resyncs += 1;
      if (!book.take(step.snapshot)) return { n, wrong: "a snapshot does not fit" };
    }
    const shown = JSON.stringify([book.bids, book.asks]);
    const wanted = JSON.stringify([step.snapshot.bids, step.snapshot.asks]);
    if (step.frames.length && shown !== wanted) return { n, wrong: shown, wanted };
  }
  return { resyncs };
}"""

PLAY_CANDLES = """async ({ name, seconds, offset, reply, told }) => {
  const { barOf, Candles, intervalOf, stepOf } = await import("./candles.js");
  const interval = intervalOf(name, seconds);
  const candles = new Candles(reply.bars.map(barOf), reply.steps.map(barOf), interval, 2000);
  const changes = [];
  for (const message of told) {
    const steps = message[interval.unit].map((candle) => stepOf(candle, interval.unit, offset));
    changes.push(...steps.map((step) => candles.take(step)));
  }
  return { bars: candles.bars, changes };
}"""


@pytest.fixture
def modules(desktop: Browser) -> Iterator[Page]:
    """A blank page that may import the site's modules."""
    page = desktop.new_page()

    def serve(route: Route) -> None:
        name = route.request.url.removeprefix(ADDRESS)
        if name:
            route.fulfill(path=SCRIPTS / name, content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    page.route(f"{ADDRESS}**", serve)
    page.goto(ADDRESS)
    yield page
    page.close()


def depth_steps(seed: int, lost: float) -> list[dict[str, Any]]:
    """Return changes, some of which never arrive, each with the snapshot that would be sent then."""
    rng, memory, book = random.Random(seed), DepthMemory(), None
    steps = []
    for seq in range(1, 300):
        book = book_random(rng, book)
        memory.take(tape_frame(seq, book))
        if rng.random() < 0.7:
            fresh = DepthMemory()
            fresh.begin("AAPL", tape_frame(seq, book))
            frames = [depth_of(change) for change in memory.pull()]
            (whole,) = fresh.pull()
            steps.append({"lost": rng.random() < lost, "frames": frames, "snapshot": depth_of(whole)})
    return steps


@pytest.mark.parametrize("lost", [0.0, 0.2])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_page_s_book_is_the_server_s_at_every_step(modules: Page, seed: int, lost: float) -> None:
    played = modules.evaluate(PLAY_BOOK, depth_steps(seed, lost))
    assert "wrong" not in played, played
    assert (played["resyncs"] > 0) == bool(lost)


def test_the_page_s_book_refuses_what_does_not_fit(modules: Page) -> None:
    memory = DepthMemory()
    memory.begin("AAPL", tape_frame(1, {"bids": [["100.0000", 5]], "asks": []}))
    (whole,) = memory.pull()
    memory.take(tape_frame(2, {"bids": [["100.0000", 6]], "asks": []}))
    (change,) = memory.pull()
    frames = [
        depth_of(change),
        depth_of(replace(whole, checksum=1)),
        depth_of(whole),
        depth_of(replace(change, prev=7)),
        depth_of(replace(change, bids=[["100.0000", 7]])),
        depth_of(change),
    ]
    played = modules.evaluate(
        """async (frames) => {
          const { Book } = await import("./book.js");
          const book = new Book();
          return frames.map((frame) => [book.take(frame), book.seq, book.bids]);
        }""",
        frames,
    )
    assert [fits for fits, _, _ in played] == [False, False, True, False, False, True]
    assert played[4][1:] == [1, [["100.0000", 5]]], "the copy stays as it was"
    assert played[5][1:] == [2, [["100.0000", 6]]]


def test_the_page_s_checksum_is_the_server_s(modules: Page) -> None:
    books = [
        ([["100.4000", 8], ["0.5000", 1]], [["999999.9999", 10_000_000]]),
        ([], [["0.0001", 3]]),
        ([], []),
    ]
    sums = modules.evaluate(
        """async (books) => {
          const { bookChecksum } = await import("./book.js");
          return books.map(([bids, asks]) => bookChecksum(bids, asks));
        }""",
        books,
    )
    assert sums == [book_checksum(bids, asks) for bids, asks in books]


class Market:
    """Trades in one symbol, and the candles that they make at any moment."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.trades: list[tuple[Any, Decimal, int]] = []

    def trade(self, at: Any) -> None:
        self.trades.append(
            (at, Decimal(self.rng.randint(990_000, 1_010_000)) / 10_000, self.rng.randint(1, 9))
        )

    def candles(self, length: timedelta) -> list[Bar]:
        """Return the candles of this length, trades in the order of their times."""
        found: dict[Any, list[tuple[Any, Decimal, int]]] = {}
        for one in sorted(self.trades, key=lambda trade: trade[0]):
            found.setdefault(one[0] - (one[0] - OPEN) % length, []).append(one)
        return [
            Bar(
                start,
                made[0][1],
                max(price for _, price, _ in made),
                min(price for _, price, _ in made),
                made[-1][1],
                sum(size for _, _, size in made),
                len(made),
            )
            for start, made in sorted(found.items())
        ]


@pytest.mark.parametrize(("name", "seconds"), [("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3600)])
def test_the_newest_candle_of_the_page_is_the_store_s_at_every_interval(
    modules: Page, name: str, seconds: int
) -> None:
    """Trades go on after the chart was read; states of minutes come late, twice, and out of order."""
    market, minute, length = Market(seconds), timedelta(minutes=1), timedelta(seconds=seconds)
    for second in range(0, 700, 7):
        market.trade(OPEN + timedelta(seconds=second))
    bars = market.candles(length)
    steps = [bar for bar in market.candles(minute) if bar.time >= bars[-1].time]
    reply = {
        "bars": [bar_json(bar, True) for bar in bars],
        "steps": [bar_json(bar, True) for bar in steps],
    }
    told = []
    states: list[Bar] = []
    for second in range(701, 5_000, 13):
        market.trade(OPEN + timedelta(seconds=second))
        states = [*states[-1:], market.candles(minute)[-1]]
        unit: Unit = "minute"
        told.append(bars_of("AAPL", [(unit, bar) for bar in states]))
        if second % 5 == 0:
            told.append(bars_of("AAPL", [(unit, states[0])]))
    offset = wall_seconds(OPEN) - int(OPEN.timestamp())
    asked = {"name": name, "seconds": seconds, "offset": offset, "reply": reply, "told": told}
    played = modules.evaluate(PLAY_CANDLES, asked)
    wanted = [
        {
            "time": wall_seconds(bar.time),
            "open": float(bar.open),
            "high": float(bar.high),
            "low": float(bar.low),
            "close": float(bar.close),
            "volume": bar.volume,
        }
        for bar in market.candles(length)
    ]
    assert played["bars"] == wanted
    assert (
        "late"
        in modules.evaluate(
            PLAY_CANDLES, {**asked, "told": [*told, bars_of("AAPL", [("minute", steps[0])])]}
        )["changes"]
    )


def test_days_and_weeks_follow_the_exchange_s_dates(modules: Page) -> None:
    friday, monday = OPEN.replace(hour=5), OPEN.replace(hour=5) + timedelta(days=3)
    bars = [
        Bar(start, *(Decimal(price) for price in (100, 102, 99, 101)), 10, 1) for start in (friday, monday)
    ]
    told = [bars_of("AAPL", [("day", bar)]) for bar in bars]
    asked = {"offset": -18_000, "reply": {"bars": [], "steps": []}, "told": told}
    days = modules.evaluate(PLAY_CANDLES, {**asked, "name": "1D", "seconds": 86_400})["bars"]
    weeks = modules.evaluate(PLAY_CANDLES, {**asked, "name": "1W", "seconds": 604_800})["bars"]
    assert [bar["time"] for bar in days] == [bar_json(bar, False)["t"] for bar in bars]
    monday_before = bar_json(replace(bars[0], time=friday - timedelta(days=4)), False)["t"]
    assert [bar["time"] for bar in weeks] == [monday_before, bar_json(bars[1], False)["t"]]
