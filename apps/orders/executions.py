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
    _facts_template: str = field(default="", init=False, repr=False)

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
        """Return the order as events tell it, in JSON: ids as text, since they exceed 2^53.

        Its keys are in the order in which jsonb keeps them, so that the server finds nothing to sort.
        """
        if not self._facts_template:
            self._facts_template = self._facts_template_make()
        return self._facts_template % (
            _word(self.reason),
            self.status.value,
            self.quantity,
            _instant(self.expires_at),
            number_json(self.stop_price),
            _word(self.replaced_by),
            _instant(self.triggered_at),
            number_json(self.average_price),
            self.filled_quantity,
            number_json(self.high_water_mark),
        )

    def _facts_template_make(self) -> str:
        """Return the facts but for what a batch changes: an order is told of several times in one."""
        symbol, client_order_id = (
            json_text(text).replace("%", "%%") for text in (self.symbol, self.client_order_id)
        )
        return (
            f'{{"leg":{_word(self.leg)},"side":"{self.side}","price":{number_json(self.price)},"reason":%s,'
            f'"status":"%s","symbol":{symbol},"group_id":{_word(self.group_id)},"order_id":"{self.order_id}",'
            f'"quantity":%s,"replaces":{_word(self.replaces)},"account_id":{self.account_id},'
            f'"created_at":"{iso(self.created_at)}","expires_at":%s,"order_type":"{self.order_type}",'
            f'"stop_price":%s,"order_class":"{self.order_class}","replaced_by":%s,'
            f'"trail_amount":{number_json(self.trail_amount)},"triggered_at":%s,"average_price":%s,'
            f'"time_in_force":"{self.time_in_force}","trail_percent":{number_json(self.trail_percent)},'
            f'"client_order_id":{client_order_id},"filled_quantity":%s,"high_water_mark":%s}}'
        )


def number_json(value: Decimal | None) -> str:
    """Return an exact JSON number, or null."""
    return "null" if value is None else format(value, "f")


def _word(value: object) -> str:
    return "null" if value is None else f'"{value}"'


def _instant(value: datetime | None) -> str:
    return "null" if value is None else f'"{iso(value)}"'
