"""What one batch touches: read once, changed in memory, written once at the end."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from apps.events.facts import EventRow, Topic
from apps.events.services import event_append
from apps.instruments.selectors import market_session, settlement_date
from apps.instruments.services import LastPrice, last_prices_write
from apps.ledger.services import BalanceState, Line, balances_read, balances_write, entries_post
from apps.matching.codes import EVENT_DTYPE, ExecType
from apps.matching.messages import Batch, Command, TapeTrade
from apps.matching.services import command_append
from apps.orders.executions import OrderState
from apps.orders.services.batches import holds_write, orders_read, orders_write
from apps.positions.services import PositionState, positions_apply, positions_read
from apps.primitives.clock import iso

_FIELDS = EVENT_DTYPE.names or ()
_AT = {name: index for index, name in enumerate(_FIELDS)}
_TRADE_COLUMNS = (
    "trade_id, buy_order_id, sell_order_id, buyer_id, seller_id, buyer_account_id, seller_account_id, "
    "symbol, price, quantity, trade_value, aggressor_side, executed_at, trade_date, settl_date, "
    "matching_partition, match_seq, match_n"
)


class ExecEvent:
    """One engine event by field name; the batch's array is turned into rows once."""

    __slots__ = ("_row",)

    def __init__(self, row: tuple[Any, ...]) -> None:
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return self._row[_AT[name]]


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
    orders: dict[int, OrderState]
    balances: dict[int, BalanceState]
    positions: dict[tuple[int, str], PositionState]
    ids: list[int]
    touched: dict[int, OrderState] = field(default_factory=dict)
    released_ids: list[int] = field(default_factory=list)
    kept_command_ids: set[int] = field(default_factory=set)
    groups: dict[int, GroupNotes] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    trades: list[tuple[Any, ...]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    last_prices: dict[str, LastPrice] = field(default_factory=dict)
    prices: dict[str, list[Decimal]] = field(default_factory=dict)
    tape: list[TapeTrade] = field(default_factory=list)

    def order(self, order_id: int) -> OrderState:
        """Return an order for changing; it will be written."""
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

    def tell(self, order: OrderState, event_type: str, **more: Any) -> None:
        """Append one event of an order to its account's stream."""
        self.events.append(
            EventRow(
                topic=Topic.ORDERS,
                event_type=event_type,
                user_id=order.user_id,
                account_id=order.account_id,
                account_seq=self.balances[order.account_id].event_seq_next(),
                data={"order": order.facts(), "at": iso(self.batch.transact_time), **more},
            )
        )

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


def books_read(cursor: Any, batch: Batch, execs: list[ExecEvent]) -> Books:
    """Read what a batch's events and commands name: orders, accounts, positions, and ids for its trades."""
    order_ids = {order_id for e in execs for order_id in (e.order_id, e.contra_order_id)}
    order_ids.update(c.orig_order_id for c in batch.commands)
    orders = orders_read(cursor, sorted(order_ids - {0}))
    trades = [e for e in execs if e.exec_type == ExecType.TRADE]
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
        orders=orders,
        balances=balances_read(cursor, accounts),
        positions=positions_read(cursor, sorted(keys)),
        ids=_ids_draw(cursor, 2 * len(trades)),
    )


def _ids_draw(cursor: Any, count: int) -> list[int]:
    if not count:
        return []
    cursor.execute("SELECT next_id() FROM generate_series(1, %s)", (count,))
    return [row[0] for row in cursor.fetchall()][::-1]


def _balance_tell(books: Books, state: BalanceState) -> EventRow:
    return EventRow(
        topic=Topic.ACCOUNTS,
        event_type="BALANCE_CHANGED",
        user_id=state.user_id,
        account_id=state.account_id,
        account_seq=state.event_seq_next(),
        data={
            "account_id": state.account_id,
            "cash_balance": state.cash_balance,
            "unsettled_cash": state.unsettled_cash,
            "at": iso(books.batch.transact_time),
        },
    )


def books_write(cursor: Any, books: Books) -> None:
    """Write everything the batch changed, and queue the commands that follow from it."""
    traded = {line.account_id for line in books.lines}
    books.events += [_balance_tell(books, books.balances[account_id]) for account_id in sorted(traded)]
    touched = list(books.touched.values())
    if books.trades:
        with cursor.copy(f"COPY trades ({_TRADE_COLUMNS}) FROM STDIN") as copy:
            for row in books.trades:
                copy.write_row(row)
    orders_write(cursor, touched, books.batch.matching_partition, books.batch.transact_time)
    holds_write(cursor, touched, books.released_ids)
    entries_post(cursor, books.lines)
    changed = {event.account_id for event in books.events if event.account_seq is not None}
    balances_write(cursor, [books.balances[account_id] for account_id in changed if account_id])
    positions_apply(cursor, [books.positions[key] for key in sorted(books.positions)])
    last_prices_write(cursor, list(books.last_prices.values()))
    event_append(cursor, books.events)
    if books.commands:
        command_append(cursor, books.batch.matching_partition, books.commands)
