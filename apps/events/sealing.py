"""Sealing: the relay's sink that chains committed events into blocks, in commit order, each event once."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction

from apps.events.chain import (
    EVENTS_MAX,
    GENESIS,
    HEADS_EVERY,
    Block,
    Leaf,
    Tip,
    block_make,
    heads_read,
    ids_range,
    leaf_hash,
    places_read,
)
from apps.events.records import EventRecord
from apps.events.relay import CursorMoved
from apps.events.topics import topic_partition
from apps.primitives.clock import utc_now
from apps.primitives.failpoints import failpoint

SINK = "chain"
BATCH_EVENTS = 5_000
"""What one turn seals at most: the relay of the account streams shares the process."""

TIP_SQL = "SELECT block_no, total, hash FROM event_blocks ORDER BY block_no DESC LIMIT 1"

HEADS_SQL = "SELECT heads FROM event_blocks WHERE block_no >= %s ORDER BY block_no"

# An index of ranges finds them, since one block's ids may lie between two of another's.
SEALED_SQL = """
SELECT places FROM event_blocks
WHERE int8range(lowest_event_id - 1, highest_event_id) && int8range(%s, %s)
"""

BLOCK_SQL = """
INSERT INTO event_blocks (block_no, events, total, first_xact_id, first_event_id, last_xact_id, last_event_id,
    lowest_event_id, highest_event_id, places, leaves, heads, previous_hash, hash, sealed_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


def tip_read(cursor: Any) -> Tip:
    """Return where the chain ends; its heads come from the last block that keeps all, and those since."""
    cursor.execute(TIP_SQL)
    row = cursor.fetchone()
    if row is None:
        return GENESIS
    block_no, total, its_hash = row
    cursor.execute(HEADS_SQL, (block_no - block_no % HEADS_EVERY,))
    heads: dict[int, bytes] = {}
    for (kept,) in cursor.fetchall():
        heads |= heads_read(bytes(kept))
    return Tip(block_no, total, bytes(its_hash), heads)


class ChainSink:
    """Seals what it is handed and what no block has yet; the blocks themselves say what is sealed.

    After a crash the relay hands over again what the last block took, and after a restored dump the last
    minutes whole, under other transaction ids: so each batch is compared with the blocks of its ids.
    """

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self.now = now
        self._tip: Tip | None = None

    def __call__(self, events: Sequence[EventRecord]) -> None:
        """Write the blocks of these events; raises ``CursorMoved`` when somebody else seals as well."""
        if self._tip is None:
            # Before we ask what is sealed: what another seals after that takes the number of our block.
            with connection.cursor() as cursor:
                self._tip = tip_read(cursor)
        fresh = self._unsealed(events)
        for start in range(0, len(fresh), EVENTS_MAX):
            self._tip = self._seal(self._tip, fresh[start : start + EVENTS_MAX])

    def _unsealed(self, events: Sequence[EventRecord]) -> list[EventRecord]:
        wanted = {event.id for event in events}
        with connection.cursor() as cursor:
            cursor.execute(SEALED_SQL, ids_range(min(wanted), max(wanted)))
            for (places,) in cursor:
                wanted.difference_update(places_read(bytes(places))[1])
        return [event for event in events if event.id in wanted]

    def _seal(self, tip: Tip, events: Sequence[EventRecord]) -> Tip:
        leaves = [
            Leaf(event.xact_id, event.id, topic_partition(event.user_id), leaf_hash(event.value()))
            for event in events
        ]
        with connection.cursor() as cursor:
            block, after = block_make(tip, leaves, self.now())
            failpoint("chain.before_block", block_no=block.block_no)
            try:
                with transaction.atomic(durable=True):
                    # The relay's session does not wait for the disk; a block may be anchored at once.
                    cursor.execute("SET LOCAL synchronous_commit = on")
                    cursor.execute(BLOCK_SQL, _row(block, leaves))
            except IntegrityError as error:
                raise CursorMoved(f"somebody else has sealed block {block.block_no}") from error
        failpoint("chain.after_block", block_no=block.block_no)
        return after


def _row(block: Block, leaves: Sequence[Leaf]) -> tuple[Any, ...]:
    ids = [leaf.event_id for leaf in leaves]
    first, last = leaves[0], leaves[-1]
    places = (first.xact_id, first.event_id, last.xact_id, last.event_id, min(ids), max(ids))
    contents = (block.places, block.leaves, block.heads, block.previous_hash, block.hash, block.sealed_at)
    return (block.block_no, len(leaves), block.total, *places, *contents)
