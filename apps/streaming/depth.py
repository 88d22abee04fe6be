"""Depth as clients follow it: a snapshot, then what changed since, each with a sequence and a checksum."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from apps.streaming.feed import Frame

Levels = Sequence[Sequence[Any]]
"""Price levels best first, as [price text, shares]."""


@dataclass(frozen=True, slots=True)
class DepthChange:
    """What leads one client's copy of a book to where the tape is: to ``seq`` from ``prev``.

    Without a ``prev`` the levels are the whole book. With one they are those that changed; shares are what
    now stands there, and 0 takes the level away.
    """

    symbol: str
    seq: int
    prev: int | None
    bids: list[list[Any]]
    asks: list[list[Any]]
    checksum: int
    t: str

    @property
    def snapshot(self) -> bool:
        return self.prev is None


def book_checksum(bids: Levels, asks: Levels) -> int:
    """Return the CRC-32 of a book's text: ``price:shares`` best first joined by ``:``, bids ``|`` asks.

    Prices are whole numbers of 1/10,000 dollar, so that it does not matter how a client writes them.
    """
    return zlib.crc32(f"{_side_text(bids)}|{_side_text(asks)}".encode())


def _side_text(levels: Levels) -> str:
    return ":".join(f"{_units(price)}:{size}" for price, size in levels)


def _units(price: str) -> str:
    # The tape writes every price with four decimals.
    return price.replace(".", "").lstrip("0")


def levels_changed(before: Levels, after: Levels) -> list[list[Any]]:
    """Return the levels that differ, those that went with 0 shares."""
    old, new = {level[0]: level[1] for level in before}, {level[0]: level[1] for level in after}
    gone = [[price, 0] for price in old if price not in new]
    return gone + [[price, size] for price, size in new.items() if old.get(price) != size]


class DepthMemory:
    """What one client was last told of each book it follows: each change is made from there to now.

    Frames that are never pulled are passed over, so conflation and losses before it need no thought. The
    client notices what is lost after it: its ``seq`` is not the ``prev`` of what comes.
    """

    def __init__(self) -> None:
        self._told: dict[str, Frame] = {}
        self._due: dict[str, Frame] = {}

    def begin(self, symbol: str, newest: Frame | None) -> None:
        """Tell the whole book next: as it is known now, or as it comes."""
        self._told.pop(symbol, None)
        self._due.pop(symbol, None)
        if newest is not None:
            self._due[symbol] = newest

    def take(self, frame: Frame) -> None:
        """Take in a frame; after a gap on the tape the whole book is told again."""
        if frame.get("gap"):
            self._told.pop(frame["S"], None)
        self._due[frame["S"]] = frame

    def forget(self, symbol: str) -> None:
        self._told.pop(symbol, None)
        self._due.pop(symbol, None)

    def pull(self) -> Iterator[DepthChange]:
        """Yield what has to be told now, and take it as told."""
        due, self._due = self._due, {}
        for symbol, frame in due.items():
            told = self._told.get(symbol)
            if told is None or told["book"] != frame["book"]:
                self._told[symbol] = frame
                yield _change(told, frame)


def _change(told: Frame | None, frame: Frame) -> DepthChange:
    book = frame["book"]
    before = told["book"] if told else {"bids": (), "asks": ()}
    return DepthChange(
        symbol=frame["S"],
        seq=frame["seq"],
        prev=told["seq"] if told else None,
        bids=levels_changed(before["bids"], book["bids"]),
        asks=levels_changed(before["asks"], book["asks"]),
        checksum=_checksum_of(frame),
        t=frame["t"],
    )


def _checksum_of(frame: Frame) -> int:
    """Return the checksum of a frame's book, worked out once for all clients."""
    if "checksum" not in frame:
        frame["checksum"] = book_checksum(frame["book"]["bids"], frame["book"]["asks"])
    return int(frame["checksum"])
