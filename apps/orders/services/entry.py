"""Order entry: one short READ COMMITTED transaction that holds the money and makes the order durable."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from django.db import connection, transaction
from psycopg.rows import namedtuple_row

from apps.accounts.selectors import account_get
from apps.events.facts import EventRow, Origin, Topic
from apps.events.services import event_append
from apps.instruments.calendar import Session, session_is_open
from apps.instruments.selectors import market_session
from apps.matching.messages import Command
from apps.matching.services import command_append, matching_wake
from apps.orders.entry_sql import (
    ACCOUNT_LOCK_SQL,
    CLIENT_KEY_INSERT_SQL,
    FACTS_SQL,
    HOLD_INSERT_SQL,
    ORDER_INSERT_SQL,
)
from apps.orders.intents import OrderIntent
from apps.orders.selectors import OrderView
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import BrokerageError, Conflict, NotFound, Refused, Unavailable
from apps.primitives.fix import OrderType, OrdStatus, TimeInForce
from apps.primitives.money import price_to_units
from apps.risk.rules import AccountFacts, Hold, InstrumentFacts, OrderFacts, pretrade_check

GTC_LIFE = timedelta(days=90)
"""How long an order good till cancelled lives; day partitions older than that can be merged."""

_BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.TransactionTimeout,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.TooManyConnections,
)


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """What statement 2 read under the account's lock, and the session it was read in."""

    row: Any
    session: Session
    now: datetime

    @property
    def instrument(self) -> InstrumentFacts:
        row = self.row
        return InstrumentFacts(
            symbol=row.symbol,
            status=row.instrument_status,
            tradable=row.tradable,
            halted=row.halted,
            market_is_open=session_is_open(self.session, self.now),
            last_price=row.last_price,
            limit_bps=row.limit_bps,
            ticks=tuple((start, step) for start, step in row.ticks or ()),
        )

    def account(self, *, cash: Decimal = Decimal(0), shares: int = 0) -> AccountFacts:
        """Return the account with ``cash`` and ``shares`` of an order being replaced set free."""
        row = self.row
        return AccountFacts(
            account_status=row.account_status,
            available_cash=row.cash_balance - row.held_cash + cash,
            available_shares=row.position_quantity - row.held_shares + shares,
        )


@contextmanager
def entry_transaction() -> Iterator["psycopg.Cursor[Any]"]:
    """Open entry's transaction on Django's connection, in psycopg's pipeline: two round trips and a commit.

    Lock or time-out trouble becomes ``Unavailable``: nothing was written and the caller may try again.
    """
    try:
        with transaction.atomic(durable=True):
            connection.ensure_connection()
            raw = connection.connection
            with raw.pipeline(), psycopg.Cursor(raw, row_factory=namedtuple_row) as cursor:
                yield cursor
    except _BUSY as error:
        raise Unavailable("busy", "The account is busy; nothing was written. Try again.") from error


def facts_read(
    cursor: "psycopg.Cursor[Any]", account_id: int, symbol: str, client_order_id: str
) -> EntryFacts:
    """Read what risk needs to know, without a lock; raises ``NotFound``."""
    session = market_session()
    cursor.execute(
        FACTS_SQL,
        {
            "account_id": account_id,
            "symbol": symbol,
            "client_order_id": client_order_id,
            "trade_date": session.trade_date,
        },
    )
    row = cursor.fetchone()
    if row is None:
        raise NotFound("no_account", "This key has no trading account.")
    if row.instrument_id is None:
        raise NotFound("unknown_symbol", f"could not find us_equity '{symbol[:20]}'", symbol=symbol[:20])
    return EntryFacts(row, session, utc_now())


def facts_locked(
    cursor: "psycopg.Cursor[Any]", account_id: int, symbol: str, client_order_id: str
) -> EntryFacts:
    """Lock the account, then read; raises ``NotFound``, and ``Conflict`` for a client id used before."""
    cursor.execute(ACCOUNT_LOCK_SQL, (account_id,))
    facts = facts_read(cursor, account_id, symbol, client_order_id)
    used_by = facts.row.client_key_order_id
    if used_by is not None:
        raise Conflict(
            "duplicate_client_order_id", "client_order_id must be unique", existing_order_id=used_by
        )
    return facts


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
        with entry_transaction() as cursor:
            facts = facts_locked(cursor, intent.account_id, intent.symbol, intent.client_order_id)
            order = OrderFacts(
                intent.side, intent.order_type, intent.time_in_force, intent.quantity, intent.price
            )
            hold = pretrade_check(order, facts.account(), facts.instrument)
            view = _order_write(cursor, intent, facts, hold, origin)
    except psycopg.errors.UniqueViolation as error:
        raise Conflict("duplicate_client_order_id", "client_order_id must be unique") from error
    except Refused as refusal:
        refusal_append(intent.account_id, refusal, intent_facts(intent), origin)
        raise
    matching_wake(facts.row.matching_partition)
    return view


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
    cursor: "psycopg.Cursor[Any]", intent: OrderIntent, facts: EntryFacts, hold: Hold, origin: Origin
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
    return _view(intent, row.order_id, now, expires_at)


def hold_insert(
    cursor: "psycopg.Cursor[Any]",
    facts: EntryFacts,
    order_id: int,
    account_id: int,
    quantity: int,
    hold: Hold,
) -> None:
    """Insert what an order (or a replacement still queued) holds."""
    cursor.execute(
        HOLD_INSERT_SQL,
        (
            order_id,
            account_id,
            facts.row.user_id,
            facts.row.matching_partition,
            facts.row.symbol,
            quantity,
            hold.hold_price,
            hold.cash,
            hold.shares,
            facts.row.now,
        ),
    )


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


def _view(intent: OrderIntent, order_id: int, now: datetime, expires_at: datetime | None) -> OrderView:
    return OrderView(
        order_id=order_id,
        account_id=intent.account_id,
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
