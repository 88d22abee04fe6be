"""One piece of verifying: some consecutive blocks and every record whose id lies in their stretch of ids.

Nothing that the database says of itself is believed: each record is read, written out and hashed here. A
piece knows where it starts (the hash and heads before it), so pieces can be worked on in several processes.
"""

import struct
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import psycopg

from apps.audit.archives import Archive, archive_lines
from apps.audit.findings import KEPT_MAX, Findings, What
from apps.audit.lines import COPY_SQL, line_split, line_value, value_is_of
from apps.events.chain import (
    HASH_BYTES,
    HEADS_EVERY,
    block_hash,
    heads_follow,
    heads_kept,
    heads_read,
    ids_range,
    leaf_hash,
    leaves_read,
    places_read,
)
from apps.events.topics import topic_partition

STRANGERS_MAX = 20_000
"""Records without a block that are looked up together."""

SESSION_SQL = """
SET TIME ZONE 'UTC'; SET datestyle = 'ISO';
SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
SET default_transaction_read_only = on
"""

BLOCKS_SQL = """
SELECT block_no, events, total, first_xact_id, first_event_id, last_xact_id, last_event_id,
       lowest_event_id, highest_event_id, places, leaves, heads, previous_hash, hash, sealed_at
FROM event_blocks WHERE block_no BETWEEN %s AND %s ORDER BY block_no
"""

OTHERS_SQL = """
SELECT places FROM event_blocks
WHERE int8range(lowest_event_id - 1, highest_event_id) && int8range(%s, %s)
  AND block_no NOT BETWEEN %s AND %s
"""

NEWEST_SQL = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True, slots=True)
class Standing:
    """What sealing would still take: events after this place in commit order, with no smaller id."""

    xact_id: int
    event_id: int
    floor: int


@dataclass(frozen=True, slots=True)
class Unit:
    """Blocks ``first`` to ``last`` (none when ``last < first``) and the records from ``low`` to ``high``.

    ``previous_hash``, ``total`` and ``heads`` are those before the first block; None where nobody knows them.
    """

    first: int
    last: int
    low: int
    high: int
    previous_hash: bytes | None
    total: int
    heads: bytes | None
    standing: Standing
    archives: tuple[Archive, ...] = ()
    kept_max: int = KEPT_MAX
    """Findings kept of it; all are counted."""


@dataclass(slots=True)
class Outcome:
    """What one unit, or all, came to; ``unsealed`` are records that sealing has yet to reach."""

    events: int = 0
    blocks: int = 0
    archived: int = 0
    unsealed: int = 0
    unsealed_first: int | None = None
    findings: Findings = field(default_factory=Findings)

    def merge(self, other: "Outcome") -> None:
        """Add another unit's outcome."""
        self.events += other.events
        self.blocks += other.blocks
        self.archived += other.archived
        self.unsealed += other.unsealed
        firsts = [first for first in (self.unsealed_first, other.unsealed_first) if first is not None]
        self.unsealed_first = min(firsts, default=None)
        self.findings.merge(other.findings)


@dataclass(slots=True)
class _Sealed:
    """One block as it was read."""

    block_no: int
    total: int
    columns: tuple[int, ...]
    places: bytes
    leaves: bytes
    heads: bytes
    previous_hash: bytes
    hash: bytes
    sealed_at: Any
    xacts: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()


class UnitVerification:
    """Reads a unit's blocks, then its records, and compares."""

    def __init__(self, dsn: str, unit: Unit) -> None:
        self.unit = unit
        self.dsn = dsn
        self.outcome = Outcome(findings=Findings(unit.kept_max))
        self.findings = self.outcome.findings
        self._wanted: dict[int, tuple[int, bytes, int]] = {}
        """By event id: the transaction id and leaf that were sealed, and the block."""
        self._found: dict[int, int] = {}
        """By event id: the topic partition of the record that was read."""
        self._changed: dict[int, int] = {}
        """By event id: how many records of it are not what was sealed."""
        self._strangers: list[tuple[int, int]] = []

    def run(self) -> Outcome:
        """Verify and return what it came to."""
        with ExitStack() as ending:
            self._reading = ending.enter_context(session_open(self.dsn))
            self._asking = ending.enter_context(session_open(self.dsn))
            blocks = self._blocks()
            self._records()
            for archive in self.unit.archives:
                self._archived(archive)
            self._strangers_judge()
            self._missing_tell()
            self._heads(blocks)
        self.outcome.blocks = len(blocks)
        return self.outcome

    def _blocks(self) -> list[_Sealed]:
        cursor = self._reading.execute(BLOCKS_SQL, (self.unit.first, self.unit.last), binary=True)
        blocks = []
        previous_hash, total, expected_no = self.unit.previous_hash, self.unit.total, self.unit.first
        for block_no, count, its_total, *columns, places, leaves, heads, before, its_hash, at in cursor:
            block = _Sealed(
                block_no, its_total, (count, *columns), places, leaves, heads, before, its_hash, at
            )
            if block_no != expected_no:
                self.findings.missing(expected_no, block_no - 1, at)
                previous_hash = None
            self._block_check(block, previous_hash, total)
            blocks.append(block)
            previous_hash, total, expected_no = its_hash, its_total, block_no + 1
        return blocks

    def _block_check(self, block: _Sealed, previous_hash: bytes | None, total: int) -> None:
        wrong = []
        content = (block.places, block.leaves, block.heads, block.previous_hash, block.sealed_at)
        try:
            if block_hash(block.block_no, block.total, *content) != block.hash:
                wrong.append("its hash is not that of its content")
            block.xacts, block.ids = places_read(block.places)
            heads_read(block.heads)
        except (ValueError, struct.error) as error:
            wrong.append(f"it cannot be read: {error}")
        if previous_hash is not None and block.previous_hash != previous_hash:
            wrong.append(f"it does not follow from block {block.block_no - 1}: one of the two was altered")
        if previous_hash is not None and block.total != total + block.columns[0]:
            wrong.append(f"it counts to {block.total} events, not {total + block.columns[0]}")
        if block.columns != _columns(block) or len(block.leaves) != HASH_BYTES * len(block.ids):
            wrong.append("its columns are not what its places say")
        for text in wrong:
            self.findings.block(What.BLOCK_ALTERED, text, block.block_no, block.sealed_at)
        for xact_id, event_id, leaf in zip(block.xacts, block.ids, leaves_read(block.leaves), strict=False):
            if event_id in self._wanted:
                text = f"block {self._wanted[event_id][2]} has the event as well"
                self.findings.event(What.BLOCK_ALTERED, text, event_id, block.block_no)
            self._wanted[event_id] = (xact_id, leaf, block.block_no)

    def _records(self) -> None:
        sql = COPY_SQL.format(low=self.unit.low, high=self.unit.high, order="")
        wanted, judge = self._wanted, self._record_judge
        with self._reading.cursor() as cursor, cursor.copy(sql) as copy:
            for line in copy:
                fields = line_split(bytes(line))
                event_id, xact_id = int(fields[0]), int(fields[1])
                if event_id in wanted:
                    judge(event_id, xact_id, int(fields[2]), leaf_hash(line_value(fields)))
                else:
                    self._stranger(event_id, xact_id)

    def _archived(self, archive: Archive) -> None:
        try:
            for xact_id, event_id, user_id, value in archive_lines(archive, self.unit.low, self.unit.high):
                if event_id in self._wanted:
                    self.outcome.archived += 1
                    # The chain has no word of what stands before the bytes, and exports are chosen by it.
                    leaf = leaf_hash(value) if value_is_of(value, user_id) else b""
                    self._record_judge(event_id, xact_id, user_id, leaf)
                else:
                    self._stranger(event_id, xact_id)
        except (OSError, EOFError, ValueError) as error:
            self.findings.add(archive.damage(error))

    def _record_judge(self, event_id: int, xact_id: int, user_id: int, leaf: bytes) -> None:
        sealed_xact_id, sealed_leaf, block_no = self._wanted[event_id]
        is_whole = leaf == sealed_leaf
        if event_id in self._found:
            text = "there is more than one record of it"
            self.findings.event(What.INSERTED, text, event_id, block_no)
            if not is_whole or not self._changed.pop(event_id, 0):
                return
        else:
            self.outcome.events += 1
        self._found[event_id] = topic_partition(user_id)
        if not is_whole:
            self._changed[event_id] = block_no
        elif xact_id != sealed_xact_id:
            text = f"it was sealed as of transaction {sealed_xact_id} and is of {xact_id}"
            self.findings.event(What.MOVED, text, event_id, block_no)

    def _stranger(self, event_id: int, xact_id: int) -> None:
        self._strangers.append((event_id, xact_id))
        if len(self._strangers) >= STRANGERS_MAX:
            self._strangers_judge()

    def _strangers_judge(self) -> None:
        """Tell what other blocks have from what none has, and of that what is yet to be sealed."""
        strangers, self._strangers = self._strangers, []
        if not strangers:
            return
        ids = [event_id for event_id, _ in strangers]
        bounds = (*ids_range(min(ids), max(ids)), self.unit.first, self.unit.last)
        others: set[int] = set()
        for (places,) in self._asking.execute(OTHERS_SQL, bounds, binary=True):
            others.update(places_read(places)[1])
        newest = self._asking.execute(NEWEST_SQL).fetchone()
        assert newest is not None
        for event_id, xact_id in strangers:
            if event_id not in others:
                self._unsealed_judge(event_id, xact_id, newest[0])

    def _unsealed_judge(self, event_id: int, xact_id: int, newest: int) -> None:
        standing = self.unit.standing
        if xact_id >= newest:
            text = f"no block has it, and its transaction {xact_id} has not happened yet"
        elif (xact_id, event_id) <= (standing.xact_id, standing.event_id) or event_id < standing.floor:
            text = "no block has it, and sealing has passed its place"
        else:
            self.outcome.unsealed += 1
            first = self.outcome.unsealed_first
            self.outcome.unsealed_first = event_id if first is None else min(first, event_id)
            return
        self.findings.event(What.INSERTED, text, event_id)

    def _missing_tell(self) -> None:
        for event_id, block_no in self._changed.items():
            text = "the record is not the one that was sealed"
            self.findings.event(What.CHANGED, text, event_id, block_no)
        for event_id, (_, _, block_no) in self._wanted.items():
            if event_id not in self._found:
                self.findings.event(What.DELETED, "the record is not there", event_id, block_no)

    def _heads(self, blocks: list[_Sealed]) -> None:
        """Follow the heads through the blocks whose records are whole; others are taken at their word."""
        heads = heads_read(self.unit.heads or b"")
        expected_no = self.unit.first
        is_known = self.unit.heads is not None
        for block in blocks:
            is_known = is_known and block.block_no == expected_no
            expected_no = block.block_no + 1
            if is_known and all(n in self._found and n not in self._changed for n in block.ids):
                partitions = (self._found[event_id] for event_id in block.ids)
                touched = heads_follow(heads, zip(partitions, leaves_read(block.leaves), strict=False))
                if heads_kept(block.block_no, heads, touched) != block.heads:
                    text = "its heads do not follow from its events"
                    self.findings.block(What.BLOCK_ALTERED, text, block.block_no, block.sealed_at)
            heads |= _heads_or_none(block.heads)
            is_known = is_known or block.block_no % HEADS_EVERY == 0


def unit_verify(dsn: str, unit: Unit) -> Outcome:
    """Verify one unit on sessions of its own; for a process of its own."""
    return UnitVerification(dsn, unit).run()


def session_open(dsn: str) -> "psycopg.Connection[Any]":
    """Open a reading session that may take its time, in UTC."""
    session = psycopg.connect(dsn, autocommit=True)
    session.execute(SESSION_SQL)
    if session.info.server_version >= 170_000:
        session.execute("SET transaction_timeout = 0")
    return session


def _columns(block: _Sealed) -> tuple[int, ...]:
    xacts, ids = block.xacts, block.ids
    if not ids:
        return ()
    return (len(ids), xacts[0], ids[0], xacts[-1], ids[-1], min(ids), max(ids))


def _heads_or_none(kept: bytes) -> dict[int, bytes]:
    try:
        return heads_read(kept)
    except ValueError:
        return {}
