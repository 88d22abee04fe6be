"""Depth: whatever is conflated or lost, a client's copy is the book, or the client knows that it is not."""

import random
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.streaming.depth import DepthChange, DepthMemory, book_checksum, levels_changed
from apps.streaming.feed import Feed

LEVELS = 10


def book_random(rng: random.Random, before: dict[str, Any] | None) -> dict[str, Any]:
    """Return a book some orders away from another, ten levels a side at most."""
    sides: dict[str, dict[int, int]] = {"bids": {}, "asks": {}}
    for side in sides if before else ():
        sides[side] = {int(price.replace(".", "")): size for price, size in (before or {})[side]}
    for _ in range(rng.choice((0, 1, 1, 2, 5, 30))):
        side = rng.choice(("bids", "asks"))
        # Narrow, so that levels come, change and go; the books may cross, as before an auction.
        price = rng.randint(1, 40) * 100 + rng.choice((0, 0, 0, 1))
        if rng.random() < 0.4:
            sides[side].pop(price, None)
        else:
            sides[side][price] = rng.randint(1, 3) * 100
    if rng.random() < 0.02:
        sides["asks"].clear()

    def levels(side: str, best_first: bool) -> list[list[Any]]:
        inside = sorted(sides[side].items(), reverse=best_first)[:LEVELS]
        return [[f"{price // 10_000}.{price % 10_000:04}", size] for price, size in inside]

    return {"bids": levels("bids", True), "asks": levels("asks", False)}


def tape_frame(seq: int, book: dict[str, Any]) -> dict[str, Any]:
    return {"S": "AAPL", "seq": seq, "t": "2026-01-02T03:04:05.678901Z", "trades": [], "book": book}


class Copy:
    """A client's copy of one book, as the page of documentation says it is to be kept."""

    def __init__(self) -> None:
        self.seq: int | None = None
        self.book: dict[str, Any] = {"bids": [], "asks": []}

    def take(self, change: DepthChange) -> bool:
        if change.prev is not None and change.prev != self.seq:
            return False
        bids = self._side("bids", change.bids, change.snapshot, best_first=True)
        asks = self._side("asks", change.asks, change.snapshot, best_first=False)
        if book_checksum(bids, asks) != change.checksum:
            return False
        self.seq, self.book = change.seq, {"bids": bids, "asks": asks}
        return True

    def _side(self, name: str, changes: list[list[Any]], anew: bool, *, best_first: bool) -> list[list[Any]]:
        levels = {} if anew else dict(map(tuple, self.book[name]))
        levels.update(map(tuple, changes))
        inside = [[price, size] for price, size in levels.items() if size]
        return sorted(inside, key=lambda level: float(level[0]), reverse=best_first)


class Client:
    """Listens to a feed through its own memory of what it was told, over a line that may lose frames."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.memory = DepthMemory()
        self.memory.begin("AAPL", feed.latest.get("AAPL"))
        self.copy = Copy()
        self.resyncs = 0
        feed.listen(self, {"AAPL"})

    def frame_take(self, frame: dict[str, Any]) -> None:
        self.memory.take(frame)

    def pull(self, *, is_lost: bool) -> None:
        for change in self.memory.pull():
            if is_lost:
                continue
            if self.copy.take(change):
                assert self.copy.book == self.feed.latest["AAPL"]["book"]
                assert change.checksum == book_checksum(self.copy.book["bids"], self.copy.book["asks"])
            else:
                self.resyncs += 1
                self.memory.begin("AAPL", self.feed.latest["AAPL"])
                self.pull(is_lost=False)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    steps=st.integers(1, 60),
    lost_on_tape=st.sampled_from((0.0, 0.1, 0.5)),
    pulled=st.sampled_from((1.0, 0.5, 0.1)),
    lost_after=st.sampled_from((0.0, 0.1, 0.5)),
)
def test_snapshot_and_changes_are_a_fresh_snapshot_at_every_step(
    seed: int, steps: int, lost_on_tape: float, pulled: float, lost_after: float
) -> None:
    rng, feed = random.Random(seed), Feed()
    book = book_random(rng, None)
    feed.take(tape_frame(1, book))
    client = Client(feed)
    for seq in range(2, steps + 2):
        book = book_random(rng, book)
        if rng.random() >= lost_on_tape:
            feed.take(tape_frame(seq, book))
        if rng.random() < pulled:
            client.pull(is_lost=rng.random() < lost_after)
    # Once anything arrives, the copy is the newest book, whatever was lost before.
    feed.take(tape_frame(steps + 2, {"bids": [["99.0000", steps]], "asks": []}))
    client.pull(is_lost=False)
    assert client.copy.book == feed.latest["AAPL"]["book"]
    fresh = Client(feed)
    fresh.pull(is_lost=False)
    assert (fresh.copy.book, fresh.copy.seq) == (client.copy.book, client.copy.seq)
    if not lost_after:
        assert client.resyncs == 0, "what the tape loses is mended before the client"


def _frames(*books: tuple[list[Any], list[Any]]) -> list[dict[str, Any]]:
    return [tape_frame(n, {"bids": bids, "asks": asks}) for n, (bids, asks) in enumerate(books, 1)]


def test_a_change_tells_what_differs_and_takes_away_with_no_shares() -> None:
    first, second = _frames(
        ([["100.0000", 5], ["99.0000", 7]], [["101.0000", 3]]),
        ([["100.0000", 6], ["98.5000", 1]], [["101.0000", 3]]),
    )
    memory = DepthMemory()
    memory.begin("AAPL", first)
    (whole,) = memory.pull()
    assert (whole.snapshot, whole.prev, whole.seq, whole.bids) == (True, None, 1, first["book"]["bids"])
    memory.take(second)
    (change,) = memory.pull()
    assert (change.snapshot, change.prev, change.seq) == (False, 1, 2)
    assert change.bids == [["99.0000", 0], ["100.0000", 6], ["98.5000", 1]]
    assert change.asks == []
    assert list(memory.pull()) == []


def test_a_book_that_came_back_to_what_was_told_is_no_news_and_breaks_no_sequence() -> None:
    there, away, back, on = _frames(
        ([["100.0000", 5]], []), ([["100.0000", 9]], []), ([["100.0000", 5]], []), ([["100.0000", 4]], [])
    )
    memory = DepthMemory()
    memory.begin("AAPL", there)
    assert len(list(memory.pull())) == 1
    memory.take(away)
    memory.take(back)
    assert list(memory.pull()) == []
    memory.take(on)
    assert [(change.prev, change.seq) for change in memory.pull()] == [(1, 4)]


def test_a_gap_on_the_tape_brings_the_whole_book_even_if_it_looks_the_same() -> None:
    feed = Feed()
    feed.take(tape_frame(1, {"bids": [["100.0000", 5]], "asks": []}))
    client = Client(feed)
    client.pull(is_lost=False)
    feed.take(tape_frame(3, {"bids": [["100.0000", 5]], "asks": []}))
    feed.take(tape_frame(4, {"bids": [["100.0000", 5]], "asks": []}))
    assert [(change.snapshot, change.seq) for change in client.memory.pull()] == [(True, 4)]


def test_a_changed_bit_anywhere_is_noticed() -> None:
    (frame,) = _frames(([["100.0000", 5], ["99.0000", 7]], [["101.0000", 3]]))
    memory = DepthMemory()
    memory.begin("AAPL", frame)
    (whole,) = memory.pull()
    for broken in (
        replace(whole, bids=[["100.0000", 5]]),
        replace(whole, bids=[["100.0001", 5], ["99.0000", 7]]),
        replace(whole, asks=[["101.0000", 4]]),
        replace(whole, bids=[], asks=[*whole.bids, *whole.asks]),
        replace(whole, checksum=whole.checksum ^ 1),
    ):
        assert not Copy().take(broken)
    assert Copy().take(whole)


@pytest.mark.parametrize(
    ("bids", "asks", "checksum"),
    [
        ([["100.4000", 8], ["100.3000", 1]], [["100.5000", 10]], 1_572_723_878),
        ([], [["0.5000", 3]], None),
        ([], [], None),
    ],
)
def test_the_checksum_is_of_the_documented_text(bids: Any, asks: Any, checksum: int | None) -> None:
    def units(price: str) -> int:
        return round(float(price) * 10_000)

    sides = [":".join(f"{units(price)}:{size}" for price, size in side) for side in (bids, asks)]
    assert book_checksum(bids, asks) == zlib.crc32("|".join(sides).encode())
    if checksum is not None:
        assert book_checksum(bids, asks) == checksum


def test_levels_that_did_not_change_are_not_told() -> None:
    assert levels_changed([["1.0000", 1]], [["1.0000", 1]]) == []
