"""Orders in a trader's words: status, side, terms, and the sentence of a toast."""

from dataclasses import dataclass
from typing import Any

from apps.orders.selectors import OrderView
from apps.primitives.fix import OrderType
from apps.web.forms import TIMES_IN_FORCE
from apps.web.numbers import price_text, quantity_text

_STATUS = {
    "PENDING": ("Accepted", "notice"),
    "HELD": ("Waiting", "notice"),
    "NEW": ("Working", "notice"),
    "PARTIALLY_FILLED": ("Partly filled", "notice"),
    "PENDING_CANCEL": ("Cancelling", "notice"),
    "PENDING_REPLACE": ("Replacing", "notice"),
    "FILLED": ("Filled", "good"),
    "CANCELLED": ("Cancelled", "notice"),
    "REPLACED": ("Replaced", "notice"),
    "REJECTED": ("Rejected", "bad"),
    "EXPIRED": ("Expired", "notice"),
}
_REASONS = {
    "REQUESTED": "Cancelled on request.",
    "TIME_IN_FORCE": "Its time in force ended.",
    "IOC_REMAINDER": "Nothing more was available at that price.",
    "FOK_UNFILLABLE": "The whole quantity was not available at once.",
    "NO_LIQUIDITY": "Nobody was offering shares within the price band.",
    "COLLAR": "The price band was reached.",
    "SELF_TRADE": "It would have traded with another order of yours.",
    "HALTED": "Trading in this symbol was halted.",
    "TOO_LATE": "The order had already ended.",
    "BOOK_FULL": "The order book could take no more orders.",
}
_TYPES = {
    "MARKET": "Market",
    "LIMIT": "Limit",
    "STOP": "Stop",
    "STOP_LIMIT": "Stop limit",
    "TRAIL": "Trailing stop",
}
_SETTLING = ("PENDING_CANCEL", "PENDING_REPLACE")


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One line of the blotter."""

    order: OrderView
    status: str
    tone: str
    terms: str
    reason: str
    time_in_force: str
    can_cancel: bool
    can_edit: bool


def side_word(side: str) -> str:
    """Return ``Buy`` or ``Sell``: side is always a word."""
    return side.capitalize()


def terms_text(order_type: str, price: Any) -> str:
    """Return type and price: ``Limit 184.28``."""
    label = _TYPES.get(order_type, order_type.capitalize())
    return f"{label} {price_text(price)}" if price is not None else label


def reason_text(reason: str | None) -> str:
    """Return why an order ended, as a sentence; an unknown reason keeps its own words."""
    if not reason:
        return ""
    code = reason.upper()
    return _REASONS.get(code, reason.replace("_", " ").capitalize() if reason.isupper() else reason)


def order_row(order: OrderView) -> OrderRow:
    """Return one order as the blotter shows it."""
    stored = str(order.status).upper()
    label, tone = _STATUS.get(stored, (stored.replace("_", " ").capitalize(), "notice"))
    settling = stored in _SETTLING
    return OrderRow(
        order=order,
        status=label,
        tone=tone,
        terms=terms_text(order.order_type, order.price),
        reason=reason_text(order.reject_reason),
        time_in_force=TIMES_IN_FORCE.get(order.time_in_force, str(order.time_in_force)),
        can_cancel=stored != "PENDING_CANCEL",
        can_edit=not settling and order.order_type == OrderType.LIMIT,
    )


def _headline(order: OrderView, status: str) -> str:
    what = f"{quantity_text(order.quantity)} {order.symbol}"
    if status in ("FILLED", "PARTIALLY_FILLED") and order.avg_fill_price is not None:
        verb = "Bought" if order.side == "BUY" else "Sold"
        done = f"{verb} {quantity_text(order.filled_quantity)} {order.symbol}"
        return f"{done} at {price_text(order.avg_fill_price)}"
    label = _STATUS.get(status, (status.capitalize(), ""))[0].lower()
    return f"{side_word(order.side)} {what}: {label}"


def _detail(order: OrderView, status: str) -> str:
    kind = f"{_TYPES.get(order.order_type, 'Market')} order"
    filled, wanted = quantity_text(order.filled_quantity), quantity_text(order.quantity)
    if status == "FILLED":
        return f"{kind} filled in full."
    if status == "PARTIALLY_FILLED":
        return f"{kind}: {filled} of {wanted} shares filled so far."
    if status in ("CANCELLED", "EXPIRED", "REJECTED"):
        ending = f" {filled} of {wanted} shares were filled." if order.filled_quantity else ""
        return (reason_text(order.reject_reason) or f"{kind} ended.") + ending
    return f"{terms_text(order.order_type, order.price)}, {TIMES_IN_FORCE.get(order.time_in_force, '')}."


def order_notice(order: OrderView) -> dict[str, str]:
    """Return an order's present state as one toast; three tones: success, notice, error."""
    status = str(order.status).upper()
    tone = {"FILLED": "success", "PARTIALLY_FILLED": "success", "REJECTED": "error"}.get(status, "notice")
    return {
        "order": str(order.public_id),
        "status": status,
        "symbol": order.symbol,
        "tone": tone,
        "title": _headline(order, status),
        "text": _detail(order, status),
    }
