"""Orders in a trader's words: status, side, terms, groups, and the sentence of a toast."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from apps.orders.selectors import OrderView
from apps.primitives.fix import Leg, OrderType
from apps.web.forms import TIMES_IN_FORCE
from apps.web.numbers import exchange_time, price_text, quantity_text

_STATUS = {
    "PENDING": ("Accepted", "notice"),
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
    "NO_LIQUIDITY": "Nobody was left to trade with at a price within its collar.",
    "COLLAR": "Its collar, the worst price it may trade at, was reached.",
    "PRICE_BAND": "The price band was reached.",
    "OUTSIDE_BAND": "Its price was outside the price band.",
    "AUCTION_REMAINDER": "The auction found nobody to trade with.",
    "NOT_CONTINUOUS": "Trading in this symbol was not continuous.",
    "REDUCE_ONLY": "Only orders that reduce a position were accepted.",
    "CANCEL_ONLY": "Only cancellations were accepted.",
    "OFF_TICK": "Its price was between two price steps.",
    "OCO": "The other exit of its pair filled.",
    "GROUP": "Another order of its group ended.",
    "SELF_TRADE": "It would have traded with another order of yours.",
    "HALTED": "Trading in this symbol was halted.",
    "TOO_LATE": "The order had already ended.",
    "BOOK_FULL": "The order book could take no more orders.",
    "QUARANTINED": "The exchange could not process it.",
}
_TYPES = {
    "MARKET": "Market",
    "LIMIT": "Limit",
    "STOP": "Stop",
    "STOP_LIMIT": "Stop limit",
    "TRAIL": "Trailing stop",
}
_SETTLING = ("PENDING_CANCEL", "PENDING_REPLACE")
_STOPS = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL)
_LEGS: dict[str, str] = {Leg.ENTRY: "", Leg.TAKE_PROFIT: "Take profit", Leg.STOP_LOSS: "Stop-loss"}


class Terms(Protocol):
    """What an order, sent or still a ticket, says of its prices."""

    @property
    def order_type(self) -> str: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def stop_price(self) -> Decimal | None: ...
    @property
    def trail_amount(self) -> Decimal | None: ...
    @property
    def trail_percent(self) -> Decimal | None: ...


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One line of the blotter; ``leg`` names its part in a group, ``note`` says when a stop was reached."""

    order: OrderView
    status: str
    tone: str
    terms: str
    reason: str
    time_in_force: str
    can_cancel: bool
    can_edit: bool
    leg: str
    note: str
    is_child: bool


def side_word(side: str) -> str:
    """Return ``Buy`` or ``Sell``: side is always a word."""
    return side.capitalize()


def trail_text(order: Terms) -> str:
    """Return how far a trailing stop stays behind: ``2.00`` or ``1.5%``."""
    if order.trail_percent is None:
        return price_text(order.trail_amount)
    return f"{order.trail_percent.normalize():f}%"


def terms_text(order: Terms) -> str:
    """Return type and prices: ``Limit 184.28``, ``Stop 95.00, limit 94.50``, ``Trailing 2.00``."""
    label = _TYPES.get(order.order_type, order.order_type.capitalize())
    if order.order_type == OrderType.TRAIL:
        stop = f", stop {price_text(order.stop_price)}" if order.stop_price is not None else ""
        return f"Trailing {trail_text(order)}{stop}"
    if order.order_type == OrderType.STOP_LIMIT:
        return f"Stop {price_text(order.stop_price)}, limit {price_text(order.price)}"
    price = order.stop_price if order.order_type == OrderType.STOP else order.price
    return f"{label} {price_text(price)}" if price is not None else label


def reason_text(reason: str | None) -> str:
    """Return why an order ended, as a sentence; an unknown reason keeps its own words."""
    if not reason:
        return ""
    code = reason.upper()
    return _REASONS.get(code, reason.replace("_", " ").capitalize() if reason.isupper() else reason)


def _leg_text(order: OrderView) -> str:
    return _LEGS.get(order.leg, "") if order.leg else ""


def is_stop_waiting(order: OrderView) -> bool:
    """Return whether an order waits for its stop to be reached."""
    return order.is_live and order.order_type in _STOPS and order.triggered_at is None


def _standing(order: OrderView, entry_lives: bool = False) -> tuple[str, str]:
    stored = str(order.status).upper()
    if stored == "HELD":
        armed = order.leg == Leg.STOP_LOSS and not entry_lives
        return ("Armed" if armed else "Waits for entry"), "notice"
    if stored == "NEW" and order.triggered_at is not None:
        return "Triggered", "notice"
    if stored == "NEW" and is_stop_waiting(order):
        return "Waiting", "notice"
    return _STATUS.get(stored, (stored.replace("_", " ").capitalize(), "notice"))


def order_row(order: OrderView, *, is_child: bool = False, entry_lives: bool = False) -> OrderRow:
    """Return one order as the blotter shows it; ``entry_lives`` of a group whose entry has not filled."""
    stored = str(order.status).upper()
    label, tone = _standing(order, entry_lives)
    settling = stored in _SETTLING
    return OrderRow(
        order=order,
        status=label,
        tone=tone,
        terms=terms_text(order),
        reason=reason_text(order.reject_reason),
        time_in_force=TIMES_IN_FORCE.get(order.time_in_force, str(order.time_in_force)),
        can_cancel=stored != "PENDING_CANCEL",
        can_edit=not settling and bool(edit_fields(order)),
        leg=_leg_text(order),
        note=f"Triggered {exchange_time(order.triggered_at)}" if order.triggered_at else "",
        is_child=is_child,
    )


def order_rows(orders: Sequence[OrderView]) -> list[OrderRow]:
    """Return orders in their order, but the members of a group together, the first of it leading."""
    groups: dict[int, list[OrderView]] = {}
    for order in orders:
        groups.setdefault(order.group_id or order.order_id, []).append(order)
    rows = []
    for members in groups.values():
        members.sort(key=lambda one: (not one.is_parent, one.leg != Leg.TAKE_PROFIT, one.order_id))
        waits = any(one.leg == Leg.ENTRY and one.is_live for one in members)
        rows += [order_row(one, is_child=n > 0, entry_lives=waits) for n, one in enumerate(members)]
    return rows


@dataclass(frozen=True, slots=True)
class EditField:
    """One price that an edit may change."""

    name: str
    label: str
    value: str
    unit: str = "USD"


def edit_fields(order: OrderView) -> list[EditField]:
    """Return the prices of an order that can be changed; none of a market order's."""
    if order.order_type == OrderType.TRAIL:
        unit = "USD" if order.trail_percent is None else "%"
        return [EditField("trail", "Trail", trail_text(order).rstrip("%").replace(",", ""), unit)]
    fields = []
    if is_stop_waiting(order):
        fields.append(EditField("stop_price", "Stop price", _plain(order.stop_price)))
    if order.price is not None:
        fields.append(EditField("limit_price", "Limit price", _plain(order.price)))
    return fields


def _plain(price: Decimal | None) -> str:
    return price_text(price).replace(",", "")


def _headline(order: OrderView, status: str) -> str:
    what = f"{quantity_text(order.quantity)} {order.symbol}"
    if status in ("FILLED", "PARTIALLY_FILLED") and order.avg_fill_price is not None:
        verb = "Bought" if order.side == "BUY" else "Sold"
        done = f"{verb} {quantity_text(order.filled_quantity)} {order.symbol}"
        return f"{done} at {price_text(order.avg_fill_price)}"
    label = _standing(order)[0].lower()
    return f"{side_word(order.side)} {what}: {label}"


def _is_triggered(order: OrderView, status: str) -> bool:
    return status in ("PENDING", "NEW") and order.triggered_at is not None


def _detail(order: OrderView, status: str) -> str:
    leg = _leg_text(order)
    kind = leg or f"{_TYPES.get(order.order_type, 'Market')} order"
    filled, wanted = quantity_text(order.filled_quantity), quantity_text(order.quantity)
    if status == "FILLED":
        return f"{kind} filled in full."
    if status == "PARTIALLY_FILLED":
        return f"{kind}: {filled} of {wanted} shares filled so far."
    if status in ("CANCELLED", "EXPIRED", "REJECTED"):
        ending = f" {filled} of {wanted} shares were filled." if order.filled_quantity else ""
        return (reason_text(order.reject_reason) or f"{kind} ended.") + ending
    if _is_triggered(order, status):
        return f"The stop at {price_text(order.stop_price)} was reached."
    return f"{leg + ': ' if leg else ''}{terms_text(order)}, {TIMES_IN_FORCE.get(order.time_in_force, '')}."


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
