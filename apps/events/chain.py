"""The hash chain over the events: leaves, heads of topic partitions, blocks, and the bytes they are kept in.

A leaf is the SHA-256 of one event's bytes. Each topic partition of the audit log has a running head over
the leaves of its events, which a subscriber of that partition alone can follow. A block names some events
by their places in commit order, keeps their leaves and the heads after them, and hashes it all together
with the hash of the block before. Whoever changes anything must change every block after it.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from apps.primitives.clock import unix_ns
from apps.primitives.ids import ID_MAX

HASH_BYTES = 32
NOTHING = bytes(HASH_BYTES)
"""The head of a topic partition without events, and the hash before the first block."""

EVENTS_MAX = 10_000
"""Events in one block at most, so that what is wrong in one is found by reading little."""

HEADS_EVERY = 256
"""Each block of such a number keeps the heads of all topic partitions, others of those they touch."""

_BLOCK = struct.Struct(">16sQQQQ")
_NAME = b"openbell block 1"
_HEAD = struct.Struct(">H32s")


class Leaf(NamedTuple):
    """One event as the chain sees it: its place in commit order, its topic partition, its hash."""

    xact_id: int
    event_id: int
    topic_partition: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Some events sealed together; ``total`` counts the events of the chain up to and with this block."""

    block_no: int
    total: int
    places: bytes
    leaves: bytes
    heads: bytes
    previous_hash: bytes
    sealed_at: datetime
    hash: bytes

    @property
    def count(self) -> int:
        return len(self.leaves) // HASH_BYTES


@dataclass(frozen=True, slots=True)
class Tip:
    """Where the chain ends: its last block, and the head of every topic partition that has one."""

    block_no: int
    total: int
    hash: bytes
    heads: Mapping[int, bytes]


GENESIS = Tip(0, 0, NOTHING, {})


def leaf_hash(value: bytes) -> bytes:
    """Return the leaf of an event's bytes."""
    return hashlib.sha256(value).digest()


def heads_follow(heads: dict[int, bytes], leaves: Iterable[tuple[int, bytes]]) -> set[int]:
    """Move ``heads`` on over (topic partition, leaf) in sealed order; returns the partitions touched.

    A topic partition's next head is the SHA-256 of its head and the leaf, one after the other.
    """
    touched = set()
    sha256 = hashlib.sha256
    for partition, leaf in leaves:
        heads[partition] = sha256(heads.get(partition, NOTHING) + leaf).digest()
        touched.add(partition)
    return touched


def heads_kept(block_no: int, heads: Mapping[int, bytes], touched: set[int]) -> bytes:
    """Return the heads that a block of this number keeps, as bytes, by topic partition."""
    wanted = heads if block_no % HEADS_EVERY == 0 else touched
    return b"".join(_HEAD.pack(partition, heads[partition]) for partition in sorted(wanted))


def heads_read(kept: bytes) -> dict[int, bytes]:
    """Return the heads that a block keeps; raises ``ValueError`` for bytes that are none."""
    if len(kept) % _HEAD.size:
        raise ValueError("the heads of a block are cut off")
    return dict(_HEAD.iter_unpack(kept))


def places_pack(places: Sequence[tuple[int, int]]) -> bytes:
    """Return (transaction id, event id) pairs as 16 bytes each, big-endian."""
    return struct.pack(f">{2 * len(places)}Q", *[number for place in places for number in place])


def places_read(places: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the transaction ids and the event ids of packed places; raises ``ValueError`` if cut off."""
    if len(places) % 16:
        raise ValueError("the places of a block are cut off")
    numbers = struct.unpack(f">{len(places) // 8}Q", places)
    return numbers[::2], numbers[1::2]


def leaves_read(leaves: bytes) -> Iterator[bytes]:
    """Yield the leaves of a block in sealed order."""
    return (leaves[start : start + HASH_BYTES] for start in range(0, len(leaves), HASH_BYTES))


def ids_range(low: int, high: int) -> tuple[int | None, int | None]:
    """Return the bounds with which the index of the blocks finds those that touch these ids, both included.

    A range ends one beyond its last number, and nothing is beyond the largest id: so the index's ranges
    begin one before their first instead, and so do these. None is without a bound.
    """
    return None if low <= -ID_MAX else low - 1, None if high >= ID_MAX else high + 1


def block_hash(
    block_no: int,
    total: int,
    places: bytes,
    leaves: bytes,
    heads: bytes,
    previous_hash: bytes,
    sealed_at: datetime,
) -> bytes:
    """Return the hash of a block; with the lengths in it no byte can move from one part to another."""
    sealed_us = unix_ns(sealed_at) // 1_000
    digest = hashlib.sha256(_BLOCK.pack(_NAME, block_no, total, sealed_us, len(leaves)))
    for part in (previous_hash, places, leaves, heads):
        digest.update(part)
    return digest.digest()


def block_make(tip: Tip, leaves: Sequence[Leaf], sealed_at: datetime) -> tuple[Block, Tip]:
    """Return the block of these events after ``tip``, and the tip after it; pure."""
    assert 0 < len(leaves) <= EVENTS_MAX
    heads = dict(tip.heads)
    touched = heads_follow(heads, ((leaf.topic_partition, leaf.hash) for leaf in leaves))
    block_no, total = tip.block_no + 1, tip.total + len(leaves)
    places = places_pack([(leaf.xact_id, leaf.event_id) for leaf in leaves])
    hashes = b"".join([leaf.hash for leaf in leaves])
    kept = heads_kept(block_no, heads, touched)
    its_hash = block_hash(block_no, total, places, hashes, kept, tip.hash, sealed_at)
    block = Block(block_no, total, places, hashes, kept, tip.hash, sealed_at, its_hash)
    return block, Tip(block_no, total, its_hash, heads)
