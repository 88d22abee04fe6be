"""Order entry: one short READ COMMITTED transaction that holds the money and makes the order durable."""

from decimal import Decimal
from typing import Any

from django.db import connection

from apps.accounts.selectors import account_get
from apps.events.facts import EventRow, Origin
from apps.events.services import event_append
from apps.events.types import EventType
from apps.matching.messages import Command
from apps.matching.services import matching_wake
from apps.orders.engine_terms import flags_of, stop_units, trail_units
from apps.orders.entry_facts import EntryFacts
from apps.orders.intents import OrderIntent
from apps.orders.selectors import OrderView
from apps.orders.services.plan import PlannedOrder, orders_count, orders_plan
from apps.orders.services.readings import ids_ahead, reading_forget, reading_keep, reading_recall
from apps.orders.services.transaction import (
    EntryRows,
    FactsChanged,
    entry_attempt,
    entry_write,
    facts_read,
)
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import BrokerageError, Refused
from apps.primitives.fix import OrderClass
from apps.primitives.money import price_to_units


def order_submit(intent: OrderIntent, origin: Origin) -> OrderView:
    """Accept a new order durably, with the exits it is to have, and wake the runner.

    Raises ``Invalid``, ``Refused``, ``NotFound``, ``Conflict`` (a client id used before) or ``Unavailable``;
    then nothing has been written but, for a refusal, one risk event.
    """
    try:
        view, matching_partition = entry_attempt(
            lambda: _submit(intent, origin), intent.account_id, intent.client_order_id
        )
    except Refused as refusal:
        refusal_append(intent.account_id, refusal, intent_facts(intent), origin)
        raise
    matching_wake(matching_partition)
    return view


def _submit(intent: OrderIntent, origin: Origin) -> tuple[OrderView, int]:
    facts, orders = _recalled(intent) or _decided(intent)
    try:
        entry_write(intent.account_id, facts, orders[0].terms, _rows(orders, facts, origin))
    except FactsChanged:
        reading_forget(intent.account_id)
        raise
    reading_keep(facts, facts.row.order_ids[len(orders) :])
    return _view(orders[0], facts), facts.row.matching_partition


def _recalled(intent: OrderIntent) -> tuple[EntryFacts, list[PlannedOrder]] | None:
    """Decide on what was read a moment ago; None when that does not suffice, and for every refusal."""
    facts = reading_recall(intent)
    if facts is None:
        return None
    try:
        return facts, orders_plan(intent, facts)
    except BrokerageError:
        return None


def _decided(intent: OrderIntent) -> tuple[EntryFacts, list[PlannedOrder]]:
    count = orders_count(intent)
    facts = facts_read(intent.account_id, intent.symbol, intent.client_order_id, count + ids_ahead(intent))
    return facts, orders_plan(intent, facts)


def intent_facts(intent: OrderIntent) -> dict[str, Any]:
    """Return an intent as events tell it."""
    loss = intent.stop_loss
    facts: dict[str, Any] = {
        "symbol": intent.symbol,
        "side": intent.side.value,
        "order_type": intent.order_type.value,
        "time_in_force": intent.time_in_force.value,
        "price": intent.price,
        "stop_price": intent.stop_price,
        "trail_amount": intent.trail_amount,
        "trail_percent": intent.trail_percent,
        "quantity": intent.quantity,
        "client_order_id": intent.client_order_id,
    }
    if intent.order_class is not OrderClass.SIMPLE:
        facts |= {
            "order_class": intent.order_class.value,
            "take_profit": intent.take_profit,
            "stop_loss": loss.stop_price if loss else None,
            "stop_loss_limit": loss.limit_price if loss else None,
        }
    return facts


def _rows(orders: list[PlannedOrder], facts: EntryFacts, origin: Origin) -> EntryRows:
    """Return the rows of an order and its legs; only the first goes to the engine now."""
    rows = EntryRows()
    for order in orders:
        rows.key_add(facts.row.account_id, order.client_order_id, order.order_id, order.request_hash)
        rows.orders.append(_columns(order, facts))
        rows.hold_add(facts, order.order_id, order.quantity, order.hold, order.status, order.group_id)
        rows.event_add(_placed_event(order, facts, origin))
    rows.command_add(facts.row.matching_partition, _command(orders[0], facts))
    return rows


def _columns(order: PlannedOrder, facts: EntryFacts) -> dict[str, Any]:
    row = facts.row
    return {
        "order_id": order.order_id,
        "user_id": row.user_id,
        "account_id": row.account_id,
        "client_order_id": order.client_order_id,
        "symbol": row.symbol,
        "side": order.side,
        "order_type": order.order_type,
        "price": order.price,
        "collar_price": order.collar_price,
        "stop_price": order.terms.stop_price,
        "trail_amount": order.trail_amount,
        "trail_percent": order.trail_percent,
        "high_water_mark": order.terms.mark,
        "quantity": order.quantity,
        "status": order.status,
        "time_in_force": order.time_in_force,
        "order_class": order.order_class,
        "group_id": order.group_id,
        "leg": order.leg,
        "matching_partition": row.matching_partition,
        "created_at": row.now,
        "updated_at": row.now,
        "expires_at": order.expires_at,
    }


def _command(order: PlannedOrder, facts: EntryFacts) -> Command:
    terms = order.terms
    return Command(
        kind="NEW",
        symbol=facts.row.symbol,
        instrument_id=facts.row.instrument_id,
        order_id=order.order_id,
        account_id=facts.row.account_id,
        user_id=facts.row.user_id,
        side=order.side.value,
        order_type=order.order_type.value,
        time_in_force=order.time_in_force.value,
        price_units=price_to_units(terms.engine_price),
        stop_price_units=stop_units(order.order_type, terms.stop_price, terms.mark),
        trail=trail_units(order.trail_amount, order.trail_percent),
        quantity=order.quantity,
        flags=flags_of(order.side, order.trail_percent),
        client_order_id=order.client_order_id,
    )


def _placed_event(order: PlannedOrder, facts: EntryFacts, origin: Origin) -> EventRow:
    hold = order.hold
    return EventRow(
        event_type=EventType.ORDER_PLACED,
        user_id=facts.row.user_id,
        account_id=facts.row.account_id,
        data={
            "order_id": str(order.order_id),
            "account_id": facts.row.account_id,
            "symbol": facts.row.symbol,
            "side": order.side,
            "order_type": order.order_type,
            "time_in_force": order.time_in_force,
            "price": order.price,
            "collar_price": order.collar_price,
            "stop_price": order.terms.stop_price,
            "trail_amount": order.trail_amount,
            "trail_percent": order.trail_percent,
            "high_water_mark": order.terms.mark,
            "quantity": order.quantity,
            "hold_price": hold.hold_price if hold else Decimal(0),
            "held_cash": hold.cash if hold else Decimal(0),
            "held_shares": hold.shares if hold else 0,
            "client_order_id": order.client_order_id,
            "status": order.status,
            "order_class": order.order_class,
            "group_id": str(order.group_id) if order.group_id else None,
            "leg": order.leg,
            "created_at": iso(facts.row.now),
            "expires_at": order.expires_at and iso(order.expires_at),
        },
        metadata=origin.metadata(),
    )


def _view(order: PlannedOrder, facts: EntryFacts) -> OrderView:
    row = facts.row
    return OrderView(
        order_id=order.order_id,
        user_id=row.user_id,
        account_id=row.account_id,
        matching_partition=row.matching_partition,
        client_order_id=order.client_order_id,
        symbol=row.symbol,
        side=order.side.value,
        order_type=order.order_type.value,
        time_in_force=order.time_in_force.value,
        quantity=order.quantity,
        filled_quantity=0,
        price=order.price,
        avg_fill_price=None,
        status=order.status,
        reject_reason=None,
        created_at=row.now,
        updated_at=row.now,
        filled_at=None,
        cancelled_at=None,
        expired_at=None,
        replaced_at=None,
        failed_at=None,
        expires_at=order.expires_at,
        replaces=None,
        replaced_by=None,
        stop_price=order.terms.stop_price,
        trail_amount=order.trail_amount,
        trail_percent=order.trail_percent,
        high_water_mark=order.terms.mark,
        order_class=order.order_class,
        group_id=order.group_id,
        leg=order.leg,
    )


def refusal_append(account_id: int, refusal: BrokerageError, asked: dict[str, Any], origin: Origin) -> None:
    """Append the risk event of a refusal at entry; the refused order itself leaves no row."""
    user_id = account_get(account_id).user_id
    row = EventRow(
        event_type=EventType.ORDER_REFUSED,
        user_id=user_id,
        account_id=account_id,
        data={"reason": refusal.reason, "message": refusal.message, "at": iso(utc_now()), **asked},
        metadata=origin.metadata(),
    )
    with connection.cursor() as cursor:
        event_append(cursor, [row])
