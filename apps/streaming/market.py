"""The published market-data messages, and what one client has subscribed to."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.marketdata.venue import VENUE, trade_number
from apps.streaming.depth import DepthChange
from apps.streaming.feed import EVERY_SYMBOL, Frame
from apps.streaming.listeners import symbol_is_possible

BAR_CHANNELS = ("bars", "updatedBars", "dailyBars")
DEPTH_CHANNEL = "orderbooks"
CHANNELS = ("trades", "quotes", *BAR_CHANNELS, "statuses", "lulds", "imbalances", DEPTH_CHANNEL)
FOLLOWERS = ("corrections", "cancelErrors")
"""Channels that follow ``trades`` by themselves; clients never ask for them."""

SYMBOLS_MAX = 1_000
_ZERO = Decimal(0)


class SubscriptionInvalid(ValueError):
    """A subscribe message lists something that is no symbol."""


class SubscriptionTooLarge(ValueError):
    """A subscribe message would exceed the number of symbols."""


class Subscription:
    """Sets of symbols by channel; asking twice changes nothing."""

    def __init__(self) -> None:
        self.channels: dict[str, set[str]] = {name: set() for name in CHANNELS}

    def change(self, message: dict[str, Any], *, adding: bool) -> None:
        """Add or remove what a message lists; raises and changes nothing when it cannot be."""
        asked = {name: _symbols(message[name]) for name in CHANNELS if message.get(name)}
        after = {
            name: have | asked.get(name, set()) if adding else have - asked.get(name, set())
            for name, have in self.channels.items()
        }
        if len(set().union(*after.values())) > SYMBOLS_MAX:
            raise SubscriptionTooLarge
        self.channels = after

    def wants(self, channel: str, symbol: str) -> bool:
        have = self.channels[channel]
        return symbol in have or EVERY_SYMBOL in have

    def symbols(self) -> set[str]:
        """Return every symbol whose frames are needed."""
        return set().union(*(have for name, have in self.channels.items() if name not in BAR_CHANNELS))

    def bar_symbols(self) -> set[str]:
        """Return every symbol whose candles are needed."""
        return set().union(*(self.channels[name] for name in BAR_CHANNELS))

    def message(self) -> dict[str, Any]:
        """Return the whole present state, as the protocol answers every change.

        Our own channel is named only to who asked for it: published clients need not know it.
        """
        lists = {name: sorted(have) for name, have in self.channels.items() if have or name != DEPTH_CHANNEL}
        return {"T": "subscription", **lists, **dict.fromkeys(FOLLOWERS, lists["trades"])}


def _symbols(given: Any) -> set[str]:
    if not isinstance(given, list):
        raise SubscriptionInvalid
    if not all(one == EVERY_SYMBOL or symbol_is_possible(one) for one in given):
        raise SubscriptionInvalid
    return {symbol.upper() for symbol in given}


def trade_messages(frame: Frame, tape: str) -> Iterator[dict[str, Any]]:
    """Yield the trades of a tape frame."""
    for trade in frame["trades"]:
        yield {
            "T": "t",
            "S": frame["S"],
            "i": trade_number(trade["i"]),
            "x": VENUE,
            "p": Decimal(trade["p"]),
            "s": trade["s"],
            "c": ["@"],
            "z": tape,
            "t": datetime.fromisoformat(trade["t"]),
        }


def quote_message(frame: Frame, tape: str) -> dict[str, Any]:
    """Return the top of the book that a tape frame tells; a missing side is zero."""
    bid, bid_size = _best(frame["book"]["bids"])
    ask, ask_size = _best(frame["book"]["asks"])
    return {
        "T": "q",
        "S": frame["S"],
        "bx": VENUE,
        "bp": bid,
        "bs": bid_size,
        "ax": VENUE,
        "ap": ask,
        "as": ask_size,
        "c": ["R"],
        "z": tape,
        "t": datetime.fromisoformat(frame["t"]),
    }


def _best(levels: list[list[Any]]) -> tuple[Decimal, int]:
    return (Decimal(levels[0][0]), int(levels[0][1])) if levels else (_ZERO, 0)


def depth_message(change: DepthChange) -> dict[str, Any]:
    """Return a change of depth; ``r`` marks the whole book, 0 shares take a level away."""
    return {
        "T": "o",
        "S": change.symbol,
        "b": [{"p": Decimal(price), "s": size} for price, size in change.bids],
        "a": [{"p": Decimal(price), "s": size} for price, size in change.asks],
        "r": change.snapshot,
        "seq": change.seq,
        "prev": change.prev,
        "checksum": change.checksum,
        "t": datetime.fromisoformat(change.t),
    }


def quote_key(frame: Frame) -> tuple[Any, ...]:
    """Return what must change for a quote to be news."""
    book = frame["book"]
    return (tuple(map(tuple, book["bids"][:1])), tuple(map(tuple, book["asks"][:1])))
