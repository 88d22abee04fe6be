"""The matching runner: takes commands, matches them in the engine, has them booked, then tells the tape."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg import errors

from apps.accounts.locks import GATE_BOOKING_SQL
from apps.matching import codes
from apps.matching.journal import journal_append
from apps.matching.leader import Leadership, leadership_acquire, leadership_assert
from apps.matching.messages import Batch, BatchBook, Booked, BookState, BookStateLoad, Command, Tell
from apps.matching.packing import commands_pack, state_pack
from apps.matching.queue import CommandQueue, kept_requeue
from apps.primitives.clock import unix_ns, utc_now

logger = logging.getLogger(__name__)

RETRY_S_MAX = 2.0
"""How long one batch may be retried on 40001 or 40P01 before the process gives up and ends."""

POLL_S = 0.05
"""How long a lost wake-up can delay a command."""

_RETRYABLE = (errors.SerializationFailure, errors.DeadlockDetected)


class Wait(Protocol):
    """Returns when woken or after the time given, in seconds."""

    def __call__(self, timeout_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class RunnerPorts:
    """All that a runner needs from the storeys above and from the machine."""

    connect: Callable[[], "psycopg.Connection[Any]"]
    engine_make: Callable[[], Any]
    state_load: BookStateLoad
    batch_book: BatchBook
    tell: Tell
    announce: Callable[[Any, dict[int, str]], None]
    wait: Wait
    stopping: Callable[[], bool]


class Runner:
    """One matching partition's single writer. Any error but a retryable one must end the process."""

    def __init__(self, matching_partition: int, ports: RunnerPorts) -> None:
        self.matching_partition = matching_partition
        self.ports = ports
        self.queue = CommandQueue(matching_partition)
        self.symbols: dict[int, str] = {}

    def run(self) -> None:
        """Lead, recover, then take, match, book and tell until asked to stop. Starting is recovering."""
        with self.ports.connect() as connection:
            leadership = leadership_acquire(connection, self.matching_partition, self.ports.stopping)
            if leadership is None:
                return
            self.leadership = leadership
            self.engine = self._recover(connection)
            self.ports.announce(self.engine, self.symbols)
            while not self.ports.stopping():
                if not self.step(connection):
                    self.ports.wait(POLL_S)

    def step(self, connection: "psycopg.Connection[Any]") -> bool:
        """Take one batch through to the tape; returns whether there was anything to take."""
        with connection.cursor() as cursor:
            commands = self.queue.take(cursor, time.monotonic())
        if not commands:
            return False
        batch = self._match(commands)
        booked = self._book(connection, batch)
        self.leadership.seq = batch.last_seq
        self.symbols.update((c.instrument_id, c.symbol) for c in commands)
        self.ports.tell(self.engine, self.symbols, batch, booked)
        return True

    def _recover(self, connection: "psycopg.Connection[Any]") -> Any:
        started = time.monotonic()
        with connection.cursor() as cursor:
            state = self.ports.state_load(cursor, self.matching_partition)
        engine = self.ports.engine_make()
        books_restore(engine, state)
        self.symbols = dict(state.symbols)
        logger.info(
            "partition %s leads with epoch %s from seq %s: %s open orders put back in %.0f ms",
            self.matching_partition,
            self.leadership.epoch,
            self.leadership.seq,
            len(state.open_orders),
            (time.monotonic() - started) * 1000,
        )
        return engine

    def _match(self, commands: list[Command]) -> Batch:
        now = utc_now()
        first_seq = self.leadership.seq + 1
        records = commands_pack(commands, first_seq, unix_ns(now))
        return Batch(
            matching_partition=self.matching_partition,
            epoch=self.leadership.epoch,
            first_seq=first_seq,
            commands=commands,
            records=records,
            events=self.engine.process(records),
            transact_time=now,
        )

    def _book(self, connection: "psycopg.Connection[Any]", batch: Batch) -> Booked:
        """Book with bounded retry: engine results do not depend on balances, so the same batch is booked."""
        deadline = time.monotonic() + RETRY_S_MAX
        while True:
            try:
                return batch_commit(connection, self.leadership, batch, self.ports.batch_book)
            except _RETRYABLE as error:
                logger.warning("batch from seq %s is retried: %s", batch.first_seq, error)
                if time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0.001, 0.02))


def books_restore(engine: Any, state: BookState) -> None:
    """Put a partition's books back into a new engine; raises when it refuses any of it."""
    records = state_pack(state)
    for start in range(0, len(records), codes.BATCH_COMMANDS_MAX):
        events = engine.process(records[start : start + codes.BATCH_COMMANDS_MAX])
        refused = events[events["exec_type"] == codes.ExecType.REJECTED]
        if len(refused):
            raise RuntimeError(f"{len(refused)} facts of the books cannot be put back: {refused[:3]}")


def batch_commit(
    connection: "psycopg.Connection[Any]", leadership: Leadership, batch: Batch, batch_book: BatchBook
) -> Booked:
    """Make one batch durable in one SERIALIZABLE transaction: gate, fence, journal, books, queue."""
    assert connection.autocommit
    with connection.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        try:
            cursor.execute(GATE_BOOKING_SQL)
            leadership_assert(cursor, leadership, batch.last_seq)
            journal_append(cursor, batch)
            booked = batch_book(cursor, batch)
            taken = [c.command_id for c in batch.commands if c.command_id not in booked.kept_command_ids]
            cursor.execute("DELETE FROM order_commands WHERE command_id = ANY(%s)", (taken,))
            kept_requeue(cursor, booked.kept_command_ids)
            cursor.execute("COMMIT")
        except _RETRYABLE:
            cursor.execute("ROLLBACK")
            raise
    return booked
