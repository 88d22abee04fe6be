"""What the engine's results do to an order: pure changes on the order's figures."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from apps.events.facts import json_text
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
    _fixed_json: str = field(default="", init=False, repr=False)

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

    def facts_json(self) -> str:
        """Return the order as events tell it, in JSON: ids as text, since they exceed 2^53."""
        if not self._fixed_json:
            self._fixed_json = self._fixed_facts_json()
        average = self.average_price
        return (
            f'{{{self._fixed_json},"stop_price":{number_json(self.stop_price)},'
            f'"high_water_mark":{number_json(self.high_water_mark)},"triggered_at":{_instant(self.triggered_at)},'
            f'"quantity":{self.quantity},"filled_quantity":{self.filled_quantity},'
            f'"average_price":{number_json(average)},"status":"{self.status.value}","reason":{_word(self.reason)},'
            f'"replaced_by":{_word(self.replaced_by)},"expires_at":{_instant(self.expires_at)}}}'
        )

    def _fixed_facts_json(self) -> str:
        """Return what no batch changes of an order; an order is told of several times in one."""
        return (
            f'"order_id":"{self.order_id}","client_order_id":{json_text(self.client_order_id)},'
            f'"account_id":{self.account_id},"symbol":{json_text(self.symbol)},"side":"{self.side}",'
            f'"order_type":"{self.order_type}","time_in_force":"{self.time_in_force}",'
            f'"price":{number_json(self.price)},"trail_amount":{number_json(self.trail_amount)},'
            f'"trail_percent":{number_json(self.trail_percent)},"order_class":"{self.order_class}",'
            f'"group_id":{_word(self.group_id)},"leg":{_word(self.leg)},"replaces":{_word(self.replaces)},'
            f'"created_at":"{iso(self.created_at)}"'
        )


def number_json(value: Decimal | None) -> str:
    """Return an exact JSON number, or null."""
    return "null" if value is None else format(value, "f")


def _word(value: object) -> str:
    return "null" if value is None else f'"{value}"'


def _instant(value: datetime | None) -> str:
    return "null" if value is None else f'"{iso(value)}"'
