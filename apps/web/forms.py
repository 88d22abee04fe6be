"""The order ticket and the edit form, read strictly into what the order services take."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from apps.primitives.errors import Invalid
from apps.primitives.fix import OrderType, Side, TimeInForce
from apps.primitives.money import price_parse, quantity_parse
from apps.web.inputs import price_normalise, quantity_normalise

_Word = TypeVar("_Word", bound=StrEnum)

ORDER_TYPES = (OrderType.LIMIT, OrderType.MARKET)
TIMES_IN_FORCE: dict[str, str] = {
    TimeInForce.DAY: "Day",
    TimeInForce.GTC: "Good till cancelled",
    TimeInForce.IOC: "Immediate or cancel",
    TimeInForce.FOK: "Fill or kill",
}
_CLIENT_ID_LENGTH_MAX = 48


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that could be sent: every field present and well formed."""

    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    price: Decimal | None
    client_order_id: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What an edit asks for; ``None`` leaves a field as it is."""

    quantity: int | None
    price: Decimal | None


def client_order_id_mint() -> str:
    """Return a new client order id; minted when a review opens, so that one review is one order."""
    return f"web-{uuid.uuid4()}"


def _member(kind: type[_Word], value: str, field: str, label: str) -> _Word:
    try:
        return kind(value)
    except ValueError:
        raise Invalid(f"bad_{field}", f"Choose a {label}.", field=field) from None


def _quantity(text: str) -> int:
    if not text.strip():
        raise Invalid("missing_quantity", "Enter a quantity.", field="quantity")
    return quantity_parse(quantity_normalise(text), "Quantity")


def _price(text: str) -> Decimal:
    if not text.strip():
        raise Invalid("missing_limit_price", "Enter a limit price.", field="limit_price")
    return price_parse(price_normalise(text), "Limit price")


def _client_order_id(text: str) -> str:
    value = text.strip()
    if len(value) > _CLIENT_ID_LENGTH_MAX or not value.isascii() or not value.isprintable():
        raise Invalid("bad_client_order_id", "The order's own id is not usable. Review the order again.")
    return value or client_order_id_mint()


def ticket_read(data: Mapping[str, str], symbol: str) -> Ticket:
    """Read a posted ticket; raises ``Invalid`` naming the field and what to write instead."""
    order_type = _member(OrderType, data.get("order_type", ""), "order_type", "order type")
    if order_type not in ORDER_TYPES:
        raise Invalid("bad_order_type", "Choose Limit or Market.", field="order_type")
    time_in_force = _member(TimeInForce, data.get("time_in_force", ""), "time_in_force", "time in force")
    if time_in_force not in TIMES_IN_FORCE:
        raise Invalid("bad_time_in_force", "Choose a time in force from the list.", field="time_in_force")
    return Ticket(
        symbol=symbol,
        side=_member(Side, data.get("side", ""), "side", "side"),
        order_type=order_type,
        time_in_force=time_in_force,
        quantity=_quantity(data.get("quantity", "")),
        price=_price(data.get("limit_price", "")) if order_type is OrderType.LIMIT else None,
        client_order_id=_client_order_id(data.get("client_order_id", "")),
    )


def changes_read(data: Mapping[str, str]) -> Changes:
    """Read an edit; a field left blank is not changed."""
    quantity, price = data.get("quantity", ""), data.get("limit_price", "")
    return Changes(
        quantity=_quantity(quantity) if quantity.strip() else None,
        price=_price(price) if price.strip() else None,
    )
