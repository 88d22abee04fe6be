"""A small brokerage around the shipped runner: clients that enter orders, a booking that keeps books."""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg

from apps.events.facts import EventRow
from apps.events.services import event_append
from apps.events.types import EventType
from apps.matching import codes
from apps.matching.codes import ExecType, Phase, Reason
from apps.matching.messages import SETTING_KINDS, Batch, Booked, BookState, Command, priority_of
from tests.simulation.database import Server, Transaction
from tests.simulation.schema import ORDER_COLUMNS, PARTITION, SYMBOLS
from tests.simulation.session import Connection, Cursor, Weather
from tests.simulation.world import World

CENTRE, TICK = 1_000_000, 100
OPEN_STATUSES = ("NEW", "PARTIALLY_FILLED")
BURSTS, BURSTS_LONG = (1, 2, 5, 20, 60), (1, 5, 20, 60, 150, 300)
"""How many orders and cancels a client enters in one transaction."""

EXEC_FIELDS = [
    "seq", "n", "exec_type", "order_id", "contra_order_id", "price", "quantity", "leaves_qty",
    "contra_leaves_qty", "reason",
]  # fmt: skip
BOOK_EXECS_FROM = 64
AT = {name: index for index, name in enumerate(ORDER_COLUMNS)}
STATUS, FILLED, QUANTITY, ACCOUNT = AT["status"], AT["filled"], AT["quantity"], AT["account_id"]
PRICE, PRIORITY, TRIGGERED = AT["price_units"], AT["priority"], AT["is_triggered"]


class Booking:
    """One batch of engine results becomes order states, trades and events, on the runner's cursor."""

    def __init__(self, cursor: Cursor, batch: Batch) -> None:
        self.cursor, self.batch = cursor, batch
        events = batch.events[batch.events["exec_type"] < BOOK_EXECS_FROM]
        self.execs = events[EXEC_FIELDS].tolist()
        self.orders: dict[int, list[Any]] = {}
        self.accounts: dict[int, int] = {}
        self.touched: set[int] = set()
        self.trades: list[tuple[Any, ...]] = []
        self.events: list[EventRow] = []
        self.kept: set[int] = set()
        self.prices: dict[int, tuple[int, int]] = {}

    def book(self) -> Booked:
        self._act("read the books", self._read)
        for seq, n, kind, order_id, contra_id, price, quantity, leaves, contra_leaves, reason in self.execs:
            match kind:
                case ExecType.NEW | ExecType.TRIGGERED:
                    self._accept(order_id, seq, n, is_triggered=kind == ExecType.TRIGGERED)
                case ExecType.TRADE:
                    self.trades.append((seq, n, order_id, contra_id, price, quantity))
                    symbol_id = self.orders[order_id][AT["symbol_id"]]
                    self.prices[symbol_id] = (price, self.prices[symbol_id][1] + quantity)
                    self._fill(order_id, quantity, leaves)
                    self._fill(contra_id, quantity, contra_leaves)
                case ExecType.CANCELED:
                    self._end(order_id, "CANCELLED")
                case ExecType.EXPIRED:
                    self._end(order_id, "EXPIRED")
                case ExecType.REPLACED:
                    self._replace(seq, n, order_id, contra_id, leaves)
                case ExecType.REJECTED:
                    self._reject(seq, reason)
        self._act("write the books", self._write)
        event_append(self.cursor, self.events)
        return Booked(trades=[], kept_command_ids=frozenset(self.kept))

    def _act(self, what: str, act: Callable[[Transaction], None]) -> None:
        """Do what is no SQL after all that has been sent before it."""
        self.cursor.settle()
        self.cursor.connection.cursor().act(what, act)

    def _read(self, transaction: Transaction) -> None:
        orders, accounts = (transaction.server.tables[name] for name in ("sim_orders", "sim_accounts"))
        ids = {order_id for event in self.execs for order_id in event[3:5]}
        ids.update(command.orig_order_id for command in self.batch.commands)
        self.orders.clear()
        for order_id in sorted(ids):
            row = transaction.get(orders, (order_id,))
            if row is not None:
                self.orders[order_id] = list(row)
        self.prices = {s: (p, v) for s, p, v in transaction.scan(transaction.server.tables["sim_prices"])}
        wanted = {row[ACCOUNT] for row in self.orders.values()} | {c.account_id for c in self.batch.commands}
        for account_id in sorted(wanted - {0}):
            found = transaction.get(accounts, (account_id,))
            assert found is not None
            self.accounts[account_id] = found[1]

    def _tell(self, order: list[Any], event_type: str) -> None:
        account_id = order[ACCOUNT]
        self.accounts[account_id] += 1
        self.events.append(
            EventRow(
                EventType[event_type], account_id, {"order_id": order[0]}, account_id,
                self.accounts[account_id], {},
            )
        )  # fmt: skip

    def _order(self, order_id: int) -> list[Any]:
        self.touched.add(order_id)
        return self.orders[order_id]

    def _accept(self, order_id: int, seq: int, n: int, *, is_triggered: bool) -> None:
        order = self._order(order_id)
        assert is_triggered or order[STATUS] == "PENDING", f"{order} is accepted twice"
        order[STATUS], order[PRIORITY] = "NEW", priority_of(seq, n)
        order[TRIGGERED] = order[TRIGGERED] or is_triggered
        self._tell(order, "ORDER_ACCEPTED")

    def _fill(self, order_id: int, quantity: int, leaves: int) -> None:
        order = self._order(order_id)
        assert order[STATUS] in OPEN_STATUSES, f"{order} is filled though it is not open"
        order[FILLED] += quantity
        assert order[FILLED] <= order[QUANTITY], f"{order} is overfilled"
        order[STATUS] = "PARTIALLY_FILLED" if leaves else "FILLED"
        self._tell(order, "ORDER_FILLED")

    def _end(self, order_id: int, status: str) -> None:
        order = self._order(order_id)
        assert order[STATUS] in (*OPEN_STATUSES, "PENDING"), f"{order} ends twice"
        order[STATUS] = status
        self._tell(order, f"ORDER_{status}")

    def _replace(self, seq: int, n: int, order_id: int, old_id: int, leaves: int) -> None:
        old, command = self._order(old_id), self.batch.command_of(seq)
        new = list(old)
        new[0], new[PRICE], new[QUANTITY], new[FILLED] = order_id, command.price_units, leaves, 0
        new[STATUS] = "NEW"
        if not (leaves < old[QUANTITY] - old[FILLED] and new[PRICE] == old[PRICE]):
            new[PRIORITY] = priority_of(seq, n)
        old[STATUS] = "REPLACED"
        self.orders[order_id] = new
        self.touched.add(order_id)
        self._tell(old, "ORDER_REPLACED")
        self._tell(new, "ORDER_ACCEPTED")

    def _reject(self, seq: int, reason: int) -> None:
        command = self.batch.command_of(seq)
        if command.kind == "NEW":
            self._end(command.order_id, "REJECTED")
        elif reason == Reason.UNKNOWN_ORDER and command.orig_order_id in self.orders:
            if self.orders[command.orig_order_id][STATUS] == "PENDING":
                self.kept.add(command.command_id)

    def _write(self, transaction: Transaction) -> None:
        tables = transaction.server.tables
        for trade in self.trades:
            transaction.insert(tables["sim_trades"], trade)
        for symbol_id in sorted({self.orders[trade[2]][AT["symbol_id"]] for trade in self.trades}):
            transaction.put(tables["sim_prices"], (symbol_id, *self.prices[symbol_id]))
        for order_id in sorted(self.touched):
            order = tuple(self.orders[order_id])
            transaction.put(tables["sim_orders"], order)
            _live_write(transaction, order)
        self._settings_write(transaction)
        for account_id in sorted({event.account_id for event in self.events if event.account_id}):
            transaction.put(tables["sim_accounts"], (account_id, self.accounts[account_id]))

    def _settings_write(self, transaction: Transaction) -> None:
        table = transaction.server.tables["sim_settings"]
        for index, command in enumerate(self.batch.commands):
            if command.kind in SETTING_KINDS and not self.batch.is_quarantined:
                record = self.batch.records[index : index + 1].tobytes()
                row = (command.instrument_id, SETTING_KINDS.index(command.kind), record)
                known = transaction.get(table, row[:2])
                (transaction.put if known else transaction.insert)(table, row)


def _live_write(transaction: Transaction, order: tuple[Any, ...]) -> None:
    live = transaction.server.tables["sim_live"]
    known = transaction.get(live, order[:1])
    if order[STATUS] in OPEN_STATUSES:
        (transaction.put if known else transaction.insert)(live, order)
    elif known:
        transaction.delete(live, order[:1])


def batch_book(cursor: Any, batch: Batch) -> Booked:
    """Book a batch in the simulated brokerage: a port of the runner, as the real booking is."""
    return Booking(cursor, batch).book()


def book_state_load(cursor: Any, matching_partition: int) -> BookState:
    """Return what the books must hold, from the simulated orders: a port of the recovery."""
    return cursor.act("read the open orders", _book_state)


def _book_state(transaction: Transaction) -> BookState:
    tables = transaction.server.tables
    rows = list(transaction.scan(tables["sim_live"]))
    rows.sort(key=lambda row: (row[PRIORITY], row[0]))
    orders = np.zeros(len(rows), dtype=codes.OPEN_ORDER_DTYPE)
    for place, row in enumerate(rows):
        order_id, owner, symbol_id, side, kind, tif, price, stop, quantity, filled, _, _, is_triggered = row
        if kind == "STOP_LIMIT" and is_triggered:
            kind = "LIMIT"
        orders[place] = (
            order_id, owner, price, 0 if kind == "LIMIT" else stop, quantity, filled, symbol_id, 0,
            codes.Side[side], codes.OrdType[kind], codes.TimeInForce[tif], 0,
        )  # fmt: skip
    settings = [record for _, _, record in transaction.scan(tables["sim_settings"])]
    prices = {s: (p, v) for s, p, v in transaction.scan(tables["sim_prices"]) if v}
    return BookState(settings, orders, prices)


class Book:
    """What the clients were promised: orders and cancels whose entry was acknowledged."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.entered = wanted, 0
        self.orders: set[int] = set()
        self.cancels: list[int] = []
        self.numbers: dict[str, int] = {}


class Client:
    """Enters orders and cancels in bursts, each until it is acknowledged, whatever happens on the way."""

    def __init__(
        self, world: World, server: Server, weather: Weather, book: Book, name: str, pause_s: float
    ) -> None:
        self.pause_s = pause_s
        self.world, self.server, self.weather, self.book, self.name = world, server, weather, book, name
        self.accounts = [row[0] for row in server.tables["sim_accounts"].newest()]
        self.recent: deque[tuple[int, int]] = deque(maxlen=100)
        self.wake: Callable[[], None] = lambda: None

    def run(self) -> None:
        """Go on until the world has heard enough."""
        connection: Connection | None = None
        chance = self.world.random
        while self.book.entered < self.book.wanted:
            burst = self._burst(chance.choice(BURSTS_LONG if self.book.wanted > 1_000 else BURSTS))
            while True:
                try:
                    connection = connection or Connection(self.world, self.server, self.weather)
                    entered = self._enter(connection, burst)
                    break
                except psycopg.OperationalError:
                    connection = None
                    self.world.me.sleep(0.01)
            self._acknowledge(entered)
            self.wake()
            self.world.me.sleep(chance.random() * self.pause_s)

    def _burst(self, size: int) -> list[tuple[str, Command]]:
        return [self._intent() for _ in range(size)]

    def _intent(self) -> tuple[str, Command]:
        chance = self.world.random
        number = self.book.numbers[self.name] = self.book.numbers.get(self.name, 0) + 1
        name, draw = f"{self.name}-{number}", chance.random()
        if draw < 0.22 and self.recent:
            order_id, symbol_id = chance.choice(self.recent)
            if draw < 0.16:
                return name, Command("CANCEL", SYMBOLS[symbol_id], symbol_id, orig_order_id=order_id)
            price, quantity = self._price(0), chance.randint(1, 20)
            return name, self._order(chance.choice(("BUY", "SELL")), symbol_id, price, quantity)._replace(
                kind="REPLACE", orig_order_id=order_id
            )
        symbol_id = chance.choice(tuple(SYMBOLS))
        if draw > 0.995:
            phase = chance.choice((Phase.HALTED, Phase.CONTINUOUS, Phase.CONTINUOUS, Phase.CONTINUOUS))
            return name, Command("PHASE", SYMBOLS[symbol_id], symbol_id, argument=phase)
        side = chance.choice(("BUY", "SELL"))
        return name, self._terms(side, symbol_id)

    def _price(self, shift: int) -> int:
        return CENTRE + TICK * (round(self.world.random.gauss(0, 5)) + shift)

    def _order(self, side: str, symbol_id: int, price: int, quantity: int, kind: str = "LIMIT") -> Command:
        account_id = self.world.random.choice(self.accounts)
        return Command(
            "NEW", SYMBOLS[symbol_id], symbol_id, account_id=account_id, user_id=account_id, side=side,
            order_type=kind, time_in_force="DAY", price_units=price, quantity=quantity,
        )  # fmt: skip

    def _terms(self, side: str, symbol_id: int) -> Command:
        chance = self.world.random
        draw, sign = chance.random(), 1 if side == "BUY" else -1
        order = self._order(side, symbol_id, self._price(-2 * sign), chance.randint(1, 20))
        if draw < 0.1:
            return order._replace(order_type="MARKET", price_units=self._price(20 * sign))
        if draw < 0.18:
            return order._replace(time_in_force=chance.choice(("IOC", "FOK")), price_units=self._price(sign))
        if draw < 0.26:
            stop = self._price(6 * sign)
            worst = stop + 30 * sign * TICK
            return order._replace(
                order_type=chance.choice(("STOP", "STOP_LIMIT")), stop_price_units=stop, price_units=worst
            )
        return order

    def _enter(self, connection: Connection, burst: list[tuple[str, Command]]) -> list[Command]:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                entered = cursor.act("enter orders", lambda t: self._insert(t, burst))
            except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected) as error:
                cursor.execute("ROLLBACK")
                raise psycopg.OperationalError("again") from error
            if self.world.chance(0.03):
                self.world.me.sleep(self.world.random.random() * 2)
            cursor.execute("COMMIT")
        return entered

    def _insert(self, transaction: Transaction, burst: list[tuple[str, Command]]) -> list[Command]:
        server = transaction.server
        keys, orders, commands, events = (
            server.tables[name] for name in ("sim_client_keys", "sim_orders", "order_commands", "events")
        )
        entered = []
        for name, command in burst:
            known = transaction.get(keys, (name,))
            order_id = known[1] if known else server.id_next()
            entered.append(command._replace(order_id=order_id if command.side else 0))
            if known:
                continue
            transaction.insert(keys, (name, order_id))
            command = entered[-1]._replace(command_id=server.id_next(), created_at=server.now())
            if command.side:
                transaction.insert(orders, _order_row(command))
            transaction.insert(commands, _command_row(commands.columns, command))
            row = (server.id_next(), server.now(), "orders-events", "ORDER_PLACED", command.user_id,
                   command.account_id, None, "{}", "{}", transaction.xid_get())  # fmt: skip
            transaction.insert(events, row)
        return entered

    def _acknowledge(self, entered: list[Command]) -> None:
        for command in entered:
            self.book.entered += 1
            if command.kind == "NEW":
                self.book.orders.add(command.order_id)
                self.recent.append((command.order_id, command.instrument_id))
            elif command.kind == "CANCEL":
                self.book.cancels.append(command.orig_order_id)


def _order_row(command: Command) -> tuple[Any, ...]:
    return (
        command.order_id, command.account_id, command.instrument_id, command.side, command.order_type,
        command.time_in_force, command.price_units, command.stop_price_units, command.quantity, 0,
        "PENDING", 0, False,
    )  # fmt: skip


def _command_row(columns: list[str], command: Command) -> tuple[Any, ...]:
    fields = command._asdict()
    return tuple([PARTITION if c == "matching_partition" else fields[c] for c in columns])
