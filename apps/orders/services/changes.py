"""Cancel and replace: each queues one command; the runner alone decides what becomes of the order."""

from dataclasses import replace
from typing import Any

from django.db import connection, transaction

from apps.events.facts import EventRow, Origin
from apps.events.services import event_append
from apps.events.types import EventType
from apps.instruments.selectors import instrument_id_of
from apps.matching.messages import NOT_FOR_ENGINE, Command
from apps.matching.services import command_append, matching_wake
from apps.orders.engine_terms import flags_of, stop_units, trail_units
from apps.orders.entry_facts import EntryFacts
from apps.orders.intents import ReplaceIntent
from apps.orders.models import Order
from apps.orders.selectors import (
    PENDING_CANCEL,
    PENDING_REPLACE,
    OrderView,
    order_get,
    order_row,
    replacement_queued_of,
)
from apps.orders.services.entry import refusal_append
from apps.orders.services.replacement import Replacement, changes_read, replacement_plan
from apps.orders.services.transaction import (
    EntryRows,
    entry_attempt,
    entry_write,
    facts_read,
)
from apps.primitives.errors import Conflict, NotFound, Refused
from apps.primitives.fix import OrdStatus
from apps.primitives.ids import Kind, public_id
from apps.primitives.money import price_to_units
from apps.risk.rules import Hold


def order_cancel(account_id: int, order_id: int, origin: Origin) -> OrderView:
    """Queue a cancel, of a replacement still queued as well; asking again changes nothing.

    Raises ``NotFound``, or ``Conflict`` (reason ``TOO_LATE``) when the order has ended. The other orders of
    its group end with it.
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
        event_append(cursor, [_event(EventType.ORDER_CANCEL_REQUESTED, view, data, origin)])
    matching_wake(view.matching_partition)
    return replace(view, status=PENDING_CANCEL)


def order_replace(intent: ReplaceIntent, origin: Origin) -> OrderView:
    """Queue a replacement under a new order id and hold what it needs beyond the old hold.

    Quantity is the new total, what has filled included. Raises ``NotFound``, ``Invalid``, ``Refused``,
    ``Conflict``; that it is queued is no proof: the old order may fill first.
    """
    view = order_get(intent.account_id, intent.order_id)
    if not view.is_live or view.status in (PENDING_CANCEL, PENDING_REPLACE):
        raise Conflict("TOO_LATE", f"unable to replace order in current state. {_ended_message(view)}")
    try:
        row = order_row(intent.account_id, intent.order_id)
    except NotFound:
        raise Conflict("TOO_LATE", "unable to replace order in current state. It is being placed.") from None
    asked = changes_read(row, intent)
    try:
        replacement_id = entry_attempt(
            lambda: _replacement_write(row, asked, origin), row.account_id, asked.client_order_id
        )
    except Refused as refusal:
        refusal_append(intent.account_id, refusal, {"replaces": str(row.order_id)}, origin)
        raise
    matching_wake(row.matching_partition)
    return order_get(intent.account_id, replacement_id)


def _replacement_write(row: Order, asked: Replacement, origin: Origin) -> int:
    facts = facts_read(row.account_id, row.symbol, asked.client_order_id)
    plan = replacement_plan(row, asked, facts)
    new_id = facts.order_id
    rows = EntryRows()
    rows.key_add(row.account_id, asked.client_order_id, new_id, asked.request_hash())
    rows.hold_add(facts, new_id, plan.open_quantity, plan.extra, group_id=row.group_id)
    rows.command_add(row.matching_partition, _replace_command(row, asked, plan.terms, facts))
    rows.event_add(_replace_event(row, asked, new_id, plan.extra, origin))
    entry_write(row.account_id, facts, plan.extra, rows, plan.held)
    return new_id


def _replace_event(row: Order, asked: Replacement, new_id: int, extra: Hold, origin: Origin) -> EventRow:
    data = {
        "order_id": str(row.order_id),
        "replacement_id": str(new_id),
        "account_id": row.account_id,
        "symbol": row.symbol,
        "quantity": asked.quantity,
        "price": asked.price,
        "stop_price": asked.stop_price,
        "trail_amount": asked.trail_amount,
        "trail_percent": asked.trail_percent,
        "time_in_force": asked.time_in_force.value,
        "client_order_id": asked.client_order_id,
        "held_cash": extra.cash,
        "held_shares": extra.shares,
    }
    return _event(EventType.ORDER_REPLACE_REQUESTED, row, data, origin)


def _replace_command(row: Order, asked: Replacement, terms: Hold, facts: EntryFacts) -> Command:
    return Command(
        kind="REPLACE",
        symbol=row.symbol,
        instrument_id=facts.row.instrument_id,
        order_id=facts.order_id,
        orig_order_id=row.order_id,
        account_id=row.account_id,
        user_id=row.user_id,
        side=row.side,
        order_type=asked.order_type.value,
        time_in_force=asked.time_in_force.value,
        price_units=price_to_units(terms.engine_price),
        stop_price_units=stop_units(asked.order_type, terms.stop_price, terms.mark),
        trail=trail_units(asked.trail_amount, asked.trail_percent),
        quantity=asked.quantity,
        argument=NOT_FOR_ENGINE if row.status == OrdStatus.HELD else 0,
        flags=flags_of(row.side, asked.trail_percent),
        client_order_id=asked.client_order_id,
    )


def _cancel_command(row: OrderView) -> Command:
    return Command(
        kind="CANCEL",
        symbol=row.symbol,
        instrument_id=instrument_id_of(row.symbol),
        orig_order_id=row.order_id,
        account_id=row.account_id,
        user_id=row.user_id,
    )


def _event(event_type: EventType, row: Order | OrderView, data: dict[str, Any], origin: Origin) -> EventRow:
    return EventRow(
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
