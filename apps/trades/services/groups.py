"""Groups in booking: gather how each stands after the batch, ask what follows, and do that as well."""

from collections.abc import Callable
from decimal import Decimal
from itertools import groupby
from typing import Any

from apps.events.types import EventType
from apps.matching.messages import Command
from apps.orders.engine_terms import flags_of, stop_units
from apps.orders.executions import OrderState
from apps.orders.groups import Act, ActKind, GroupFacts, Member, group_next
from apps.orders.services.batches import group_members_read
from apps.primitives.fix import Leg, OrderClass, OrderType, OrdStatus
from apps.primitives.money import price_to_units
from apps.trades.services.books import Books, GroupNotes

Legs = dict[str | None, OrderState]
"""The orders of a group that count, by what they do in it."""

_LAST_PRICE_SQL = "SELECT last_price FROM instrument_prices WHERE symbol = %s"


def groups_advance(cursor: Any, books: Books) -> None:
    """Do what follows from the batch for every group that it touched or whose stop-loss it reached."""
    ids = {order.group_id for order in books.touched.values() if order.group_id is not None}
    lows = {symbol: min(prices) for symbol, prices in books.prices.items()}
    found = group_members_read(cursor, ids, lows)
    books.orders_add(cursor, found)
    ids.update(found.values())
    members = [order for order in books.orders.values() if order.group_id in ids]
    members.sort(key=lambda order: (order.group_id, order.order_id))
    for _, group in groupby(members, key=lambda order: order.group_id):
        _group_advance(cursor, books, list(group))


def _group_advance(cursor: Any, books: Books, members: list[OrderState]) -> None:
    # Of an order and what replaced it in this batch, the newest counts. What ended before it was read as the
    # target of some late command, and counts no more.
    current = {
        order.leg: order
        for order in members
        if order.status is not OrdStatus.REPLACED and (order.is_live or order.order_id in books.touched)
    }
    for act in group_next(_facts(cursor, books, current)):
        _DO[act.kind](books, books.order(act.order_id), act, current)


def _facts(cursor: Any, books: Books, current: Legs) -> GroupFacts:
    entry, profit, loss = (current.get(leg) for leg in (Leg.ENTRY, Leg.TAKE_PROFIT, Leg.STOP_LOSS))
    some = entry or profit or loss
    notes = books.group(some) if some else GroupNotes()
    return GroupFacts(
        entry=_member(entry),
        take_profit=_member(profit),
        stop_loss=_member(loss),
        bought=notes.bought + sum(leg.reserved for leg in (profit, loss) if leg is not None),
        armed=loss is not None and loss.trigger_price is not None,
        reached=loss is not None and _reached(cursor, books, loss, notes),
        by_owner=notes.by_owner,
        is_pair=some is not None and some.order_class != OrderClass.OTO,
    )


def _member(order: OrderState | None) -> Member | None:
    if order is None:
        return None
    return Member(
        order_id=order.order_id,
        status=order.status,
        quantity=order.quantity,
        filled=order.filled_quantity,
        reserved=order.reserved,
        triggered=order.triggered_at is not None,
        is_new=order.is_new_row,
    )


def _reached(cursor: Any, books: Books, loss: OrderState, notes: GroupNotes) -> bool:
    """Return whether the last price when the stop-loss began to listen, or a trade since, was at its stop."""
    begins = notes.watch_from
    if not loss.is_held or (begins is None and loss.trigger_price is None):
        return False
    prices = books.prices.get(loss.symbol, [])
    seen = prices[max((begins or 0) - 1, 0) :]
    if begins == 0:
        seen = [*_last_price(cursor, loss.symbol), *seen]
    return loss.stop_price is not None and any(price <= loss.stop_price for price in seen)


def _last_price(cursor: Any, symbol: str) -> list[Decimal]:
    cursor.execute(_LAST_PRICE_SQL, (symbol,))
    row = cursor.fetchone()
    return [row[0]] if row and row[0] is not None else []


def _command(books: Books, order: OrderState, kind: str, **more: Any) -> None:
    # A batch concerns a symbol only by a command for it.
    instrument_id = next(c.instrument_id for c in books.batch.commands if c.symbol == order.symbol)
    books.commands.append(Command(kind=kind, symbol=order.symbol, instrument_id=instrument_id, **more))


def command_new(books: Books, order: OrderState, order_type: str | None = None) -> None:
    """Queue a leg's NEW command, as what it is or as what its trigger made of it."""
    kind = order_type or order.order_type
    worst = order.price if order.price is not None else order.collar_price
    assert worst is not None, "a leg has a limit or a collar"
    waits = kind in (OrderType.STOP, OrderType.STOP_LIMIT)
    _command(
        books,
        order,
        "NEW",
        order_id=order.order_id,
        account_id=order.account_id,
        user_id=order.user_id,
        side=order.side,
        order_type=kind,
        time_in_force=order.time_in_force,
        price_units=price_to_units(worst),
        stop_price_units=stop_units(kind, order.stop_price, None) if waits else 0,
        quantity=order.quantity,
        flags=flags_of(order.side, None),
        client_order_id=order.client_order_id,
    )


def _resize(books: Books, order: OrderState, act: Act, legs: Legs) -> None:
    order.quantity = act.quantity
    books.tell(order, EventType.ORDER_RESIZED)


def _reserve(books: Books, order: OrderState, act: Act, legs: Legs) -> None:
    order.reserved = act.quantity
    books.quiet[order.order_id] = order


def _life_follow(order: OrderState, legs: Legs, leader: Leg) -> None:
    """Let a leg live as long as the order it follows, which may have been replaced by a later one."""
    if leader in legs:
        order.expires_at = legs[leader].expires_at


def _release(books: Books, order: OrderState, act: Act, legs: Legs) -> None:
    _life_follow(order, legs, Leg.ENTRY)
    order.release()
    books.quiet[order.order_id] = order
    command_new(books, order)


def _arm(books: Books, order: OrderState, act: Act, legs: Legs) -> None:
    _life_follow(order, legs, Leg.ENTRY)
    order.trigger_price = order.stop_price
    books.quiet[order.order_id] = order


def _trigger(books: Books, order: OrderState, act: Act, legs: Legs) -> None:
    order.triggered_at, order.trigger_price = books.batch.transact_time, None
    books.tell(order, EventType.ORDER_TRIGGERED)


def _fire(books: Books, order: OrderState, act: Act, legs: Legs) -> None:
    _life_follow(order, legs, Leg.TAKE_PROFIT)
    order.release()
    books.quiet[order.order_id] = order
    command_new(books, order, OrderType.MARKET if order.price is None else OrderType.LIMIT)


def _withdraw(books: Books, order: OrderState, act: Act, legs: Legs) -> None:
    _command(books, order, "CANCEL", orig_order_id=order.order_id, argument=act.reason)


def _end(books: Books, order: OrderState, act: Act, legs: Legs) -> None:
    order.end(OrdStatus.CANCELLED, act.reason.name)
    books.tell(order, EventType.ORDER_CANCELLED)


_DO: dict[ActKind, Callable[[Books, OrderState, Act, Legs], None]] = {
    ActKind.RESIZE: _resize,
    ActKind.RESERVE: _reserve,
    ActKind.RELEASE: _release,
    ActKind.ARM: _arm,
    ActKind.TRIGGER: _trigger,
    ActKind.FIRE: _fire,
    ActKind.WITHDRAW: _withdraw,
    ActKind.END: _end,
}
