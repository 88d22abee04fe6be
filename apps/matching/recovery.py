"""Bringing a new engine to where the journal ends: from a snapshot and its tail, else from open orders."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from apps.matching import codes
from apps.matching.leader import hash_text
from apps.matching.messages import BookState, BookStateLoad
from apps.matching.native import snapshot_facts
from apps.matching.packing import state_pack
from apps.matching.replay import JournalBroken, journal_apply
from apps.matching.snapshots import (
    Committed,
    SnapshotHeader,
    SnapshotRefused,
    snapshot_read,
    snapshot_seq,
    snapshots_list,
)

logger = logging.getLogger(__name__)

SNAPSHOT = "snapshot"
OPEN_ORDERS = "open orders"
GENESIS = "an empty engine"

RESTORE_CHUNK = 1 << 16
"""Records restored at once: their events stay in the processor's caches."""

READING_SQL = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
READ_SQL = "COMMIT"
READ_FAILED_SQL = "ROLLBACK"

COMMITTED_SQL = """
SELECT epoch, seq, hash_seq, state_hash FROM matching_leader WHERE matching_partition = %s
"""

JOURNAL_FIRST_SQL = """
SELECT seq FROM matching_journal WHERE matching_partition = %s ORDER BY seq LIMIT 1
"""


class Step(NamedTuple):
    """One thing that a recovery did, and for how long."""

    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """An engine at the end of the committed journal, where it came from, and how."""

    engine: Any
    seq: int
    source: str
    steps: list[Step]


class _Steps(list[Step]):
    """Notes each step with the time since the one before."""

    def __init__(self) -> None:
        super().__init__()
        self._since = time.perf_counter()

    def note(self, what: str) -> None:
        now = time.perf_counter()
        self.append(Step(what, now - self._since))
        self._since = now


@contextmanager
def one_reading(connection: "psycopg.Connection[Any]") -> Iterator[Any]:
    """Give a cursor whose statements all see one state of the database, and can write nothing."""
    with connection.cursor() as cursor:
        cursor.execute(READING_SQL)
        try:
            yield cursor
        except BaseException:
            cursor.execute(READ_FAILED_SQL)
            raise
        cursor.execute(READ_SQL)


def engine_recover(
    cursor: Any,
    matching_partition: int,
    engine_make: Callable[[], Any],
    state_load: BookStateLoad,
    folder: Path,
) -> Recovered:
    """Return a new engine that stands where the committed journal ends.

    ``cursor`` is that of ``one_reading``, so that the leader's row, the journal and the open
    orders are one reading. Raises ``JournalBroken`` when the tail of a good snapshot is not whole.
    """
    committed = committed_read(cursor, matching_partition)
    recovered = snapshot_recover(cursor, matching_partition, engine_make, folder, committed)
    return recovered or orders_recover(cursor, matching_partition, engine_make, state_load)


def committed_read(cursor: Any, matching_partition: int) -> Committed:
    """Return how far the partition's leader has come; zeros when there never was one."""
    cursor.execute(COMMITTED_SQL, (matching_partition,))
    row = cursor.fetchone()
    return Committed(*row) if row else Committed(0, 0, 0, "")


def snapshot_recover(
    cursor: Any,
    matching_partition: int,
    engine_make: Callable[[], Any],
    folder: Path,
    committed: Committed,
) -> Recovered | None:
    """Return the engine of the newest good snapshot with its tail applied, or None when none is good."""
    steps = _Steps()
    for path in snapshots_list(folder, matching_partition):
        engine = engine_make()
        try:
            header = _snapshot_load(path, matching_partition, engine, committed)
            steps.note(f"loaded {path.name} with {engine.order_count():,} orders")
            _tail_apply(cursor, engine, header, committed)
        except SnapshotRefused as error:
            steps.note(f"refused {path.name}: it {error}")
            logger.warning("partition %s: the snapshot %s %s", matching_partition, path, error)
            continue
        steps.note(f"applied the {committed.seq - header.seq:,} commands from there to {committed.seq:,}")
        return Recovered(engine, committed.seq, SNAPSHOT, list(steps))
    return None


def _snapshot_load(path: Path, matching_partition: int, engine: Any, committed: Committed) -> SnapshotHeader:
    """Make ``engine`` the one in the file; returns its header, or raises ``SnapshotRefused``."""
    header, content = snapshot_read(path, matching_partition, committed)
    try:
        engine.load(content)
    except ValueError as error:
        raise SnapshotRefused(f"is refused by the engine: {error}") from error
    if snapshot_facts(content) != (header.order_count, header.state_hash):
        raise SnapshotRefused("is not of the books that its header says")
    return header


def _tail_apply(cursor: Any, engine: Any, header: SnapshotHeader, committed: Committed) -> None:
    """Apply what was committed after the snapshot; on the way the books must hash as the leader's did.

    A file of another history of this database, before it was restored or made anew, ends here.
    """
    number, state_hash = header.matching_partition, header.state_hash
    if header.seq < committed.hash_seq:
        journal_apply(cursor, number, engine, header.seq, committed.hash_seq)
        state_hash = engine.state_hash()
    if hash_text(state_hash) != committed.state_hash:
        raise SnapshotRefused(
            f"leads to books that hash {hash_text(state_hash)} at {committed.hash_seq}, "
            f"the leader's {committed.state_hash}"
        )
    journal_apply(cursor, number, engine, committed.hash_seq, committed.seq)


def engine_begin(
    cursor: Any,
    matching_partition: int,
    engine_make: Callable[[], Any],
    folder: Path,
    committed: Committed,
    before: int | None,
) -> Recovered:
    """Return an engine to replay the journal with: a snapshot's, or an empty one before the first command.

    It stands as near as possible before the command ``before``, or for None as early as possible. Raises
    ``JournalBroken`` when there is no such place.
    """
    cursor.execute(JOURNAL_FIRST_SQL, (matching_partition,))
    row = cursor.fetchone()
    earliest = row[0] if row else 1
    for path in _snapshots_before(folder, matching_partition, earliest, before):
        engine = engine_make()
        try:
            header = _snapshot_load(path, matching_partition, engine, committed)
        except SnapshotRefused as error:
            logger.warning("partition %s: the snapshot %s %s", matching_partition, path, error)
        else:
            return Recovered(engine, header.seq, SNAPSHOT, [])
    if earliest != 1:
        raise JournalBroken(f"the journal begins at {earliest}, and no good snapshot stands before that")
    return Recovered(engine_make(), 0, GENESIS, [])


def _snapshots_before(folder: Path, matching_partition: int, earliest: int, before: int | None) -> list[Path]:
    paths = [p for p in snapshots_list(folder, matching_partition) if snapshot_seq(p) >= earliest - 1]
    if before is None:
        return [] if earliest == 1 else paths[::-1]
    return [path for path in paths if snapshot_seq(path) < before]


def orders_recover(
    cursor: Any, matching_partition: int, engine_make: Callable[[], Any], state_load: BookStateLoad
) -> Recovered:
    """Return a new engine with the books as the open orders say, which know nothing but what is committed."""
    steps = _Steps()
    committed = committed_read(cursor, matching_partition)
    state = state_load(cursor, matching_partition)
    if committed_read(cursor, matching_partition) != committed:
        raise RuntimeError("the leader went on: recover within one reading")
    steps.note(f"read {len(state.open_orders):,} open orders at sequence {committed.seq:,}")
    engine = engine_make()
    books_restore(engine, state)
    steps.note(f"put {engine.order_count():,} orders back")
    return Recovered(engine, committed.seq, OPEN_ORDERS, list(steps))


def books_restore(engine: Any, state: BookState) -> None:
    """Put a partition's books back into a new engine; raises when it refuses any of it."""
    records = state_pack(state)
    for start in range(0, len(records), RESTORE_CHUNK):
        events = engine.process(records[start : start + RESTORE_CHUNK])
        refused = events[events["exec_type"] == codes.ExecType.REJECTED]
        if len(refused):
            raise RuntimeError(f"{len(refused)} facts of the books cannot be put back: {refused[:3]}")
