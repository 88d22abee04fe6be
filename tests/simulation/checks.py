"""What must hold: after every commit, and of everything when the run is over."""

from collections import Counter
from typing import Any

import numpy as np

from apps.matching.codes import COMMAND_DTYPE, CommandKind, ExecType
from apps.matching.native import NativeEngine
from apps.matching.quarantine import REFUSED_KIND
from apps.matching.reference import ReferenceEngine
from tests.simulation.database import Server, Transaction
from tests.simulation.house import OPEN_STATUSES, Book
from tests.simulation.machine import BOOKS_MAX, ORDERS_MAX, Machine
from tests.simulation.schema import PARTITION
from tests.simulation.world import Violated, World

REPLAY_COMMANDS = 500


class Watch:
    """Looks at every commit: one leader at a time, no sequence twice or missing, no command twice."""

    def __init__(self, world: World, server: Server) -> None:
        self.world, self.server = world, server
        self.seq = self.epoch = 0
        self.command_ids: set[int] = set()
        self.batches = 0
        journal, leader = server.tables["matching_journal"], server.tables["matching_leader"]
        self._seq, self._epoch, self._id = (journal.at[name] for name in ("seq", "epoch", "command_id"))
        self._leader_epoch, self._leader_seq = leader.at["epoch"], leader.at["seq"]
        server.committed.append(self.look)

    def look(self, transaction: Transaction) -> None:
        if "matching_leader" not in transaction.writes and "matching_journal" not in transaction.writes:
            return
        head = self.server.tables["matching_leader"].heads.get((PARTITION,))
        leader = head.row if head else None
        if leader is None:
            raise Violated("the journal is written and nobody leads")
        epoch = leader[self._leader_epoch]
        if epoch < self.epoch:
            raise Violated(f"epoch {epoch} comes after epoch {self.epoch}")
        self.epoch = epoch
        for row in transaction.writes.get("matching_journal", {}).values():
            self._row(row, epoch)
        if leader[self._leader_seq] != self.seq:
            raise Violated(f"the leader's row says {leader[self._leader_seq]}, the journal {self.seq}")

    def _row(self, row: Any, epoch: int) -> None:
        seq = row[self._seq]
        if seq != self.seq + 1:
            raise Violated(f"the journal goes on with {seq} after {self.seq}")
        self.seq = seq
        if row[self._epoch] != epoch:
            raise Violated(f"seq {seq} is written under epoch {row[self._epoch]} when epoch {epoch} leads")
        command_id = row[self._id]
        if command_id in self.command_ids:
            raise Violated(f"command {command_id} is taken twice, again at seq {seq}")
        self.command_ids.add(command_id)
        head = self.server.tables["order_commands"].heads.get((command_id,))
        if head is not None and head.row is not None and head.died > self.server.commits:
            raise Violated(f"command {command_id} is taken at seq {seq} and stays queued")


def all_check(machine: Machine, book: Book, *, with_reference: bool) -> None:
    """Raise ``Violated`` unless the run's end is what its journal says, no more and no less."""
    server = machine.server
    _entered_check(server, book)
    _trades_check(machine, with_reference=with_reference)
    _events_check(machine)


def _entered_check(server: Server, book: Book) -> None:
    orders = server.tables["sim_orders"]
    status, records = orders.at["status"], records_of(server)
    entered = Counter(records["order_id"][np.isin(records["kind"], (CommandKind.NEW, REFUSED_KIND))].tolist())
    cancelled = set(
        records["orig_order_id"][np.isin(records["kind"], (CommandKind.CANCEL, REFUSED_KIND))].tolist()
    )
    for order_id in sorted(book.orders):
        if entered[order_id] != 1:
            raise Violated(
                f"order {order_id} was acknowledged and is {entered[order_id]} times in the journal"
            )
        row = orders.heads[order_id,].row
        if row is None or row[status] == "PENDING":
            raise Violated(f"order {order_id} was acknowledged and never booked")
    missing = sorted(set(book.cancels) - cancelled)
    if missing:
        raise Violated(f"cancels were acknowledged and never taken, of orders {missing[:5]}")


def records_of(server: Server) -> np.ndarray:
    """Return the engine's records of the whole journal."""
    journal = server.tables["matching_journal"]
    place = journal.at["record"]
    return np.frombuffer(b"".join([row[place] for row in journal.newest()]), dtype=COMMAND_DTYPE)


def _trades_check(machine: Machine, *, with_reference: bool) -> None:
    server = machine.server
    trades, records = server.tables["sim_trades"], records_of(server)
    kind = ReferenceEngine if with_reference else NativeEngine
    engine = kind(max_orders=ORDERS_MAX, max_books=BOOKS_MAX)
    made = []
    for start in range(0, len(records), REPLAY_COMMANDS):
        events = engine.process(records[start : start + REPLAY_COMMANDS])
        fills = events[events["exec_type"] == ExecType.TRADE]
        made += fills[["seq", "n", "order_id", "contra_order_id", "price", "quantity"]].tolist()
    booked = list(trades.newest())
    for expected, found in zip(made, booked, strict=False):
        if expected != found:
            raise Violated(f"the journal makes the trade {expected}, booked is {found}")
    if len(made) != len(booked):
        raise Violated(f"the journal makes {len(made)} trades, booked are {len(booked)}")
    _engines_check(machine, engine)
    _open_orders_check(server, engine)


def _engines_check(machine: Machine, replayed: Any) -> None:
    expected = replayed.state_hash()
    for name, engine in machine.engines.items():
        if engine.state_hash() != expected:
            raise Violated(f"the engine of {name} has another hash than a replay of the journal")


def _open_orders_check(server: Server, engine: Any) -> None:
    orders = server.tables["sim_orders"]
    status = orders.at["status"]
    open_count = sum(row[status] in OPEN_STATUSES for row in orders.newest())
    if open_count != engine.order_count():
        raise Violated(f"{open_count} orders are open in the books, {engine.order_count()} in the engine")


def _events_check(machine: Machine) -> None:
    events, seen = machine.server.tables["events"], machine.consumer.seen
    place = events.at["id"]
    kind = events.at["event_type"]
    for row in events.newest():
        if row[place] not in seen:
            raise Violated(f"event {row[place]} was committed and never delivered")
        if row[kind] == "BOOKS_DIFFER":
            raise Violated("a standby's books and the leader's differ")
