"""A standby: keeps an engine warm by the committed journal, watches the leader, and takes over its place."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg

from apps.events.facts import EventRow
from apps.events.services import event_append
from apps.events.types import EventType
from apps.matching import codes
from apps.matching.heartbeat import standby_gone, standby_seen, standbys_heard
from apps.matching.leader import (
    Leadership,
    epoch_begin,
    hash_text,
    leader_is_at_work,
    leader_terminate,
    lock_try,
    session_check,
    session_idle_limit,
)
from apps.matching.ports import Ear, Heart, RunnerPorts
from apps.matching.recovery import one_reading
from apps.matching.replay import JournalBroken
from apps.primitives.failpoints import failpoint

logger = logging.getLogger(__name__)

FOLLOW_ROWS = 2_000
"""Commands read from the journal at once."""

FOLLOW_S = 0.02
"""How often a standby that is level with the journal looks for more."""

QUIET_S = 0.002
"""A heart that missed a beat: from then on the lock is asked for without pause."""

LOCK_BEATING_S = 0.05
LOCK_UNHEARD_S = 0.02
LOCK_SILENT_S = 0.0005
"""How often the lock is asked for: while the heart beats, was never heard, or has fallen silent."""

SILENT_ASKING_S = 2.0
"""For how long a silent leader's lock is asked for without pause."""

SEEN_S = 1.0
"""How often a standby says where it listens."""

FENCE_AGAIN_S = 0.1
"""When the end of the same session is asked for again: a backend in a disk's write does not end at once."""

IDLE_FACTOR = 30
"""A leader that waits for work may be still for so many times longer than one that has some."""

UNHEARD_FACTOR = 10
"""A leader whose heart is not heard may commit nothing, with commands waiting, for so many times longer."""

# One statement, one snapshot: what the leader's row says is true of exactly these journal rows.
FOLLOW_SQL = f"""
SELECT l.epoch, l.backend_pid, l.host, l.pid, l.seq, l.hash_seq, l.state_hash,
       j.first_seq, j.last_seq, j.records
FROM matching_leader l CROSS JOIN LATERAL (
    SELECT min(seq) AS first_seq, max(seq) AS last_seq, string_agg(record, ''::bytea ORDER BY seq) AS records
    FROM (
        SELECT seq, record FROM matching_journal
        WHERE matching_partition = %(part)s AND seq > %(seq)s ORDER BY seq LIMIT {FOLLOW_ROWS}
    ) AS n
) AS j
WHERE l.matching_partition = %(part)s
"""

WAITING_SQL = """
SELECT EXISTS (SELECT 1 FROM order_commands
    WHERE matching_partition = %s AND created_at < clock_timestamp() - make_interval(secs => %s))
"""

TIME_SQL = "SELECT recorded_at FROM matching_journal WHERE matching_partition = %s AND seq = %s"

SYMBOLS_SQL = "SELECT instrument_id, symbol FROM instruments WHERE matching_partition = %s"

EARLIEST = datetime.min.replace(tzinfo=UTC)


class BooksDiffer(RuntimeError):
    """Our books and the leader's have different hashes at one sequence: these may not lead."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a standby hands to the runner that leads in its process."""

    leadership: Leadership
    engine: Any
    symbols: dict[int, str]
    heart: Heart
    time: datetime
    """When the last command was taken: no later one is said to have been taken earlier."""


class Standby:
    """Stands by on one session until the partition's lock is its own."""

    def __init__(
        self, matching_partition: int, ports: RunnerPorts, connection: "psycopg.Connection[Any]"
    ) -> None:
        self.matching_partition = matching_partition
        self.ports, self.connection, self.clock = ports, connection, ports.clock
        self.engine: Any = None
        self.seq = 0
        self.checked_seq = self.differences = 0
        self.is_halted = self.is_level = False
        self.ear: Ear | None = None
        self.lock_at = self.follow_at = self.seen_at = self.fence_at = float("-inf")
        self.fenced_epoch = 0
        self.moved_to, self.moved_at = (0, 0, 0), self.clock.monotonic()
        self.process = ("", 0)
        """The leader's machine and process."""

    def run(self) -> Promotion | None:
        """Stand by until this process leads or is asked to stop, then None."""
        session_check(self.connection)
        session_idle_limit(self.connection, self.ports.patience.idle_s)
        self.ports.rehearse(self.connection)
        while not self.ports.stopping():
            promotion = self.step()
            if promotion is not None:
                return promotion
            self.rest()
        self._leave()
        return None

    def step(self) -> Promotion | None:
        """Ask for the lock when it is time; else follow the journal, and judge the leader."""
        now = self.clock.monotonic()
        is_due = now >= self.lock_at
        if is_due and not self.is_halted and lock_try(self.connection, self.matching_partition):
            return self.promote()
        if self.ear is None:
            self.ear = self.ports.ear_open(self.matching_partition)
        if now >= self.seen_at:
            self._seen(now)
        if self.engine is None and not self.is_halted:
            self._warm()
        elif now >= self.follow_at:
            if not self.is_halted:
                self._follow()
            self.follow_at = now + (FOLLOW_S if self.is_level or self.is_halted else 0)
        self._judge(self.clock.monotonic())
        next_at = now + self._lock_interval()
        self.lock_at = next_at if is_due else min(self.lock_at, next_at)
        return None

    def rest(self) -> None:
        """Listen until something is to be done: sooner when the heart falls silent."""
        assert self.ear is not None
        due = min(self.lock_at, self.follow_at) - self.clock.monotonic()
        if due <= 0:
            return
        beat = self.ear.last()
        if beat is None or beat.silent_s > QUIET_S:
            self.ear.listen(due, due + 1)
        elif self.ear.listen(due, QUIET_S):
            self.lock_at = self.clock.monotonic()

    def _lock_interval(self) -> float:
        beat = self.ear.last() if self.ear else None
        if beat is None or beat.silent_s > SILENT_ASKING_S:
            return LOCK_UNHEARD_S
        return LOCK_SILENT_S if beat.silent_s > QUIET_S else LOCK_BEATING_S

    def _seen(self, now: float) -> None:
        assert self.ear is not None
        with self.connection.cursor() as cursor:
            standby_seen(cursor, self.matching_partition, self.ear, self.seq)
        self.seen_at = now + SEEN_S

    def _leave(self) -> None:
        if self.ear is not None:
            with self.connection.cursor() as cursor:
                standby_gone(cursor, self.matching_partition, self.ear)

    def _warm(self) -> None:
        """Bring a new engine to where the journal is now."""
        # In its transaction the session may be idle for as long as the books take.
        with one_reading(self.connection) as cursor:
            recovered = self.ports.recover(cursor, self.matching_partition)
        self.engine, self.seq = recovered.engine, recovered.seq
        self.is_level = False
        logger.info(
            "partition %s is warm at seq %s, from %s", self.matching_partition, self.seq, recovered.source
        )

    def _follow(self) -> None:
        """Apply what has been committed since, and compare hashes where the leader has left one."""
        with self.connection.cursor(binary=True) as cursor:
            cursor.execute(FOLLOW_SQL, {"part": self.matching_partition, "seq": self.seq})
            row = cursor.fetchone()
        if row is None:
            return
        epoch, backend_pid, host, pid, leader_seq, hash_seq, state_hash, first_seq, last_seq, raw = row
        self.process = host, pid
        if (epoch, leader_seq) != self.moved_to[:2]:
            self.moved_to, self.moved_at = (epoch, leader_seq, backend_pid), self.clock.monotonic()
        if raw is None:
            self._hash_check(hash_seq, state_hash)
            self.is_level = self.seq == leader_seq
            if self.seq != leader_seq:
                raise JournalBroken(f"the leader is at {leader_seq}, and the journal ends at {self.seq}")
            return
        records = np.frombuffer(raw, dtype=codes.COMMAND_DTYPE)
        expected = np.arange(self.seq + 1, self.seq + 1 + len(records), dtype="u8")
        if first_seq != self.seq + 1 or not np.array_equal(records["seq"], expected):
            raise JournalBroken(f"after {self.seq} the journal goes on with {first_seq} to {last_seq}")
        self._apply(records, hash_seq, state_hash)
        self.is_level = last_seq == leader_seq

    def _apply(self, records: np.ndarray, hash_seq: int, state_hash: str) -> None:
        before = max(hash_seq - self.seq, 0)
        for part in (records[:before], records[before:]):
            if self.engine is not None and len(part):
                self.engine.process(part)
                self.seq += len(part)
            self._hash_check(hash_seq, state_hash)

    def _hash_check(self, hash_seq: int, state_hash: str) -> None:
        if self.engine is None or hash_seq != self.seq or hash_seq == self.checked_seq or not state_hash:
            return
        ours = hash_text(self.engine.state_hash())
        if ours == state_hash:
            self.checked_seq, self.differences = hash_seq, 0
            return
        self.differences += 1
        self.engine = None
        logger.error("at seq %s our books hash %s, the leader's %s", hash_seq, ours, state_hash)
        if self.differences > 1:
            self._halt(hash_seq, ours, state_hash)

    def _halt(self, hash_seq: int, ours: str, theirs: str) -> None:
        """Refuse to lead, and say so where the operators look: the books were rebuilt and differ again."""
        self.is_halted = True
        logger.critical("partition %s: a standby that cannot be trusted halts", self.matching_partition)
        data = {
            "matching_partition": self.matching_partition,
            "seq": hash_seq,
            "ours": ours,
            "theirs": theirs,
        }
        with self.connection.cursor() as cursor:
            event_append(cursor, [EventRow(EventType.BOOKS_DIFFER, 0, data)])

    def _judge(self, now: float) -> None:
        """End the session of a leader that has been silent, or still with work to do, for too long."""
        assert self.ear is not None
        # What came while we did something else is taken in first: our own lateness is not the leader's.
        self.ear.listen(0, QUIET_S)
        beat = self.ear.last()
        if now < self.fence_at:
            return
        if beat is None or beat.epoch != self.moved_to[0]:
            self._judge_unheard(now)
            return
        patience = self.ports.patience
        silence_s = patience.silence_realtime_s if beat.is_realtime else patience.silence_s
        progress_s = patience.progress_s * (1 if beat.is_busy else IDLE_FACTOR)
        is_silent = beat.silent_s > silence_s or (
            beat.silent_s > QUIET_S and self.ports.is_ending(*self.process)
        )
        if not is_silent and beat.still_s <= progress_s:
            return
        self.fence_at = now + FENCE_AGAIN_S
        if not is_silent and leader_is_at_work(self.connection, beat.backend_pid):
            return
        why = f"{beat.silent_s * 1000:.0f} ms of silence, {beat.still_s * 1000:.0f} ms without progress"
        self._fence(beat.epoch, beat.backend_pid, why)

    def _judge_unheard(self, now: float) -> None:
        """End a leader that we cannot hear when by the database's own evidence it does nothing."""
        limit_s = self.ports.patience.progress_s * UNHEARD_FACTOR
        if now - self.moved_at <= limit_s:
            return
        self.fence_at = now + limit_s / UNHEARD_FACTOR
        row = self.connection.execute(WAITING_SQL, (self.matching_partition, limit_s)).fetchone()
        epoch, _, backend_pid = self.moved_to
        if row and row[0] and not leader_is_at_work(self.connection, backend_pid):
            self._fence(epoch, backend_pid, f"{limit_s:.0f} s without a commit while commands wait")

    def _fence(self, epoch: int, backend_pid: int, why: str) -> None:
        is_ended = leader_terminate(self.connection, self.matching_partition, epoch, backend_pid)
        if is_ended and epoch != self.fenced_epoch:
            self.fenced_epoch = epoch
            logger.warning("partition %s: epoch %s is ended after %s", self.matching_partition, epoch, why)

    def promote(self) -> Promotion:
        """Commit the epoch first; then reach the journal's end, and lead only with books that hash equal."""
        failpoint("standby.before_epoch")
        leadership = epoch_begin(self.connection, self.matching_partition)
        failpoint("standby.after_epoch")
        heart = self.ports.heart_start(self.matching_partition, leadership.epoch, leadership.backend_pid)
        try:
            with self.connection.cursor() as cursor:
                heart.send_to(standbys_heard(cursor, self.matching_partition))
            self._catch_up(leadership)
            symbols, time = self._symbols(), self._time(leadership)
        except BaseException:
            heart.stop()
            raise
        logger.info(
            "partition %s leads with epoch %s from seq %s",
            self.matching_partition,
            leadership.epoch,
            leadership.seq,
        )
        return Promotion(leadership, self.engine, symbols, heart, time)

    def _symbols(self) -> dict[int, str]:
        with self.connection.cursor() as cursor:
            cursor.execute(SYMBOLS_SQL, (self.matching_partition,))
            return dict(cursor.fetchall())

    def _time(self, leadership: Leadership) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute(TIME_SQL, (self.matching_partition, leadership.seq))
            row = cursor.fetchone()
        return row[0] if row else EARLIEST

    def _catch_up(self, leadership: Leadership) -> None:
        reached = False
        while not reached:
            if self.differences > 1:
                raise BooksDiffer(f"partition {self.matching_partition} at seq {leadership.hash_seq}")
            if self.engine is None:
                self._warm()
            self._follow()
            reached = self.engine is not None and self.seq >= leadership.seq
        if self.seq != leadership.seq:
            raise JournalBroken(f"the journal is at {self.seq}, the last leader at {leadership.seq}")
