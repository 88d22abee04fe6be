"""Order entry: one short READ COMMITTED transaction that holds the money and makes the order durable."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from apps.accounts.selectors import account_get
from apps.events.facts import EventRow, Origin, Topic
from apps.events.services import event_append
from apps.instruments.calendar import Session
from apps.matching.messages import Command
from apps.matching.services import command_append, matching_wake
from apps.orders.entry_sql import CLIENT_KEY_INSERT_SQL, ORDER_INSERT_SQL
from apps.orders.intents import OrderIntent
from apps.orders.selectors import OrderView
from apps.orders.services.transaction import (
    EntryFacts,
    Script,
    entry_attempt,
    entry_transaction,
    facts_read,
    hold_insert,
)
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import BrokerageError, Refused
from apps.primitives.fix import OrderType, OrdStatus, TimeInForce
from apps.primitives.money import price_to_units
from apps.risk.rules import Hold, OrderFacts, pretrade_check

GTC_LIFE = timedelta(days=90)
"""How long an order good till cancelled lives; day partitions older than that can be merged."""


def expiry(time_in_force: TimeInForce, session: Session, now: datetime) -> datetime | None:
    """Return when an order ends by itself: the session's close, or 90 days on; None when it never rests."""
    if time_in_force is TimeInForce.DAY:
        return session.closes_at
    return now + GTC_LIFE if time_in_force is TimeInForce.GTC else None


def order_submit(intent: OrderIntent, origin: Origin) -> OrderView:
    """Accept a new order durably and wake the runner.

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
    facts = facts_read(intent.account_id, intent.symbol, intent.client_order_id)
    order = OrderFacts(intent.side, intent.order_type, intent.time_in_force, intent.quantity, intent.price)
    hold = pretrade_check(order, facts.account(), facts.instrument)
    with entry_transaction(intent.account_id, facts, hold) as cursor:
        view = _order_write(cursor, intent, facts, hold, origin)
    return view, facts.row.matching_partition


def intent_facts(intent: OrderIntent) -> dict[str, Any]:
    """Return an intent as events tell it."""
    return {
        "symbol": intent.symbol,
        "side": intent.side.value,
        "order_type": intent.order_type.value,
        "time_in_force": intent.time_in_force.value,
        "price": intent.price,
        "quantity": intent.quantity,
        "client_order_id": intent.client_order_id,
    }


def _order_write(
    cursor: Script, intent: OrderIntent, facts: EntryFacts, hold: Hold, origin: Origin
) -> OrderView:
    row, now = facts.row, facts.row.now
    expires_at = expiry(intent.time_in_force, facts.session, now)
    collar = hold.engine_price if intent.order_type is OrderType.MARKET else None
    cursor.execute(
        CLIENT_KEY_INSERT_SQL,
        (intent.account_id, intent.client_order_id, row.order_id, intent.request_hash()),
    )
    cursor.execute(
        ORDER_INSERT_SQL,
        (
            row.order_id,
            row.user_id,
            intent.account_id,
            intent.client_order_id,
            intent.symbol,
            intent.side.value,
            intent.order_type.value,
            intent.price,
            collar,
            intent.quantity,
            intent.time_in_force.value,
            row.matching_partition,
            now,
            now,
            expires_at,
        ),
    )
    hold_insert(cursor, facts, row.order_id, intent.account_id, intent.quantity, hold)
    command_append(cursor, row.matching_partition, [_command(intent, facts, hold, row.order_id, now)])
    data = {"order_id": str(row.order_id), "account_id": intent.account_id, **intent_facts(intent)}
    event_append(cursor, [_order_event("ORDER_PLACED", row.user_id, intent.account_id, data, origin)])
    return _view(intent, facts, expires_at)


def _command(intent: OrderIntent, facts: EntryFacts, hold: Hold, order_id: int, now: datetime) -> Command:
    return Command(
        command_id=0,
        kind="NEW",
        symbol=intent.symbol,
        instrument_id=facts.row.instrument_id,
        order_id=order_id,
        orig_order_id=0,
        account_id=intent.account_id,
        user_id=facts.row.user_id,
        side=intent.side.value,
        order_type=intent.order_type.value,
        time_in_force=intent.time_in_force.value,
        price_units=price_to_units(hold.engine_price),
        quantity=intent.quantity,
        client_order_id=intent.client_order_id,
        created_at=now,
    )


def _order_event(
    event_type: str, user_id: int, account_id: int, data: dict[str, Any], origin: Origin
) -> EventRow:
    return EventRow(
        topic=Topic.ORDERS,
        event_type=event_type,
        user_id=user_id,
        account_id=account_id,
        data=data,
        metadata=origin.metadata(),
    )


def _view(intent: OrderIntent, facts: EntryFacts, expires_at: datetime | None) -> OrderView:
    now = facts.row.now
    return OrderView(
        order_id=facts.row.order_id,
        user_id=facts.row.user_id,
        account_id=intent.account_id,
        matching_partition=facts.row.matching_partition,
        client_order_id=intent.client_order_id,
        symbol=intent.symbol,
        side=intent.side.value,
        order_type=intent.order_type.value,
        time_in_force=intent.time_in_force.value,
        quantity=intent.quantity,
        filled_quantity=0,
        price=intent.price,
        avg_fill_price=None,
        status=OrdStatus.PENDING,
        reject_reason=None,
        created_at=now,
        updated_at=now,
        filled_at=None,
        cancelled_at=None,
        expired_at=None,
        replaced_at=None,
        failed_at=None,
        expires_at=expires_at,
        replaces=None,
        replaced_by=None,
    )


def refusal_append(account_id: int, refusal: BrokerageError, asked: dict[str, Any], origin: Origin) -> None:
    """Append the risk event of a refusal at entry; the refused order itself leaves no row."""
    user_id = account_get(account_id).user_id
    row = EventRow(
        topic=Topic.RISK,
        event_type="ORDER_REFUSED",
        user_id=user_id,
        account_id=account_id,
        data={"reason": refusal.reason, "message": refusal.message, "at": iso(utc_now()), **asked},
        metadata=origin.metadata(),
    )
    with connection.cursor() as cursor:
        event_append(cursor, [row])
