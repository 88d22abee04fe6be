"""What the engine's results do to an order: pure changes on the order's figures."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.orders.lifecycle import status_change
from apps.primitives.clock import iso
from apps.primitives.fix import LIVE_STATUSES, OrderClass, OrdStatus
from apps.primitives.money import CENT, cost_average


@dataclass(slots=True)
class OrderState:
    """One order while a batch is booked; prices in dollars, quantities in shares.

    ``reserved`` are the shares that a leg holds while it waits: what its entry has bought so far.
    """

    order_id: int
    user_id: int
    account_id: int
    client_order_id: str
    symbol: str
    side: str
    order_type: str
    time_in_force: str
    price: Decimal | None
    collar_price: Decimal | None
    quantity: int
    filled_quantity: int
    filled_value: Decimal
    status: OrdStatus
    reason: str | None
    replaces: int | None
    replaced_by: int | None
    created_at: datetime
    expires_at: datetime | None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    high_water_mark: Decimal | None = None
    triggered_at: datetime | None = None
    order_class: str = OrderClass.SIMPLE
    group_id: int | None = None
    leg: str | None = None
    hold_price: Decimal = Decimal(0)
    priority: int = 0
    trigger_price: Decimal | None = None
    reserved: int = 0
    is_new_row: bool = field(default=False, kw_only=True)

    @property
    def is_live(self) -> bool:
        return self.status in LIVE_STATUSES

    @property
    def leaves_quantity(self) -> int:
        return self.quantity - self.filled_quantity

    @property
    def average_price(self) -> Decimal | None:
        return cost_average(self.filled_value, self.filled_quantity) if self.filled_quantity else None

    @property
    def is_held(self) -> bool:
        return self.status is OrdStatus.HELD

    @property
    def held_cash(self) -> Decimal:
        return (self.hold_price * self.leaves_quantity).quantize(CENT)

    @property
    def held_shares(self) -> int:
        if self.is_held:
            return self.reserved
        return self.leaves_quantity if self.side == "SELL" else 0

    def accept(self, priority: int) -> None:
        self.status = status_change(self.status, OrdStatus.NEW)
        self.priority = priority

    def fill(self, price: Decimal, quantity: int) -> None:
        assert 0 < quantity <= self.leaves_quantity, f"order {self.order_id} would be overfilled"
        self.filled_quantity += quantity
        self.filled_value += price * quantity
        full = self.leaves_quantity == 0
        self.status = status_change(self.status, OrdStatus.FILLED if full else OrdStatus.PARTIALLY_FILLED)

    def trigger(self, at: datetime, priority: int) -> None:
        """A stop was elected: it acts from here on."""
        self.triggered_at = at
        self.priority = priority

    def trail(self, mark: Decimal, stop_price: Decimal, priority: int) -> None:
        """A trade moved a trailing stop."""
        self.high_water_mark, self.stop_price, self.priority = mark, stop_price, priority

    def release(self) -> None:
        """A leg that waited here goes to the engine and holds what it may sell."""
        self.status = status_change(self.status, OrdStatus.PENDING)
        self.trigger_price, self.reserved = None, 0

    def end(self, status: OrdStatus, reason: str | None = None) -> None:
        self.status = status_change(self.status, status)
        self.reason = reason

    def facts(self) -> dict[str, Any]:
        """Return the order as events tell it: ids as text, since they exceed 2^53."""
        return {
            "order_id": str(self.order_id),
            "client_order_id": self.client_order_id,
            "account_id": self.account_id,
            "symbol": self.symbol,
            "side": self.side,
            "order_type": self.order_type,
            "time_in_force": self.time_in_force,
            "price": self.price,
            "stop_price": self.stop_price,
            "trail_amount": self.trail_amount,
            "trail_percent": self.trail_percent,
            "high_water_mark": self.high_water_mark,
            "triggered_at": iso(self.triggered_at) if self.triggered_at else None,
            "order_class": self.order_class,
            "group_id": str(self.group_id) if self.group_id else None,
            "leg": self.leg,
            "quantity": self.quantity,
            "filled_quantity": self.filled_quantity,
            "average_price": self.average_price,
            "status": self.status.value,
            "reason": self.reason,
            "replaces": str(self.replaces) if self.replaces else None,
            "replaced_by": str(self.replaced_by) if self.replaced_by else None,
            "created_at": iso(self.created_at),
            "expires_at": iso(self.expires_at) if self.expires_at else None,
        }
