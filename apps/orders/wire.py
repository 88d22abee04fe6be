"""The published protocol's words for an order; REST and streaming render orders with it alone."""

from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any, Protocol
from uuid import UUID

from apps.primitives.clock import iso
from apps.primitives.fix import OrderClass
from apps.primitives.ids import Kind, public_id_text

ASSET_CLASS = "us_equity"

STATUS_WORDS = {
    "PENDING": "accepted",
    "HELD": "held",
    "NEW": "new",
    "PARTIALLY_FILLED": "partially_filled",
    "PENDING_CANCEL": "pending_cancel",
    "PENDING_REPLACE": "pending_replace",
    "FILLED": "filled",
    "CANCELLED": "canceled",
    "REPLACED": "replaced",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
}
"""Stored or derived status -> the word published clients know; their enumerations are closed."""

TYPE_WORDS: dict[str, str] = {
    "MARKET": "market",
    "LIMIT": "limit",
    "STOP": "stop",
    "STOP_LIMIT": "stop_limit",
    "TRAIL": "trailing_stop",
}
"""Stored type -> the published word."""

TIME_WORDS = {
    "DAY": "day",
    "GTC": "gtc",
    "GTD": "gtc",
    "IOC": "ioc",
    "FOK": "fok",
    "OPG": "opg",
    "CLS": "cls",
}
"""Good till a date is published as good till cancelled, with the date in ``expires_at``."""


class WireOrder(Protocol):
    """What an order must know to be rendered: a row read from the tables, or the facts of an event."""

    @property
    def order_id(self) -> int: ...
    @property
    def client_order_id(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def order_type(self) -> str: ...
    @property
    def time_in_force(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def filled_quantity(self) -> int: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def stop_price(self) -> Decimal | None: ...
    @property
    def trail_amount(self) -> Decimal | None: ...
    @property
    def trail_percent(self) -> Decimal | None: ...
    @property
    def high_water_mark(self) -> Decimal | None: ...
    @property
    def triggered_at(self) -> datetime | None: ...
    @property
    def order_class(self) -> str: ...
    @property
    def avg_fill_price(self) -> Decimal | None: ...
    @property
    def status(self) -> str: ...
    @property
    def reject_reason(self) -> str | None: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def updated_at(self) -> datetime: ...
    @property
    def filled_at(self) -> datetime | None: ...
    @property
    def cancelled_at(self) -> datetime | None: ...
    @property
    def expired_at(self) -> datetime | None: ...
    @property
    def replaced_at(self) -> datetime | None: ...
    @property
    def failed_at(self) -> datetime | None: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def replaces(self) -> int | None: ...
    @property
    def replaced_by(self) -> int | None: ...


def decimal_text(value: Decimal | int) -> str:
    """Write an exact number as the protocol does: plain digits, no trailing zeros, never an exponent."""
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if "." not in text:
        return text
    text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def ratio_text(part: Decimal, whole: Decimal) -> str:
    """Write ``part / whole`` as a fraction with six decimals, rounded toward zero; ``0`` of nothing."""
    if not whole:
        return "0"
    return decimal_text((part / whole).quantize(Decimal("0.000001"), rounding=ROUND_DOWN))


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(value)


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else iso(instant)


def _order_id(number: int | None) -> str | None:
    return None if number is None else public_id_text(Kind.ORDER, number)


def order_wire(
    order: WireOrder, asset_id: UUID | None, legs: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the published order object: ids as UUIDs, figures as strings, times in UTC.

    ``filled_at`` is given for a complete fill only, so that a stream and a later read say the same. ``legs``
    are published orders themselves.
    """
    kind = TYPE_WORDS[order.order_type]
    return {
        "id": _order_id(order.order_id),
        "client_order_id": order.client_order_id,
        "created_at": iso(order.created_at),
        "updated_at": iso(order.updated_at),
        "submitted_at": iso(order.created_at),
        "filled_at": _time(order.filled_at) if order.status == "FILLED" else None,
        "expired_at": _time(order.expired_at),
        "canceled_at": _time(order.cancelled_at),
        "failed_at": _time(order.failed_at),
        "replaced_at": _time(order.replaced_at),
        "expires_at": _time(order.expires_at),
        "replaced_by": _order_id(order.replaced_by),
        "replaces": _order_id(order.replaces),
        "asset_id": str(asset_id) if asset_id else None,
        "symbol": order.symbol,
        "asset_class": ASSET_CLASS,
        "notional": None,
        "qty": str(order.quantity),
        "filled_qty": str(order.filled_quantity),
        "filled_avg_price": _decimal(order.avg_fill_price),
        "order_class": "" if order.order_class == OrderClass.SIMPLE else order.order_class.lower(),
        "order_type": kind,
        "type": kind,
        "side": order.side.lower(),
        "position_intent": "buy_to_open" if order.side == "BUY" else "sell_to_close",
        "time_in_force": TIME_WORDS[order.time_in_force],
        "limit_price": _decimal(order.price),
        "stop_price": _decimal(order.stop_price),
        "status": STATUS_WORDS[order.status],
        "extended_hours": False,
        "legs": legs,
        "trail_percent": _decimal(order.trail_percent),
        "trail_price": _decimal(order.trail_amount),
        "hwm": _decimal(order.high_water_mark),
        "triggered_at": _time(order.triggered_at),
        "reject_reason": order.reject_reason,
    }
