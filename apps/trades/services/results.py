"""What each kind of engine result does to the books."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from apps.events.types import EventType
from apps.instruments.selectors import market_session
from apps.matching.codes import ExecType, Reason
from apps.matching.messages import Command, priority_of
from apps.orders.engine_terms import terms_read
from apps.orders.executions import OrderState, number_json
from apps.orders.groups import Withdrawal
from apps.orders.services.plan import expiry
from apps.primitives.fix import Leg, OrderClass, OrderType, OrdStatus, Side, TimeInForce
from apps.primitives.money import units_to_price
from apps.risk.rules import hold_price
from apps.risk.stops import mark_better, trail_stop
from apps.trades.services.books import Books, ExecEvent
from apps.trades.services.fills import trade_apply
from apps.trades.services.groups import command_new


def result_apply(books: Books, event: ExecEvent) -> None:
    """Apply one engine event; raises for one that no order of ours can cause."""
    _APPLY[event.exec_type](books, event)


def _accepted_apply(books: Books, event: ExecEvent) -> None:
    if event.order_id in books.accepted:
        books.tell(books.orders[event.order_id], EventType.ORDER_ACCEPTED)
        return
    order = books.order(event.order_id)
    order.accept(priority_of(event.seq, event.n))
    if order.leg == Leg.TAKE_PROFIT and order.order_class == OrderClass.OCO:
        books.group(order).watch_from = len(books.prices.get(order.symbol, ()))
    books.tell(order, EventType.ORDER_ACCEPTED)


def _triggered_apply(books: Books, event: ExecEvent) -> None:
    order = books.order(event.order_id)
    order.trigger(books.batch.transact_time, priority_of(event.seq, event.n))
    books.tell(order, EventType.ORDER_TRIGGERED)


def _trailed_apply(books: Books, event: ExecEvent) -> None:
    """Move a trailing stop: of all its moves in a batch the last is on record, and its owner sees none."""
    order = books.order(event.order_id)
    books.quiet[order.order_id] = order
    order.trail(units_to_price(event.price), units_to_price(event.quantity), priority_of(event.seq, event.n))


def _cancelled_apply(books: Books, event: ExecEvent) -> None:
    order, command = books.order(event.order_id), books.batch.command_of(event.seq)
    reason = Reason(event.reason).name
    if command.kind == "CANCEL" and command.argument:
        reason = Withdrawal(command.argument).name
    elif command.kind == "CANCEL" and order.group_id is not None:
        books.group(order).by_owner = True
    order.end(OrdStatus.CANCELLED, reason)
    books.tell(order, EventType.ORDER_CANCELLED)


def _expired_apply(books: Books, event: ExecEvent) -> None:
    order = books.order(event.order_id)
    if order.group_id is not None:
        books.group(order).by_owner = True
    order.end(OrdStatus.EXPIRED, "TIME_IN_FORCE")
    books.tell(order, EventType.ORDER_EXPIRED)


def _replaced_apply(books: Books, event: ExecEvent) -> None:
    command = books.batch.command_of(event.seq)
    old = books.order(event.contra_order_id)
    new = _replacement(command, old, quantity=event.leaves_qty)
    kept = event.leaves_qty < old.leaves_quantity and _place(new) == _place(old)
    new.accept(old.priority if kept else priority_of(event.seq, event.n))
    _replacement_book(books, old, new)
    books.tell(new, EventType.ORDER_ACCEPTED, _birth(new))


def _place(order: OrderState) -> tuple[object, ...]:
    """Return what must stay for a smaller order to keep its place: price, trigger and trail."""
    return (
        order.price,
        order.collar_price,
        order.stop_price,
        order.high_water_mark,
        order.trail_amount,
        order.trail_percent,
    )


def _replacement_book(books: Books, old: OrderState, new: OrderState) -> None:
    old.replaced_by = new.order_id
    old.end(OrdStatus.REPLACED)
    books.order_add(new)
    books.tell(old, EventType.ORDER_REPLACED, replacement_id=str(new.order_id))


def _birth(order: OrderState) -> str:
    """Return what only the first event of an order tells of it, as ``tell`` takes it."""
    return f'"collar_price":{number_json(order.collar_price)},"hold_price":{order.hold_price:f},'


def _replacement(command: Command, old: OrderState, quantity: int) -> OrderState:
    terms = terms_read(command, old.order_type)
    mark, stop = terms.high_water_mark, terms.stop_price
    if mark is not None and old.high_water_mark is not None:
        side = Side(old.side)
        mark = mark_better(side, mark, old.high_water_mark)
        stop = trail_stop(side, mark, terms.trail_amount, terms.trail_percent)
    worst = terms.price if terms.price is not None else terms.collar_price
    assert worst is not None and command.created_at is not None
    return OrderState(
        order_id=command.order_id,
        user_id=old.user_id,
        account_id=old.account_id,
        client_order_id=command.client_order_id,
        symbol=old.symbol,
        side=old.side,
        order_type=old.order_type,
        time_in_force=command.time_in_force,
        price=terms.price,
        collar_price=terms.collar_price,
        quantity=quantity,
        filled_quantity=0,
        filled_value=Decimal(0),
        status=OrdStatus.PENDING,
        reason=None,
        replaces=old.order_id,
        replaced_by=None,
        created_at=command.created_at,
        expires_at=_expiry(command, command.created_at, old),
        # A stop limit keeps its trigger when it was triggered: then its replacement is a limit order.
        stop_price=stop if stop is not None else old.stop_price,
        trail_amount=terms.trail_amount,
        trail_percent=terms.trail_percent,
        high_water_mark=mark,
        triggered_at=old.triggered_at,
        order_class=old.order_class,
        group_id=old.group_id,
        leg=old.leg,
        hold_price=hold_price(worst) if old.side == Side.BUY else Decimal(0),
        is_new_row=True,
    )


def _expiry(command: Command, asked_at: datetime, old: OrderState) -> datetime | None:
    """Return when a replacement ends: with the session it was for, or its life begins anew."""
    if command.time_in_force == old.time_in_force and old.time_in_force != TimeInForce.GTC:
        return old.expires_at
    return expiry(TimeInForce(command.time_in_force), market_session(asked_at), asked_at)


def _rejected_apply(books: Books, event: ExecEvent) -> None:
    command, reason = books.batch.command_of(event.seq), Reason(event.reason)
    if books.batch.is_quarantined:
        _quarantined_apply(books, command)
        return
    if command.kind == "NEW":
        _refused_apply(books, books.order(command.order_id), reason)
        return
    target = books.orders.get(command.orig_order_id)
    if target is None:
        _kept_follow(books, command)
        return
    unknown = reason is Reason.UNKNOWN_ORDER
    if unknown and target.status is OrdStatus.PENDING:
        books.kept_command_ids.add(command.command_id)
    elif target.is_held and (unknown or command.is_for_books):
        _HELD[command.kind](books, command, books.order(target.order_id))
    elif command.kind == "REPLACE":
        _replace_refuse(books, command, target, reason)
    elif command.kind == "CANCEL" and not command.argument:
        books.tell(target, EventType.ORDER_CANCEL_REJECTED, reason=reason.name)


def _quarantined_apply(books: Books, command: Command) -> None:
    """Refuse a command that ended every leader who tried it; what it was about stays as it is."""
    reason = "QUARANTINED"
    if command.kind == "NEW":
        order = books.order(command.order_id)
        order.end(OrdStatus.REJECTED, reason)
        books.tell(order, EventType.ORDER_REJECTED, reason=reason)
    elif target := books.orders.get(command.orig_order_id):
        if command.kind == "REPLACE":
            books.released_ids.append(command.order_id)
            more = {"reason": reason, "replacement_id": str(command.order_id)}
            books.tell(target, EventType.ORDER_REPLACE_REJECTED, **more)
        elif command.kind == "CANCEL" and not command.argument:
            books.tell(target, EventType.ORDER_CANCEL_REJECTED, reason=reason)


def _kept_follow(books: Books, command: Command) -> None:
    """Keep what is asked of a replacement that is itself kept: its order is still to come."""
    kept = (c for c in books.batch.commands if c.command_id in books.kept_command_ids)
    if any(c.order_id == command.orig_order_id for c in kept):
        books.kept_command_ids.add(command.command_id)


def _refused_apply(books: Books, order: OrderState, reason: Reason) -> None:
    """End an order that the book refused; but a stop-loss that found no trading waits there as a stop."""
    fired = order.leg == Leg.STOP_LOSS and order.triggered_at is not None
    if fired and order.order_type == OrderType.STOP and reason is Reason.NOT_CONTINUOUS:
        order.triggered_at = None
        books.quiet[order.order_id] = order
        command_new(books, order)
        return
    order.end(OrdStatus.REJECTED, reason.name)
    books.tell(order, EventType.ORDER_REJECTED, reason=reason.name)


def _replace_refuse(books: Books, command: Command, target: OrderState, reason: Reason) -> None:
    books.released_ids.append(command.order_id)
    more = {"reason": reason.name, "replacement_id": str(command.order_id)}
    books.tell(target, EventType.ORDER_REPLACE_REJECTED, **more)


def _held_cancel(books: Books, command: Command, order: OrderState) -> None:
    """Cancel a leg that the engine does not know, because it waits here."""
    books.group(order).by_owner = True
    order.end(OrdStatus.CANCELLED, Reason.REQUESTED.name)
    books.tell(order, EventType.ORDER_CANCELLED)


def _held_expire(books: Books, command: Command, order: OrderState) -> None:
    order.end(OrdStatus.EXPIRED, "TIME_IN_FORCE")
    books.tell(order, EventType.ORDER_EXPIRED)


def _held_replace(books: Books, command: Command, old: OrderState) -> None:
    """Replace a leg that waits here; one that was triggered is on its way already."""
    if old.triggered_at is not None:
        _replace_refuse(books, command, old, Reason.TOO_LATE)
        return
    new = _replacement(command, old, quantity=old.quantity)
    new.status, new.hold_price, new.reserved = OrdStatus.HELD, Decimal(0), old.reserved
    new.expires_at = old.expires_at
    if old.trigger_price is not None:
        new.trigger_price = new.stop_price
        books.group(old).watch_from = len(books.prices.get(old.symbol, ()))
    _replacement_book(books, old, new)
    waits = f'"reserved":{new.reserved},"trigger_price":{number_json(new.trigger_price)},'
    books.tell(new, EventType.ORDER_HELD, _birth(new) + waits)


_HELD: dict[str, Callable[[Books, Command, OrderState], None]] = {
    "CANCEL": _held_cancel,
    "EXPIRE": _held_expire,
    "REPLACE": _held_replace,
}


def _nothing_apply(books: Books, event: ExecEvent) -> None:
    """What only the book is told changes no order; who asked for it has appended the event."""


_APPLY: dict[int, Callable[[Books, ExecEvent], None]] = {
    ExecType.NEW: _accepted_apply,
    ExecType.TRADE: trade_apply,
    ExecType.CANCELED: _cancelled_apply,
    ExecType.EXPIRED: _expired_apply,
    ExecType.REPLACED: _replaced_apply,
    ExecType.REJECTED: _rejected_apply,
    ExecType.TRIGGERED: _triggered_apply,
    ExecType.TRAILED: _trailed_apply,
    ExecType.PHASE: _nothing_apply,
    ExecType.BANDS: _nothing_apply,
    ExecType.MODE: _nothing_apply,
    ExecType.OPTIONS: _nothing_apply,
    ExecType.LIMIT_STATE: _nothing_apply,
    ExecType.LEVEL: _nothing_apply,
    ExecType.TOP: _nothing_apply,
}
"""No order of ours is an iceberg or decrements: REDUCED and REFRESHED would be a broken invariant."""
