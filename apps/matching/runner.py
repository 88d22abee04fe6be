"""The matching runner: takes commands, matches them in the engine, has them booked, then tells the tape."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import psycopg
from psycopg import errors

from apps.accounts.locks import GATE_BOOKING_SQL
from apps.matching import codes
from apps.matching.journal import journal_append
from apps.matching.leader import Leadership, leadership_acquire, leadership_assert
from apps.matching.messages import Batch, BatchBook, Booked, BookState, BookStateLoad, Command, Tell
from apps.matching.queue import CommandQueue
from apps.primitives.clock import unix_ns, utc_now

logger = logging.getLogger(__name__)

RETRY_S_MAX = 2.0
"""How long one batch may be retried on 40001 or 40P01 before the process gives up and ends."""

POLL_S = 0.05
"""How long a lost wake-up can delay a command."""

_RETRYABLE = (errors.SerializationFailure, errors.DeadlockDetected)
_SIDES = {"BUY": codes.Side.BUY, "SELL": codes.Side.SELL, "": 0}
_TYPES = {"MARKET": codes.OrdType.MARKET, "LIMIT": codes.OrdType.LIMIT, "": 0}
_TIMES = {
    "DAY": codes.TimeInForce.DAY,
    "GTC": codes.TimeInForce.GTC,
    "IOC": codes.TimeInForce.IOC,
    "FOK": codes.TimeInForce.FOK,
    "": 0,
}
_KINDS = {
    name: getattr(codes.CommandKind, name)
    for name in ("NEW", "CANCEL", "REPLACE", "EXPIRE", "HALT", "RESUME")
}


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


def commands_pack(commands: list[Command], first_seq: int, transact_time_ns: int) -> np.ndarray:
    """Return the engine's records for commands in sequence order."""
    records = np.zeros(len(commands), dtype=codes.COMMAND_DTYPE)
    for index, command in enumerate(commands):
        record = records[index]
        record["seq"] = first_seq + index
        record["order_id"] = command.order_id
        record["orig_order_id"] = command.orig_order_id
        record["owner"] = command.account_id
        record["price"] = command.price_units
        record["quantity"] = command.quantity
        record["symbol_id"] = command.instrument_id
        record["kind"] = _KINDS[command.kind]
        record["side"] = _SIDES[command.side]
        record["ord_type"] = _TYPES[command.order_type]
        record["tif"] = _TIMES[command.time_in_force]
        record["stp"] = codes.SelfTradePrevention.CANCEL_NEWEST if command.side else 0
    records["transact_time_ns"] = transact_time_ns
    return records


def state_pack(state: BookState) -> np.ndarray:
    """Return the records that put a partition's books back as the database knows them.

    Halts come before the orders: in a halted book resting orders may cross, and only there.
    """
    last_count, halt_count = len(state.last_prices), len(state.halted)
    records = np.zeros(last_count + halt_count + len(state.open_orders), dtype=codes.COMMAND_DTYPE)
    lasts, halts, orders = np.split(records, [last_count, last_count + halt_count])
    for record, (symbol_id, (price, volume)) in zip(lasts, sorted(state.last_prices.items()), strict=True):
        record["kind"] = codes.CommandKind.RESTORE_LAST
        record["symbol_id"], record["price"], record["cum_quantity"] = symbol_id, price, volume
        record["quantity"] = 1
    for record, symbol_id in zip(halts, sorted(state.halted), strict=True):
        record["kind"], record["symbol_id"] = codes.CommandKind.HALT, symbol_id
    for record, order in zip(orders, state.open_orders, strict=True):
        record["kind"] = codes.CommandKind.RESTORE
        record["order_id"], record["owner"] = order.order_id, order.owner
        record["price"], record["quantity"] = order.price_units, order.quantity
        record["cum_quantity"], record["symbol_id"] = order.cum_quantity, order.symbol_id
        record["side"], record["tif"] = _SIDES[order.side], _TIMES[order.time_in_force]
        record["ord_type"] = codes.OrdType.LIMIT
        record["stp"] = codes.SelfTradePrevention.CANCEL_NEWEST
    return records


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
        events = engine.process(state_pack(state))
        refused = events[events["exec_type"] == codes.ExecType.REJECTED]
        if len(refused):
            raise RuntimeError(f"{len(refused)} open orders cannot be put back: {refused[:3]}")
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
            cursor.execute("COMMIT")
        except _RETRYABLE:
            cursor.execute("ROLLBACK")
            raise
    return booked
