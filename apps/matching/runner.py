"""The matching runner: takes commands, matches them in the engine, has them booked, then tells the tape."""

import logging
from typing import Any

import psycopg
from psycopg import errors, pq

from apps.accounts.locks import GATE_BOOKING_SQL
from apps.matching import heartbeat
from apps.matching.journal import journal_append
from apps.matching.leader import Leadership, leadership_assert, leadership_hash
from apps.matching.messages import Batch, BatchBook, Booked, Command
from apps.matching.packing import commands_pack
from apps.matching.ports import RunnerPorts
from apps.matching.quarantine import REFUSED_KIND, Care, quarantine_append
from apps.matching.queue import CommandQueue, kept_requeue
from apps.matching.standby import Promotion, Standby
from apps.primitives.clock import unix_ns
from apps.primitives.failpoints import failpoint, failpoint_is_armed
from apps.primitives.literals import array_text
from apps.primitives.pipelining import PipelinedCursor

logger = logging.getLogger(__name__)

RETRY_S_MAX = 2.0
"""How long one batch may be retried on 40001 or 40P01 before the process gives up and ends."""

POLL_S = 0.05
"""How long a lost wake-up can delay a command."""

UPKEEP_S = 1.0
"""How often the standbys are looked for."""

BEGIN_SQL = "BEGIN ISOLATION LEVEL SERIALIZABLE"
COMMIT_SQL = "COMMIT"
TAKEN_SQL = "DELETE FROM order_commands WHERE command_id = ANY(%s::bigint[])"

_RETRYABLE = (errors.SerializationFailure, errors.DeadlockDetected)


class Runner:
    """One matching partition's single writer. Any error but a retryable one must end the process."""

    leadership: Leadership
    engine: Any

    def __init__(self, matching_partition: int, ports: RunnerPorts) -> None:
        self.matching_partition = matching_partition
        self.ports, self.clock = ports, ports.clock
        self.queue = CommandQueue(matching_partition)
        self.symbols: dict[int, str] = {}
        self.upkeep_at = float("-inf")

    def run(self) -> None:
        """Stand by, then take, match, book and tell until asked to stop. Starting is recovering."""
        with self.ports.connect() as connection:
            promotion = Standby(self.matching_partition, self.ports, connection).run()
            if promotion is None:
                return
            self.begin(promotion)
            try:
                # The first batch before the first frames: what waits for a leader must not wait for Redis.
                self.turn(connection)
                self.ports.announce(self.engine, self.symbols)
                while not self.ports.stopping():
                    self.turn(connection)
            finally:
                self.heart.stop()

    def begin(self, promotion: Promotion) -> None:
        """Lead with what a standby hands over."""
        self.leadership, self.engine = promotion.leadership, promotion.engine
        self.symbols, self.heart = promotion.symbols, promotion.heart
        self.time = promotion.time
        self.care = Care(self.leadership, self.ports.patience.stuck_epochs)
        heartbeat.beating(self.heart)

    def turn(self, connection: "psycopg.Connection[Any]") -> None:
        """Take one batch, or wait for one; what the standbys live on is written in between."""
        self.heart.busy(True)
        failpoint("runner.loop")
        self.heart.tick()
        found = self.step(connection)
        self._upkeep(connection)
        if not found:
            self.heart.busy(False)
            self.ports.wait(POLL_S)

    def step(self, connection: "psycopg.Connection[Any]") -> bool:
        """Take one batch through to the tape; returns whether there was anything to take."""
        with connection.cursor() as cursor:
            waiting = self.queue.take(cursor, self.clock.monotonic(), self.clock.now())
            commands = self.care.portion(cursor, self.leadership, waiting)
        if not commands:
            return False
        failpoint("runner.after_take")
        batch = self._match(commands)
        failpoint("runner.after_match")
        booked = self._book(connection, batch)
        self.leadership.seq = batch.last_seq
        failpoint("runner.after_commit")
        self.care.survived()
        self.symbols.update((c.instrument_id, c.symbol) for c in commands)
        # Redis may keep the tape waiting: that is no leader that hangs.
        self.heart.busy(False)
        self.ports.tell(self.engine, self.symbols, batch, booked)
        return True

    def _match(self, commands: list[Command]) -> Batch:
        # A clock that goes back changes nobody's place, and must not seem to.
        now = self.time = max(self.time, self.clock.now())
        first_seq = self.leadership.seq + 1
        records = commands_pack(commands, first_seq, unix_ns(now))
        is_quarantined = self.care.condemns(commands[0])
        if is_quarantined:
            records["kind"] = REFUSED_KIND
        else:
            for command in commands:
                failpoint("runner.match", symbol=command.symbol, order_id=command.order_id)
        return Batch(
            matching_partition=self.matching_partition,
            epoch=self.leadership.epoch,
            first_seq=first_seq,
            commands=commands,
            records=records,
            events=self.engine.process(records),
            transact_time=now,
            is_quarantined=is_quarantined,
        )

    def _book(self, connection: "psycopg.Connection[Any]", batch: Batch) -> Booked:
        """Book with bounded retry: engine results do not depend on balances, so the same batch is booked."""
        deadline = self.clock.monotonic() + RETRY_S_MAX
        while True:
            self.heart.tick()
            try:
                return batch_commit(connection, self.leadership, batch, self.ports.batch_book)
            except _RETRYABLE as error:
                logger.warning("batch from seq %s is retried: %s", batch.first_seq, error)
                if self.clock.monotonic() > deadline:
                    raise
                self.clock.sleep_between(0.001, 0.02)

    def _upkeep(self, connection: "psycopg.Connection[Any]") -> None:
        """Beat for the standbys that have come; keep a snapshot, and leave its hash to be compared with."""
        now, leadership = self.clock.monotonic(), self.leadership
        if now >= self.upkeep_at:
            self.upkeep_at = now + UPKEEP_S
            with connection.cursor() as cursor:
                self.heart.send_to(heartbeat.standbys_heard(cursor, self.matching_partition))
        if self.ports.snapshots.due(now, leadership.seq):
            state_hash = self.ports.snapshots.take(self.engine, leadership.epoch, leadership.seq)
            if state_hash is not None:
                with connection.cursor() as cursor:
                    leadership_hash(cursor, leadership, state_hash)


def batch_commit(
    connection: "psycopg.Connection[Any]", leadership: Leadership, batch: Batch, batch_book: BatchBook
) -> Booked:
    """Make one batch durable in one SERIALIZABLE transaction: gate, fence, journal, books, queue."""
    assert connection.autocommit
    try:
        with PipelinedCursor(connection, moved=heartbeat.tick) as cursor:
            cursor.execute(BEGIN_SQL)
            cursor.execute(GATE_BOOKING_SQL)
            leadership_assert(cursor, leadership, batch.last_seq)
            journal_append(cursor, batch)
            booked = batch_book(cursor, batch)
            taken = [c.command_id for c in batch.commands if c.command_id not in booked.kept_command_ids]
            cursor.execute(TAKEN_SQL, (array_text(taken),))
            kept_requeue(cursor, booked.kept_command_ids)
            if batch.is_quarantined:
                quarantine_append(cursor, batch.matching_partition, batch.last_seq, batch.commands[0])
        failpoint("runner.before_commit")
        heartbeat.tick()
        _commit(connection)
    except _RETRYABLE:
        # Not by a statement: psycopg then also forgets what it believes the server to have prepared, of which
        # an aborted pipeline left some undone.
        connection.rollback()
        raise
    return booked


def _commit(connection: "psycopg.Connection[Any]") -> None:
    if not failpoint_is_armed("runner.commit_sent"):
        _committed_check(connection.execute(COMMIT_SQL).statusmessage)
        return
    # The moment in which nobody knows the outcome lies within the call above: here it is taken apart.
    session = connection.pgconn
    session.send_query(COMMIT_SQL.encode())
    session.flush()
    failpoint("runner.commit_sent")
    result = session.get_result()
    if result is None or result.status != pq.ExecStatus.COMMAND_OK:
        raise psycopg.OperationalError("the commit was not confirmed")
    session.get_result()
    _committed_check((result.command_status or b"").decode())


def _committed_check(answer: str | None) -> None:
    """Raise unless the server has committed: of a transaction that had failed it says that it rolled back."""
    if answer != COMMIT_SQL:
        raise psycopg.InternalError(f"the transaction was not committed: {answer}")
