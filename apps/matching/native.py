"""The compiled engine behind the interface the reference shares; the only importer of its book."""

import struct
from typing import NamedTuple

import numpy as np
from openbell_engine import MatchingEngine, codes, command_layout, event_layout, limits

from apps.matching.codes import COMMAND_DTYPE, EVENT_DTYPE

__all__ = ["NativeEngine", "codes", "command_layout", "event_layout", "limits", "snapshot_facts"]

DepthLevel = tuple[int, int, int]

# The engine's SnapshotHeader: magic, version, books, orders, content bytes, last seq, state hash.
_SNAPSHOT_HEADER = struct.Struct("<QIIQQQQ")


class SnapshotFacts(NamedTuple):
    """What a snapshot of the engine says of itself."""

    order_count: int
    state_hash: int


def snapshot_facts(snapshot: bytes | memoryview) -> SnapshotFacts:
    """Return how many orders a snapshot holds and the hash of its state, without computing it again."""
    _, _, _, orders, _, _, state_hash = _SNAPSHOT_HEADER.unpack_from(snapshot)
    return SnapshotFacts(orders, state_hash)


class NativeEngine:
    """Run the C++ book. A RuntimeError from it is a broken invariant: end the process, do not go on."""

    def __init__(self, *, max_orders: int, max_books: int) -> None:
        self._limits = (max_orders, max_books)
        self._engine = MatchingEngine(max_orders, max_books)

    def process(self, commands: np.ndarray) -> np.ndarray:
        """Apply COMMAND_DTYPE records in order and return the EVENT_DTYPE records, read-only."""
        if commands.dtype != COMMAND_DTYPE:
            raise ValueError("commands must be records of COMMAND_DTYPE")
        return np.frombuffer(self._engine.process(np.ascontiguousarray(commands)), dtype=EVENT_DTYPE)

    def depth(self, symbol_id: int, levels: int) -> tuple[list[DepthLevel], list[DepthLevel]]:
        """Return bids and asks, best first, as (price in units, quantity, number of orders)."""
        return self._engine.depth(symbol_id, levels)

    def state_hash(self, symbol_id: int | None = None) -> int:
        """Return the hash of everything that decides future matching, of one book or of all."""
        return self._engine.state_hash(symbol_id)

    def order_count(self) -> int:
        """Return how many orders are resting in all books."""
        return self._engine.order_count()

    def last_trade(self, symbol_id: int) -> tuple[int, int, int, int] | None:
        """Return (price in units, quantity, time in ns, volume), or None before the first trade."""
        return self._engine.last_trade(symbol_id)

    def indication(self, symbol_id: int) -> tuple[int, int, int] | None:
        """Return (price, volume, imbalance: bid minus offered) that an uncross would find now, or None."""
        return self._engine.indication(symbol_id)

    def book_status(self, symbol_id: int) -> tuple[int, int, int, int, int, int] | None:
        """Return (phase, mode, limit state's side, lower band, upper band, tick), or None without a book."""
        return self._engine.book_status(symbol_id)

    def last_seq(self) -> int:
        """Return the sequence number of the last command applied."""
        return self._engine.last_seq()

    def snapshot(self) -> bytes:
        """Return everything that decides future matching, checksummed."""
        return self._engine.snapshot()

    def load(self, snapshot: bytes | memoryview) -> None:
        """Become the engine that the snapshot was taken of; ValueError when it is damaged or too large."""
        self._engine = MatchingEngine.restore(snapshot, *self._limits)

    @classmethod
    def restore(cls, snapshot: bytes, *, max_orders: int, max_books: int) -> "NativeEngine":
        """Return a new engine as it was when the snapshot was taken; ValueError as ``load``."""
        engine = cls(max_orders=max_orders, max_books=max_books)
        engine.load(snapshot)
        return engine
