"""What an intent becomes: its order and those of its exits, each with its terms, or a refusal."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from apps.instruments.calendar import Session
from apps.instruments.rules import auction_entry_check
from apps.instruments.selectors import market_calendar
from apps.orders.combinations import exits_base_check
from apps.orders.entry_facts import EntryFacts
from apps.orders.intents import OrderIntent, StopLoss
from apps.primitives.fix import Leg, OrderClass, OrderType, OrdStatus, Side, TimeInForce
from apps.risk.rules import Hold, OrderFacts, pretrade_check, pretrade_hold, tick_check

GTC_LIFE = timedelta(days=90)
"""How long an order good till cancelled lives; day partitions older than that can be merged."""


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """One order about to be written; ``hold`` is None while a leg waits, ``terms`` its prices."""

    order_id: int
    client_order_id: str
    request_hash: str
    side: Side
    order_type: OrderType
    quantity: int
    price: Decimal | None
    trail_amount: Decimal | None
    trail_percent: Decimal | None
    terms: Hold
    time_in_force: TimeInForce
    expires_at: datetime | None
    status: OrdStatus
    order_class: OrderClass
    group_id: int | None
    leg: Leg | None

    @property
    def collar_price(self) -> Decimal | None:
        return self.terms.engine_price if self.price is None else None

    @property
    def hold(self) -> Hold | None:
        return None if self.status is OrdStatus.HELD else self.terms


def expiry(time_in_force: TimeInForce, session: Session, now: datetime) -> datetime | None:
    """Return when an order ends by itself: its session's close, or 90 days on; None when it never rests.

    An order for an auction ends with the auction's session, whose book cancels what the auction leaves.
    """
    if time_in_force in (TimeInForce.DAY, TimeInForce.OPG, TimeInForce.CLS):
        return session.closes_at
    return now + GTC_LIFE if time_in_force is TimeInForce.GTC else None


def orders_count(intent: OrderIntent) -> int:
    """Return how many orders an intent becomes."""
    exits = (intent.take_profit is not None) + (intent.stop_loss is not None)
    return exits if intent.order_class is OrderClass.OCO else 1 + exits


def order_facts(intent: OrderIntent) -> OrderFacts:
    """Return what risk asks about an intent's own order."""
    return OrderFacts(
        side=intent.side,
        order_type=intent.order_type,
        time_in_force=intent.time_in_force,
        quantity=intent.quantity,
        price=intent.price,
        stop_price=intent.stop_price,
        trail_amount=intent.trail_amount,
        trail_percent=intent.trail_percent,
    )


def orders_plan(intent: OrderIntent, facts: EntryFacts) -> list[PlannedOrder]:
    """Return the orders of an intent, its own first; raises ``Invalid`` or ``Refused`` with the figures."""
    auction_entry_check(intent.time_in_force, market_calendar(), facts.now)
    exits_check(intent, facts)
    terms = pretrade_check(order_facts(intent), facts.account(), facts.instrument)
    grouped = intent.order_class is not OrderClass.SIMPLE
    pair = intent.order_class is OrderClass.OCO
    own = PlannedOrder(
        order_id=facts.order_id,
        client_order_id=intent.client_order_id,
        request_hash=intent.request_hash(),
        side=intent.side,
        order_type=intent.order_type,
        quantity=intent.quantity,
        price=intent.price,
        trail_amount=intent.trail_amount,
        trail_percent=intent.trail_percent,
        terms=terms,
        time_in_force=intent.time_in_force,
        expires_at=expiry(intent.time_in_force, facts.session, facts.row.now),
        status=OrdStatus.PENDING,
        order_class=intent.order_class,
        group_id=facts.order_id if grouped else None,
        leg=(Leg.TAKE_PROFIT if pair else Leg.ENTRY) if grouped else None,
    )
    return [own, *_legs_plan(intent, facts, own)]


def _legs_plan(intent: OrderIntent, facts: EntryFacts, own: PlannedOrder) -> list[PlannedOrder]:
    ids = iter(facts.row.order_ids[1:])
    legs = []
    if intent.take_profit is not None and own.leg is Leg.ENTRY:
        terms = Hold(intent.take_profit, Decimal(0), Decimal(0), intent.quantity)
        legs.append(_leg(own, next(ids), Leg.TAKE_PROFIT, OrderType.LIMIT, intent.take_profit, terms))
    if intent.stop_loss is not None:
        order = stop_loss_facts(intent.stop_loss, intent.quantity, intent.time_in_force)
        terms = pretrade_hold(order, facts.instrument)
        legs.append(_leg(own, next(ids), Leg.STOP_LOSS, order.order_type, order.price, terms))
    return legs


def stop_loss_facts(loss: StopLoss, quantity: int, time_in_force: TimeInForce) -> OrderFacts:
    """Return what risk asks about a stop-loss, which sells."""
    kind = OrderType.STOP if loss.limit_price is None else OrderType.STOP_LIMIT
    return OrderFacts(Side.SELL, kind, time_in_force, quantity, loss.limit_price, loss.stop_price)


def _leg(
    own: PlannedOrder, order_id: int, leg: Leg, order_type: OrderType, price: Decimal | None, terms: Hold
) -> PlannedOrder:
    return replace(
        own,
        order_id=order_id,
        client_order_id=str(uuid4()),
        side=Side.SELL,
        order_type=order_type,
        price=price,
        trail_amount=None,
        trail_percent=None,
        terms=terms,
        status=OrdStatus.HELD,
        leg=leg,
    )


def exits_check(intent: OrderIntent, facts: EntryFacts) -> None:
    """Refuse exits between two ticks, or that would act at once."""
    loss = intent.stop_loss
    opens = intent.order_class is not OrderClass.OCO
    if intent.take_profit is not None:
        tick_check(intent.symbol, intent.take_profit, facts.instrument.ticks, "take_profit.limit_price")
    if loss is not None:
        tick_check(intent.symbol, loss.stop_price, facts.instrument.ticks, "stop_loss.stop_price")
    if loss is not None and loss.limit_price is not None:
        tick_check(intent.symbol, loss.limit_price, facts.instrument.ticks, "stop_loss.limit_price")
    exits_base_check(
        entry=intent.price if opens else None,
        last=facts.row.last_price,
        take_profit=intent.take_profit,
        stop_price=loss.stop_price if loss else None,
        opens=opens,
    )
