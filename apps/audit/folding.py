"""What events leave behind: an account's orders, holds, positions and money, from its events alone.

Each event of an order tells the whole order after it, and so does each of a balance or a position: whoever
has the last event of everything has the state, and older ones may be missing. Only what an order holds is
told once, by its first event.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.events.types import EventType
from apps.primitives.fix import LIVE_STATUSES, OrdStatus
from apps.primitives.money import CENT

ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Told:
    """One event as far as it tells a state; ``place`` is its place in commit order."""

    place: tuple[int, int]
    event_type: str
    user_id: int
    account_id: int | None
    timestamp: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill of an order; dollars and shares."""

    trade_id: int
    price: Decimal
    quantity: int
    at: datetime


@dataclass(slots=True)
class OrderAt:
    """One order as its last event left it; prices in dollars, quantities in shares, instants in UTC."""

    order_id: int
    account_id: int
    client_order_id: str
    symbol: str
    side: str
    order_type: str
    time_in_force: str
    status: str
    quantity: int
    created_at: datetime
    filled_quantity: int = 0
    average_price: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    high_water_mark: Decimal | None = None
    triggered_at: datetime | None = None
    order_class: str = "SIMPLE"
    group_id: int | None = None
    leg: str | None = None
    reason: str | None = None
    replaces: int | None = None
    replaced_by: int | None = None
    expires_at: datetime | None = None
    user_id: int = 0
    collar_price: Decimal | None = None
    hold_price: Decimal | None = None
    """What one share to buy holds in cash; None when the order's first event is not among those read."""
    trigger_price: Decimal | None = None
    reserved: int = 0
    ended_at: datetime | None = None
    executions: list[Execution] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        return self.status in LIVE_STATUSES

    @property
    def leaves_quantity(self) -> int:
        return self.quantity - self.filled_quantity if self.is_live else 0

    @property
    def held_cash(self) -> Decimal:
        """What the order holds in cash: nothing while it waits for another, or when it has ended."""
        if not self.is_live or self.status == OrdStatus.HELD:
            return ZERO
        return ((self.hold_price or Decimal(0)) * self.leaves_quantity).quantize(CENT)

    @property
    def held_shares(self) -> int:
        """What the order holds in shares: a leg that waits holds what its entry has bought."""
        if self.status == OrdStatus.HELD:
            return self.reserved
        return self.leaves_quantity if self.side == "SELL" else 0


@dataclass(frozen=True, slots=True)
class QueuedReplacement:
    """A replacement that was asked for and not yet decided; it holds what it needs beyond the old order."""

    order_id: int
    replaces: int
    account_id: int
    client_order_id: str
    symbol: str
    quantity: int
    price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    trail_percent: Decimal | None
    time_in_force: str
    held_cash: Decimal
    held_shares: int
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class PositionAt:
    """Shares of one symbol, what they cost on average, and what selling them has brought so far."""

    symbol: str
    quantity: int
    average_cost: Decimal
    realized_pnl: Decimal


_NUMBERS = ("price", "stop_price", "trail_amount", "trail_percent", "high_water_mark", "average_price")
_IDS = ("order_id", "group_id", "replaces", "replaced_by")
_INSTANTS = ("created_at", "triggered_at", "expires_at")
_READ: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_NUMBERS, Decimal),
    **dict.fromkeys(_IDS, int),
    **dict.fromkeys(_INSTANTS, datetime.fromisoformat),
}
_ORDER_FIELDS = frozenset(f.name for f in fields(OrderAt)) - {"hold_price", "collar_price", "executions"}
_BALANCES = frozenset({EventType.BALANCE_CHANGED, EventType.CASH_DEPOSITED, EventType.CASH_SETTLED})
_STATUSES: dict[str, str] = {
    EventType.ACCOUNT_OPENED: "ACTIVE",
    EventType.ACCOUNT_ACTIVE: "ACTIVE",
    EventType.ACCOUNT_SUSPENDED: "SUSPENDED",
    EventType.ACCOUNT_CLOSED: "CLOSED",
}
STATE_TYPES = (*_BALANCES, *_STATUSES, EventType.POSITION_CHANGED, EventType.POSITIONS_VALUED)
"""The types that tell of an account's money, status and positions."""

DECIDED_TYPES = (EventType.ORDER_REPLACED, EventType.ORDER_REPLACE_REJECTED)


def order_facts(told: Told) -> dict[str, Any]:
    """Return what an event tells of its order: a part of it, or the whole where an order begins."""
    facts: dict[str, Any] = told.data.get("order", told.data)
    return facts


@dataclass(slots=True)
class AccountFold:
    """An account's state while its events are applied in commit order.

    With ``ended_kept=False`` orders are forgotten when they end, so that years of them need no memory.
    """

    ended_kept: bool = True
    account_id: int | None = None
    user_id: int | None = None
    account_type: str | None = None
    status: str | None = None
    opened_at: datetime | None = None
    cash_balance: Decimal | None = None
    unsettled_cash: Decimal | None = None
    orders: dict[int, OrderAt] = field(default_factory=dict)
    queued: dict[int, QueuedReplacement] = field(default_factory=dict)
    positions: dict[str, PositionAt] = field(default_factory=dict)

    def apply_all(self, events: Iterable[Told]) -> "AccountFold":
        """Apply events that come in commit order."""
        for told in events:
            self.apply(told)
        return self

    def apply(self, told: Told) -> None:
        """Take one event in; what tells of no state changes nothing."""
        self.account_id, self.user_id = told.account_id, told.user_id
        kind = told.event_type
        if kind.startswith("ORDER_") and kind not in _NO_STATE:
            self._order(told)
        elif kind in _BALANCES:
            self._balance(told.data)
        elif kind == EventType.POSITION_CHANGED:
            self._position(told.data)
        elif kind == EventType.POSITIONS_VALUED:
            self._checkpoint(told.data)
        elif kind in _STATUSES:
            self._status(told)

    def _order(self, told: Told) -> None:
        if told.event_type == EventType.ORDER_REPLACE_REQUESTED:
            replacement = _replacement(told)
            self.queued[replacement.order_id] = replacement
            return
        if told.event_type in DECIDED_TYPES:
            self.queued.pop(int(told.data["replacement_id"]), None)
        facts = order_facts(told)
        order_id = int(facts["order_id"])
        order = self.orders[order_id] = _order_after(self.orders.get(order_id), told, facts)
        if not order.is_live and not self.ended_kept:
            del self.orders[order_id]

    def _balance(self, data: dict[str, Any]) -> None:
        self.cash_balance = Decimal(data["cash_balance"])
        # Deposits did not always say what is unsettled, which they do not change.
        self.unsettled_cash = Decimal(data.get("unsettled_cash", self.unsettled_cash or 0))

    def _position(self, data: dict[str, Any]) -> None:
        symbol, quantity = data["symbol"], int(data["quantity"])
        cost, result = Decimal(data["average_cost"]), Decimal(data["realized_pnl"])
        self.positions[symbol] = PositionAt(symbol, quantity, cost, result)

    def _checkpoint(self, data: dict[str, Any]) -> None:
        self._balance(data)
        self.status, self.account_type = data["account_status"], data["account_type"]
        for position in data["positions"]:
            self._position(position)

    def _status(self, told: Told) -> None:
        self.status = _STATUSES[told.event_type]
        if told.event_type == EventType.ACCOUNT_OPENED:
            self.account_type, self.opened_at = told.data["account_type"], told.timestamp
            self.cash_balance = self.unsettled_cash = ZERO


_NO_STATE = frozenset(
    {EventType.ORDER_REFUSED, EventType.ORDER_CANCEL_REQUESTED, EventType.ORDER_CANCEL_REJECTED}
)


def _order_after(before: OrderAt | None, told: Told, facts: dict[str, Any]) -> OrderAt:
    known = {name: _value(name, value) for name, value in facts.items() if name in _ORDER_FIELDS}
    order = OrderAt(**{**known, "user_id": told.user_id})
    if before is not None:
        order.hold_price, order.collar_price = before.hold_price, before.collar_price
        order.trigger_price, order.reserved = before.trigger_price, before.reserved
        order.executions = before.executions
    data = told.data
    if "hold_price" in data:
        order.hold_price = Decimal(data["hold_price"])
        order.collar_price = _value("price", data["collar_price"])
    if "reserved" in data:
        order.reserved, order.trigger_price = data["reserved"], _value("price", data["trigger_price"])
    elif told.event_type == EventType.ORDER_TRIGGERED:
        order.trigger_price = None
    if "execution" in data:
        order.executions.append(_execution(data))
    if not order.is_live:
        # What is refused of an order that has ended tells of it once more.
        order.ended_at = (before and before.ended_at) or datetime.fromisoformat(data["at"])
    return order


def _execution(data: dict[str, Any]) -> Execution:
    told = data["execution"]
    at = datetime.fromisoformat(data["at"])
    return Execution(int(told["trade_id"]), Decimal(told["price"]), int(told["quantity"]), at)


def _replacement(told: Told) -> QueuedReplacement:
    data = told.data
    return QueuedReplacement(
        order_id=int(data["replacement_id"]),
        replaces=int(data["order_id"]),
        account_id=data["account_id"],
        client_order_id=data["client_order_id"],
        symbol=data["symbol"],
        quantity=data["quantity"],
        price=_value("price", data["price"]),
        stop_price=_value("price", data["stop_price"]),
        trail_amount=_value("price", data["trail_amount"]),
        trail_percent=_value("price", data["trail_percent"]),
        time_in_force=data["time_in_force"],
        held_cash=Decimal(data["held_cash"]).quantize(CENT),
        held_shares=data["held_shares"],
        asked_at=told.timestamp,
    )


def _value(name: str, value: Any) -> Any:
    return value if value is None or name not in _READ else _READ[name](value)
