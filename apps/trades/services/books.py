"""What one batch touches: read once, changed in memory, written once at the end."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from apps.events.facts import EventRow
from apps.events.services import EventStream, event_append
from apps.events.types import EventType
from apps.instruments.selectors import market_session, settlement_date
from apps.instruments.services import LastPrice, last_prices_write
from apps.ledger.services import (
    BalanceState,
    Line,
    balance_event,
    balances_ask,
    balances_read,
    balances_write,
    entries_post,
)
from apps.matching.codes import ExecType
from apps.matching.messages import Batch, Command, TapeTrade, priority_of
from apps.matching.services import command_append
from apps.orders.executions import OrderState, number_json
from apps.orders.services.batches import holds_write, orders_accept, orders_read, orders_write
from apps.positions.services import (
    PositionState,
    position_event,
    positions_apply,
    positions_ask,
    positions_read,
)
from apps.primitives.appending import AppendTable, rows_append
from apps.primitives.clock import iso
from apps.primitives.failpoints import failpoint
from apps.primitives.pipelining import rows_ask

IDS_SQL = "SELECT next_id() FROM generate_series(1, %s)"

TRADES = AppendTable(
    "trades",
    {
        "trade_id": "bigint",
        "buy_order_id": "bigint",
        "sell_order_id": "bigint",
        "buyer_id": "bigint",
        "seller_id": "bigint",
        "buyer_account_id": "bigint",
        "seller_account_id": "bigint",
        "symbol": "text",
        "price": "numeric",
        "quantity": "integer",
        "trade_value": "numeric",
        "aggressor_side": "text",
        "executed_at": "timestamptz",
        "trade_date": "date",
        "settl_date": "date",
        "matching_partition": "smallint",
        "match_seq": "bigint",
        "match_n": "integer",
    },
)


class ExecEvent(NamedTuple):
    """One engine event, its fields as in ``EVENT_DTYPE``."""

    seq: int
    order_id: int
    contra_order_id: int
    owner: int
    contra_owner: int
    price: int
    quantity: int
    cum_qty: int
    leaves_qty: int
    contra_leaves_qty: int
    contra_cum_qty: int
    symbol_id: int
    n: int
    exec_type: int
    ord_status: int
    contra_ord_status: int
    side: int
    reason: int
    reserved: bytes


@dataclass(slots=True)
class GroupNotes:
    """What the batch did to one group, besides what its orders say themselves."""

    bought: int = 0
    watch_from: int | None = None
    """How many trades of the symbol came before its stop-loss began to listen; None when it did before."""
    by_owner: bool = False


@dataclass(slots=True)
class Books:
    """What the batch touches, as it was read, changed in memory, and written once at the end."""

    batch: Batch
    trade_date: date
    settl_date: date
    at: str
    """The batch's time as events tell it."""
    orders: dict[int, OrderState]
    balances: dict[int, BalanceState]
    positions: dict[tuple[int, str], PositionState]
    ids: list[int]
    accepted: Set[int] = frozenset()
    """Orders that are written already: the batch accepts them and does nothing else to them."""
    touched: dict[int, OrderState] = field(default_factory=dict)
    released_ids: list[int] = field(default_factory=list)
    kept_command_ids: set[int] = field(default_factory=set)
    groups: dict[int, GroupNotes] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    trades: list[tuple[Any, ...]] = field(default_factory=list)
    """As the columns of ``TRADES``."""
    lines: list[Line] = field(default_factory=list)
    events: EventStream = field(default_factory=EventStream)
    told: set[int] = field(default_factory=set)
    """Accounts whose stream of events has moved."""
    quiet: dict[int, OrderState] = field(default_factory=dict)
    """Orders that the market's working has changed since anybody was told of them."""
    volumes: dict[str, int] = field(default_factory=dict)
    prices: dict[str, list[Decimal]] = field(default_factory=dict)
    tape: list[TapeTrade] = field(default_factory=list)

    def order(self, order_id: int) -> OrderState:
        """Return an order for changing; it will be written."""
        assert order_id not in self.accepted, f"order {order_id} was only to be accepted"
        state = self.orders[order_id]
        self.touched[order_id] = state
        return state

    def order_add(self, state: OrderState) -> None:
        """Take in an order that the batch made."""
        self.orders[state.order_id] = self.touched[state.order_id] = state

    def position(self, order: OrderState) -> PositionState:
        key = (order.account_id, order.symbol)
        if key not in self.positions:
            self.positions[key] = PositionState(order.account_id, order.user_id, order.symbol)
        return self.positions[key]

    def group(self, order: OrderState) -> GroupNotes:
        """Return the notes of an order's group, for writing."""
        assert order.group_id is not None, f"order {order.order_id} is in no group"
        return self.groups.setdefault(order.group_id, GroupNotes())

    def tell(self, order: OrderState, event_type: EventType, more: str = "", **words: str) -> None:
        """Append one event of an order to its account's stream; ``more`` is JSON that ends in a comma."""
        for name, word in words.items():
            more += f'"{name}":"{word}",'
        data = f'{{{more}"order":{order.facts_json()},"at":"{self.at}"}}'
        seq = self.balances[order.account_id].event_seq_next()
        self.told.add(order.account_id)
        self.quiet.pop(order.order_id, None)
        self.events.append(EventRow(event_type, order.user_id, data, order.account_id, seq))

    def quiet_tell(self) -> None:
        """Append how orders stand that changed unasked: for the record, outside their account's stream."""
        for order in self.quiet.values():
            data = (
                f'{{"reserved":{order.reserved},"trigger_price":{number_json(order.trigger_price)},'
                f'"order":{order.facts_json()},"at":"{self.at}"}}'
            )
            self.events.append(EventRow(EventType.ORDER_UPDATED, order.user_id, data, order.account_id))
        self.quiet.clear()

    def orders_add(self, cursor: Any, order_ids: Iterable[int]) -> None:
        """Read orders that the batch turns out to concern, with their accounts."""
        missing = [order_id for order_id in order_ids if order_id not in self.orders]
        if not missing:
            return
        found = orders_read(cursor, missing)
        self.orders |= found
        accounts = {order.account_id for order in found.values()} - set(self.balances)
        if accounts:
            self.balances |= balances_read(cursor, accounts)


class _Figures:
    """Accounts, positions and ids, asked for by what the engine says of its events."""

    def __init__(
        self, cursor: Any, batch: Batch, execs: Sequence[ExecEvent], trades: Sequence[ExecEvent]
    ) -> None:
        self._cursor = cursor
        symbols = {c.instrument_id: c.symbol for c in batch.commands}
        self._accounts = {owner for e in execs for owner in (e.owner, e.contra_owner)}
        self._accounts.update([c.account_id for c in batch.commands])
        self._accounts.discard(0)
        self._keys = {
            (owner, symbols.get(e.symbol_id, "")) for e in trades for owner in (e.owner, e.contra_owner)
        }
        self._balances = balances_ask(cursor, self._accounts)
        self._positions = positions_ask(cursor, sorted(self._keys))
        self.ids: Callable[[], list[Any]] = rows_ask(cursor, IDS_SQL, (2 * len(trades),)) if trades else list

    def balances_of(self, accounts: Set[int]) -> dict[int, BalanceState]:
        """Return these accounts and whoever else was asked for."""
        missing = accounts - self._accounts
        return self._balances() | (balances_read(self._cursor, missing) if missing else {})

    def positions_of(self, keys: Set[tuple[int, str]]) -> dict[tuple[int, str], PositionState]:
        return self._positions() | positions_read(self._cursor, sorted(keys - self._keys))


def books_read(cursor: Any, batch: Batch, execs: list[ExecEvent]) -> Books:
    """Read what a batch's events and commands name: orders, accounts, positions, and ids for its trades."""
    named = Counter(order_id for e in execs for order_id in (e.order_id, e.contra_order_id))
    named.update(c.orig_order_id for c in batch.commands)
    del named[0]
    trades = [e for e in execs if e.exec_type == ExecType.TRADE]
    # What the engine says itself is asked for first, so that the orders are waited for and nothing else.
    figures = _Figures(cursor, batch, execs, trades)
    accepted = orders_accept(cursor, _priorities(execs, named), batch.transact_time)
    orders = accepted | orders_read(cursor, sorted(named.keys() - accepted.keys()))
    replacements = {c.order_id: c for c in batch.commands if c.kind == "REPLACE"}
    accounts = {o.account_id for o in orders.values()} | {c.account_id for c in replacements.values()}
    keys = set()
    for event in trades:
        for order_id in (event.order_id, event.contra_order_id):
            party = orders.get(order_id) or replacements[order_id]
            keys.add((party.account_id, party.symbol))
    session = market_session(batch.transact_time)
    return Books(
        batch=batch,
        trade_date=session.trade_date,
        settl_date=settlement_date(session.trade_date),
        at=iso(batch.transact_time),
        orders=orders,
        balances=figures.balances_of(accounts),
        positions=figures.positions_of(keys),
        ids=[row[0] for row in figures.ids()][::-1],
        accepted=accepted.keys(),
    )


def _priorities(execs: list[ExecEvent], named: Counter[int]) -> dict[int, int]:
    """Return the places of the orders of which the batch says only that they were accepted."""
    return {
        e.order_id: priority_of(e.seq, e.n)
        for e in execs
        if e.exec_type == ExecType.NEW and named[e.order_id] == 1
    }


def _last_prices(books: Books) -> list[LastPrice]:
    return [
        LastPrice(
            symbol=symbol,
            trade_date=books.trade_date,
            first=prices[0],
            high=max(prices),
            low=min(prices),
            last=prices[-1],
            volume=books.volumes[symbol],
        )
        for symbol, prices in books.prices.items()
    ]


def books_write(cursor: Any, books: Books) -> None:
    """Write everything the batch changed, and queue the commands that follow from it.

    What takes the server longest comes first: it works while the rest is put into words.
    """
    rows_append(cursor, TRADES, books.trades)
    entries_post(cursor, books.lines)
    traded = {line.account_id for line in books.lines}
    for account_id in sorted(traded):
        books.events.append(balance_event(books.balances[account_id], books.at))
    positions = [books.positions[key] for key in sorted(books.positions)]
    for position in positions:
        books.events.append(position_event(position, books.at))
    books.quiet_tell()
    touched = list(books.touched.values())
    orders_write(cursor, touched, books.batch.matching_partition, books.batch.transact_time)
    holds_write(cursor, touched, books.released_ids)
    failpoint("booking.mid_write")
    balances_write(cursor, [books.balances[account_id] for account_id in books.told | traded])
    positions_apply(cursor, positions)
    last_prices_write(cursor, _last_prices(books))
    event_append(cursor, books.events.rows)
    if books.commands:
        command_append(cursor, books.batch.matching_partition, books.commands)
