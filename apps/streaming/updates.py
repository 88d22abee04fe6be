"""Trade updates as published clients know them, made from the facts of an account's events."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.events.types import EventType
from apps.orders.wire import decimal_text, order_wire

EVENT_WORDS = {
    EventType.ORDER_ACCEPTED: "new",
    EventType.ORDER_TRIGGERED: "restated",
    EventType.ORDER_PARTIALLY_FILLED: "partial_fill",
    EventType.ORDER_FILLED: "fill",
    EventType.ORDER_CANCELLED: "canceled",
    EventType.ORDER_EXPIRED: "expired",
    EventType.ORDER_REPLACED: "replaced",
    EventType.ORDER_REJECTED: "rejected",
    EventType.ORDER_CANCEL_REJECTED: "order_cancel_rejected",
    EventType.ORDER_REPLACE_REJECTED: "order_replace_rejected",
}
"""A stop that is elected is ``restated``: the protocol has no word of its own for it. Every client knows this
one as a change that nobody asked for and that ends nothing; silence would hide a stop limit that rests."""


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


@dataclass(frozen=True, slots=True)
class ToldOrder:
    """An order as an event tells it: its state right after what happened at ``at``.

    Events written before there were stops and groups lack those facts and are read as plain orders.
    """

    facts: dict[str, Any]
    at: datetime

    def _when(self, status: str) -> datetime | None:
        return self.at if self.facts["status"] == status else None

    @property
    def order_id(self) -> int:
        return int(self.facts["order_id"])

    @property
    def client_order_id(self) -> str:
        return str(self.facts["client_order_id"])

    @property
    def symbol(self) -> str:
        return str(self.facts["symbol"])

    @property
    def side(self) -> str:
        return str(self.facts["side"])

    @property
    def order_type(self) -> str:
        return str(self.facts["order_type"])

    @property
    def time_in_force(self) -> str:
        return str(self.facts["time_in_force"])

    @property
    def quantity(self) -> int:
        return int(self.facts["quantity"])

    @property
    def filled_quantity(self) -> int:
        return int(self.facts["filled_quantity"])

    @property
    def price(self) -> Decimal | None:
        return _decimal(self.facts["price"])

    @property
    def stop_price(self) -> Decimal | None:
        return _decimal(self.facts.get("stop_price"))

    @property
    def trail_amount(self) -> Decimal | None:
        return _decimal(self.facts.get("trail_amount"))

    @property
    def trail_percent(self) -> Decimal | None:
        return _decimal(self.facts.get("trail_percent"))

    @property
    def high_water_mark(self) -> Decimal | None:
        return _decimal(self.facts.get("high_water_mark"))

    @property
    def triggered_at(self) -> datetime | None:
        return _instant(self.facts.get("triggered_at"))

    @property
    def order_class(self) -> str:
        return str(self.facts.get("order_class") or "SIMPLE")

    @property
    def avg_fill_price(self) -> Decimal | None:
        return _decimal(self.facts["average_price"])

    @property
    def status(self) -> str:
        return str(self.facts["status"])

    @property
    def reject_reason(self) -> str | None:
        return self.facts["reason"]

    @property
    def created_at(self) -> datetime:
        return datetime.fromisoformat(self.facts["created_at"])

    @property
    def updated_at(self) -> datetime:
        return self.at

    @property
    def filled_at(self) -> datetime | None:
        return self._when("FILLED")

    @property
    def cancelled_at(self) -> datetime | None:
        return self._when("CANCELLED")

    @property
    def expired_at(self) -> datetime | None:
        return self._when("EXPIRED")

    @property
    def replaced_at(self) -> datetime | None:
        return self._when("REPLACED")

    @property
    def failed_at(self) -> datetime | None:
        return self._when("REJECTED")

    @property
    def expires_at(self) -> datetime | None:
        return _instant(self.facts["expires_at"])

    @property
    def replaces(self) -> int | None:
        return _number(self.facts["replaces"])

    @property
    def replaced_by(self) -> int | None:
        return _number(self.facts["replaced_by"])


def trade_update(event: dict[str, Any], asset_ids: dict[str, UUID]) -> dict[str, Any] | None:
    """Return the published update of an event, or None when published clients are not told of it."""
    word, data = EVENT_WORDS.get(event["event_type"]), event["data"]
    if word is None or "order" not in data:
        return None
    order = ToldOrder(data["order"], datetime.fromisoformat(data["at"]))
    update = {
        "event": word,
        "timestamp": data["at"],
        "order": order_wire(order, asset_ids.get(order.symbol)),
    }
    if execution := data.get("execution"):
        update |= {
            "execution_id": execution["execution_id"],
            "price": decimal_text(Decimal(str(execution["price"]))),
            "qty": str(execution["quantity"]),
            "position_qty": str(execution["position_quantity"]),
        }
    return update
