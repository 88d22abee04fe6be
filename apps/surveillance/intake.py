"""What surveillance hears of order events: sorted into trades, withdrawn orders and counts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from apps.events.messages import EventMessage
from apps.events.types import EventType
from apps.surveillance.rules import MessageCount, Withdrawal

FILLS = (EventType.ORDER_PARTIALLY_FILLED, EventType.ORDER_FILLED)
MESSAGES = (EventType.ORDER_PLACED, EventType.ORDER_REPLACE_REQUESTED, EventType.ORDER_CANCEL_REQUESTED)
TYPES = frozenset({*FILLS, *MESSAGES, EventType.ORDER_CANCELLED})
"""The events that the rules ask for; all come in the topic of orders."""

BY_OWNER = "REQUESTED"
WITHDRAWN_WITHIN = timedelta(hours=1)
"""Orders that stood longer are not kept: no limit asks for them."""

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Side:
    """One party's side of a trade, as its own event tells it."""

    trade_id: int
    symbol: str
    side: str
    price: Decimal
    quantity: int
    executed_at: datetime
    account_id: int
    event_id: int


@dataclass(slots=True)
class Intake:
    """What one batch of events says."""

    sides: list[Side] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    counts: list[MessageCount] = field(default_factory=list)


def window_begin(at: datetime, window_s: int) -> datetime:
    """Return when the window began that an instant is in."""
    length = timedelta(seconds=window_s)
    return _UNIX_EPOCH + (at - _UNIX_EPOCH) // length * length


def intake_make(events: Iterable[EventMessage], window_s: int) -> Intake:
    """Sort a batch; messages are counted by windows of ``window_s`` seconds."""
    intake = Intake()
    counts: dict[tuple[int, str, datetime], MessageCount] = {}
    for event in events:
        if event.event_type in FILLS:
            side = _side(event)
            intake.sides.append(side)
            _count(counts, event, (side.account_id, side.symbol), window_s, trades=1, traded=side.quantity)
        elif event.event_type in MESSAGES:
            data = event.data
            ordered = data.get("quantity", 0)
            _count(counts, event, (data["account_id"], data["symbol"]), window_s, messages=1, ordered=ordered)
        elif event.event_type == EventType.ORDER_CANCELLED:
            intake.withdrawals += _withdrawal(event)
    intake.counts = [counts[key] for key in sorted(counts)]
    return intake


def _side(event: EventMessage) -> Side:
    order, execution = event.data["order"], event.data["execution"]
    return Side(
        trade_id=int(execution["trade_id"]),
        symbol=order["symbol"],
        side=order["side"],
        price=Decimal(execution["price"]),
        quantity=execution["quantity"],
        executed_at=datetime.fromisoformat(event.data["at"]),
        account_id=order["account_id"],
        event_id=event.id,
    )


def _withdrawal(event: EventMessage) -> list[Withdrawal]:
    order = event.data["order"]
    entered_at, at = datetime.fromisoformat(order["created_at"]), datetime.fromisoformat(event.data["at"])
    leaves = order["quantity"] - order["filled_quantity"]
    price = order["price"]
    if order["reason"] != BY_OWNER or price is None or leaves <= 0 or at - entered_at > WITHDRAWN_WITHIN:
        return []
    where = (int(order["order_id"]), order["account_id"], order["symbol"], order["side"], Decimal(price))
    return [Withdrawal(*where, leaves, entered_at, at, event.id)]


def _count(
    counts: dict[tuple[int, str, datetime], MessageCount],
    event: EventMessage,
    whose: tuple[int, str],
    window_s: int,
    messages: int = 0,
    trades: int = 0,
    ordered: int = 0,
    traded: int = 0,
) -> None:
    begins_at = window_begin(event.timestamp, window_s)
    key = (*whose, begins_at)
    old = counts.get(key) or MessageCount(*key, 0, 0, 0, 0, event.timestamp, event.id)
    counts[key] = MessageCount(
        *key,
        old.messages + messages,
        old.trades + trades,
        old.volume_ordered + ordered,
        old.volume_traded + traded,
        max(old.last_at, event.timestamp),
        max(old.last_event_id, event.id),
    )
