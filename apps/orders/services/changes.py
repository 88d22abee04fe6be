"""Cancel and replace: each queues one command; the runner alone decides what becomes of the order."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from apps.events.facts import EventRow, Origin, Topic
from apps.events.services import event_append
from apps.instruments.selectors import instrument_id_of
from apps.matching.messages import Command
from apps.matching.services import command_append, matching_wake
from apps.orders.entry_sql import CLIENT_KEY_INSERT_SQL
from apps.orders.intents import OrderIntent, ReplaceIntent
from apps.orders.models import LiveOrder, Order
from apps.orders.selectors import (
    PENDING_CANCEL,
    PENDING_REPLACE,
    OrderView,
    order_get,
    order_row,
    replacement_queued_of,
)
from apps.orders.services.entry import refusal_append
from apps.orders.services.transaction import (
    EntryFacts,
    Held,
    entry_attempt,
    entry_transaction,
    facts_read,
    hold_insert,
)
from apps.primitives.errors import Conflict, Invalid, NotFound, Refused
from apps.primitives.fix import OrderType, Side, TimeInForce
from apps.primitives.ids import Kind, public_id
from apps.primitives.money import price_to_units
from apps.risk.rules import OrderFacts, hold_check, pretrade_check


def order_cancel(account_id: int, order_id: int, origin: Origin) -> OrderView:
    """Queue a cancel, of a replacement still queued as well; asking again changes nothing.

    Raises ``NotFound``, or ``Conflict`` (reason ``TOO_LATE``) when the order has ended.
    """
    view = order_get(account_id, order_id)
    if not view.is_live:
        raise Conflict("TOO_LATE", _ended_message(view))
    if view.status == PENDING_CANCEL:
        return view
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        targets = [view, *replacement_queued_of(view)]
        command_append(cursor, view.matching_partition, [_cancel_command(target) for target in targets])
        data = {"order_id": str(order_id), "account_id": account_id, "symbol": view.symbol}
        event_append(cursor, [_event("ORDER_CANCEL_REQUESTED", view, data, origin)])
    matching_wake(view.matching_partition)
    return replace(view, status=PENDING_CANCEL)


def order_replace(intent: ReplaceIntent, origin: Origin) -> OrderView:
    """Queue a replacement under a new order id and hold what it needs beyond the old hold.

    Quantity is the new total, what has filled included. Raises ``NotFound``, ``Invalid``, ``Refused``,
    ``Conflict``; that it is queued is no proof: the old order may fill first.
    """
    view = order_get(intent.account_id, intent.order_id)
    _replaceable_check(view)
    try:
        row = order_row(intent.account_id, intent.order_id)
    except NotFound:
        raise Conflict("TOO_LATE", "unable to replace order in current state. It is being placed.") from None
    total = intent.quantity if intent.quantity is not None else row.quantity
    if total <= row.filled_quantity:
        raise Invalid(
            "bad_quantity",
            f"qty must be greater than the {row.filled_quantity} that have filled already.",
            field="qty",
        )
    changed = OrderIntent(
        account_id=intent.account_id,
        symbol=row.symbol,
        side=Side(row.side),
        order_type=OrderType(row.order_type),
        quantity=total,
        time_in_force=intent.time_in_force or TimeInForce(row.time_in_force),
        price=intent.price if intent.price is not None else row.price,
        client_order_id=intent.client_order_id,
    )
    if changed.time_in_force not in (TimeInForce.DAY, TimeInForce.GTC):
        raise Invalid(
            "not_replaceable",
            "a replacement is good for the day or till cancelled",
            field="time_in_force",
        )
    try:
        replacement_id = entry_attempt(
            lambda: _replacement_write(row, changed, origin), changed.account_id, changed.client_order_id
        )
    except Refused as refusal:
        refusal_append(intent.account_id, refusal, {"replaces": str(row.order_id)}, origin)
        raise
    matching_wake(row.matching_partition)
    return order_get(intent.account_id, replacement_id)


def _replaceable_check(view: OrderView) -> None:
    if not view.is_live or view.status in (PENDING_CANCEL, PENDING_REPLACE):
        raise Conflict("TOO_LATE", f"unable to replace order in current state. {_ended_message(view)}")
    if view.order_type != OrderType.LIMIT:
        raise Invalid("not_replaceable", "unable to replace order: only limit orders can be replaced")


def _replacement_write(row: Order, changed: OrderIntent, origin: Origin) -> int:
    facts = facts_read(changed.account_id, changed.symbol, changed.client_order_id)
    held = _held(row.order_id)
    open_quantity = changed.quantity - row.filled_quantity
    order = OrderFacts(changed.side, changed.order_type, changed.time_in_force, open_quantity, changed.price)
    account = facts.account(cash=held.cash, shares=held.shares)
    need = pretrade_check(order, account, facts.instrument)
    # The old order may fill at its own price first: then what is added needs all of its cash.
    added_cash = max(open_quantity - held.remaining, 0) * need.hold_price
    extra_cash = max(need.cash - held.cash, added_cash, Decimal(0))
    hold_check(order, account, changed.symbol, replace(need, cash=held.cash + extra_cash))
    extra = replace(need, cash=extra_cash, shares=max(need.shares - held.shares, 0))
    new_id = int(facts.row.order_id)
    key = (changed.account_id, changed.client_order_id, new_id, changed.request_hash())
    with entry_transaction(changed.account_id, facts, extra, held) as cursor:
        cursor.execute(CLIENT_KEY_INSERT_SQL, key)
        hold_insert(cursor, facts, new_id, changed.account_id, open_quantity, extra)
        command_append(cursor, row.matching_partition, [_replace_command(row, changed, facts)])
        event_append(cursor, [_replace_event(row, changed, new_id, origin)])
    return new_id


def _held(order_id: int) -> Held:
    row = LiveOrder.objects.filter(pk=order_id).first()
    if row is None:
        raise Conflict("TOO_LATE", "unable to replace order in current state. The order has ended.")
    return Held(order_id, row.held_cash, row.held_shares, row.remaining)


def _replace_event(row: Order, changed: OrderIntent, new_id: int, origin: Origin) -> EventRow:
    data = {
        "order_id": str(row.order_id),
        "replacement_id": str(new_id),
        "account_id": row.account_id,
        "symbol": row.symbol,
        "quantity": changed.quantity,
        "price": changed.price,
        "time_in_force": changed.time_in_force.value,
        "client_order_id": changed.client_order_id,
    }
    return _event("ORDER_REPLACE_REQUESTED", row, data, origin)


def _replace_command(row: Order, changed: OrderIntent, facts: EntryFacts) -> Command:
    assert changed.price is not None
    return Command(
        command_id=0,
        kind="REPLACE",
        symbol=row.symbol,
        instrument_id=facts.row.instrument_id,
        order_id=facts.row.order_id,
        orig_order_id=row.order_id,
        account_id=row.account_id,
        user_id=row.user_id,
        side=row.side,
        order_type=row.order_type,
        time_in_force=changed.time_in_force.value,
        price_units=price_to_units(changed.price),
        quantity=changed.quantity,
        client_order_id=changed.client_order_id,
        created_at=facts.row.now,
    )


def _cancel_command(row: OrderView) -> Command:
    return Command(
        command_id=0,
        kind="CANCEL",
        symbol=row.symbol,
        instrument_id=instrument_id_of(row.symbol),
        order_id=0,
        orig_order_id=row.order_id,
        account_id=row.account_id,
        user_id=row.user_id,
        side="",
        order_type="",
        time_in_force="",
        price_units=0,
        quantity=0,
        client_order_id="",
        created_at=row.created_at,
    )


def _event(event_type: str, row: Order | OrderView, data: dict[str, Any], origin: Origin) -> EventRow:
    return EventRow(
        topic=Topic.ORDERS,
        event_type=event_type,
        user_id=row.user_id,
        account_id=row.account_id,
        data=data,
        metadata=origin.metadata(),
    )


def _ended_message(view: OrderView) -> str:
    number = public_id(Kind.ORDER, view.order_id)
    if view.filled_quantity == view.quantity:
        return (
            f"The order filled before the cancel arrived: {view.filled_quantity} at {view.avg_fill_price} "
            f"(order {number})."
        )
    return f"The order is {view.status.lower().replace('_', ' ')} (order {number})."
