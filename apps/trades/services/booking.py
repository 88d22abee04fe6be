"""Booking: one batch of engine results becomes trades, order states, holds, ledger, positions and events.

Everything here runs inside the runner's SERIALIZABLE transaction, on its cursor, under the booking gate:
either the whole batch is true or none of it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from apps.events.facts import EventRow, Topic
from apps.events.services import event_append
from apps.instruments.selectors import market_session, settlement_date
from apps.instruments.services import LastPrice, last_prices_write
from apps.ledger.services import BalanceState, Line, balances_read, balances_write, entries_post
from apps.matching.codes import EVENT_DTYPE, ExecType, Reason
from apps.matching.messages import Batch, Booked, Command, TapeTrade
from apps.orders.executions import OrderState
from apps.orders.services.batches import holds_write, orders_read, orders_write
from apps.orders.services.entry import expiry
from apps.positions.services import PositionState, positions_apply, positions_read
from apps.primitives.clock import iso
from apps.primitives.fix import OrdStatus, TimeInForce
from apps.primitives.ids import Kind, public_id
from apps.primitives.money import trade_value, units_to_price
from apps.risk.rules import hold_price
from apps.trades.postings import trade_lines

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
    trades: list[tuple[Any, ...]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    last_prices: dict[str, LastPrice] = field(default_factory=dict)
    tape: list[TapeTrade] = field(default_factory=list)

    def order(self, order_id: int) -> OrderState:
        """Return an order for changing; it will be written."""
        state = self.orders[order_id]
        self.touched[order_id] = state
        return state

    def position(self, order: OrderState) -> PositionState:
        key = (order.account_id, order.symbol)
        if key not in self.positions:
            self.positions[key] = PositionState(order.account_id, order.user_id, order.symbol)
        return self.positions[key]

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


def batch_book(cursor: Any, batch: Batch) -> Booked:
    """Book one batch on ``cursor``; raises and leaves nothing when any invariant would break."""
    execs = [ExecEvent(row) for row in batch.events.tolist()]
    books = _books_read(cursor, batch, execs)
    for event in execs:
        _APPLY[event.exec_type](books, event)
    _books_write(cursor, books)
    return Booked(trades=books.tape, kept_command_ids=frozenset(books.kept_command_ids))


def _books_read(cursor: Any, batch: Batch, execs: list[ExecEvent]) -> Books:
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


def _accepted_apply(books: Books, event: ExecEvent) -> None:
    order = books.order(event.order_id)
    order.accept(priority=event.seq)
    books.tell(order, "ORDER_ACCEPTED")


def _trade_apply(books: Books, event: ExecEvent) -> None:
    taker, maker = books.order(event.order_id), books.order(event.contra_order_id)
    buy, sell = (taker, maker) if taker.side == "BUY" else (maker, taker)
    price, quantity = units_to_price(event.price), event.quantity
    value = trade_value(price, quantity)
    trade_id, entry_id = books.ids.pop(), books.ids.pop()
    _trade_record(books, event, trade_id, buy, sell, price, value, taker.side)
    books.lines += trade_lines(
        entry_id=entry_id,
        trade_id=trade_id,
        symbol=buy.symbol,
        quantity=quantity,
        price=price,
        value=value,
        buyer=books.balances[buy.account_id],
        seller=books.balances[sell.account_id],
        executed_at=books.batch.transact_time,
    )
    books.position(sell).sell(quantity, value)
    books.position(buy).buy(quantity, value)
    for order in (taker, maker):
        order.fill(price, quantity)
        _fill_tell(books, order, trade_id, price, quantity)
    _trade_tell(books, trade_id, (buy, sell), price, quantity, value, taker.side)


def _trade_record(
    books: Books,
    event: ExecEvent,
    trade_id: int,
    buy: OrderState,
    sell: OrderState,
    price: Decimal,
    value: Decimal,
    aggressor_side: str,
) -> None:
    batch = books.batch
    books.trades.append(
        (
            trade_id,
            buy.order_id,
            sell.order_id,
            buy.user_id,
            sell.user_id,
            buy.account_id,
            sell.account_id,
            buy.symbol,
            price,
            event.quantity,
            value,
            aggressor_side,
            batch.transact_time,
            books.trade_date,
            books.settl_date,
            batch.matching_partition,
            event.seq,
            event.n,
        )
    )
    books.tape.append(TapeTrade(trade_id, event.symbol_id, event.price, event.quantity, aggressor_side))
    seen = books.last_prices.get(buy.symbol)
    books.last_prices[buy.symbol] = LastPrice(
        symbol=buy.symbol,
        trade_date=books.trade_date,
        first=seen.first if seen else price,
        high=max(seen.high, price) if seen else price,
        low=min(seen.low, price) if seen else price,
        last=price,
        volume=(seen.volume if seen else 0) + event.quantity,
    )


def _fill_tell(books: Books, order: OrderState, trade_id: int, price: Decimal, quantity: int) -> None:
    full = order.status is OrdStatus.FILLED
    books.tell(
        order,
        "ORDER_FILLED" if full else "ORDER_PARTIALLY_FILLED",
        execution={
            "execution_id": str(public_id(Kind.EXECUTION, trade_id)),
            "trade_id": str(trade_id),
            "price": price,
            "quantity": quantity,
            "position_quantity": books.position(order).quantity,
        },
    )


def _trade_tell(
    books: Books,
    trade_id: int,
    parties: tuple[OrderState, OrderState],
    price: Decimal,
    quantity: int,
    value: Decimal,
    aggressor_side: str,
) -> None:
    for order in parties:
        books.events.append(
            EventRow(
                topic=Topic.TRADES,
                event_type="TRADE_EXECUTED",
                user_id=order.user_id,
                account_id=order.account_id,
                data={
                    "trade_id": str(trade_id),
                    "order_id": str(order.order_id),
                    "symbol": order.symbol,
                    "side": order.side,
                    "aggressor_side": aggressor_side,
                    "price": price,
                    "quantity": quantity,
                    "trade_value": value,
                    "executed_at": iso(books.batch.transact_time),
                    "settl_date": books.settl_date.isoformat(),
                },
            )
        )


def _cancelled_apply(books: Books, event: ExecEvent) -> None:
    order = books.order(event.order_id)
    order.end(OrdStatus.CANCELLED, Reason(event.reason).name)
    books.tell(order, "ORDER_CANCELLED")


def _expired_apply(books: Books, event: ExecEvent) -> None:
    order = books.order(event.order_id)
    order.end(OrdStatus.EXPIRED, "TIME_IN_FORCE")
    books.tell(order, "ORDER_EXPIRED")


def _replaced_apply(books: Books, event: ExecEvent) -> None:
    command = books.batch.command_of(event.seq)
    old = books.order(event.contra_order_id)
    keeps_priority = event.price == _units(old.price) and event.leaves_qty < old.leaves_quantity
    new = _replacement(command, old, event, old.priority if keeps_priority else event.seq)
    old.replaced_by = new.order_id
    old.end(OrdStatus.REPLACED)
    books.orders[new.order_id] = books.touched[new.order_id] = new
    books.tell(old, "ORDER_REPLACED", replacement_id=str(new.order_id))
    books.tell(new, "ORDER_ACCEPTED")


def _units(price: Decimal | None) -> int | None:
    return None if price is None else int(price * 10_000)


def _replacement(command: Command, old: OrderState, event: ExecEvent, priority: int) -> OrderState:
    price = units_to_price(command.price_units)
    time_in_force = TimeInForce(command.time_in_force)
    return OrderState(
        order_id=command.order_id,
        user_id=old.user_id,
        account_id=old.account_id,
        client_order_id=command.client_order_id,
        symbol=old.symbol,
        side=old.side,
        order_type=old.order_type,
        time_in_force=command.time_in_force,
        price=price,
        collar_price=None,
        quantity=event.leaves_qty,
        filled_quantity=0,
        filled_value=Decimal(0),
        status=OrdStatus.NEW,
        reason=None,
        replaces=old.order_id,
        replaced_by=None,
        created_at=command.created_at,
        expires_at=expiry(time_in_force, market_session(command.created_at), command.created_at),
        hold_price=hold_price(price) if old.side == "BUY" else Decimal(0),
        priority=priority,
        is_new_row=True,
    )


def _rejected_apply(books: Books, event: ExecEvent) -> None:
    command, reason = books.batch.command_of(event.seq), Reason(event.reason).name
    if command.kind == "NEW":
        order = books.order(command.order_id)
        order.end(OrdStatus.REJECTED, reason)
        books.tell(order, "ORDER_REJECTED", reason=reason)
        return
    target = books.orders.get(command.orig_order_id)
    if target is None:
        return
    if command.kind == "REPLACE":
        books.released_ids.append(command.order_id)
        more = {"reason": reason, "replacement_id": str(command.order_id)}
        books.tell(target, "ORDER_REPLACE_REJECTED", **more)
    elif target.status is OrdStatus.PENDING:
        books.kept_command_ids.add(command.command_id)
    elif command.kind == "CANCEL":
        books.tell(target, "ORDER_CANCEL_REJECTED", reason=reason)


def _nothing_apply(books: Books, event: ExecEvent) -> None:
    """Halts and resumptions change no order by themselves; who asked for them has appended the event."""


_APPLY: dict[int, Callable[[Books, ExecEvent], None]] = {
    ExecType.NEW: _accepted_apply,
    ExecType.TRADE: _trade_apply,
    ExecType.CANCELED: _cancelled_apply,
    ExecType.EXPIRED: _expired_apply,
    ExecType.REPLACED: _replaced_apply,
    ExecType.REJECTED: _rejected_apply,
    ExecType.HALTED: _nothing_apply,
    ExecType.RESUMED: _nothing_apply,
}


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


def _books_write(cursor: Any, books: Books) -> None:
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
