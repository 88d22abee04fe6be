"""What a trader wants, checked as far as it can be without knowing the account or the market."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from uuid import uuid4

from apps.primitives.errors import Invalid
from apps.primitives.fix import OrderType, Side, TimeInForce
from apps.primitives.money import price_parse, quantity_parse

CLIENT_ORDER_ID_LENGTH_MAX = 128
TYPES_OPEN = (OrderType.MARKET, OrderType.LIMIT)
TIMES_OPEN = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """A well-formed new order of one account; ``price`` is the limit, None for a market order."""

    account_id: int
    symbol: str
    side: Side
    order_type: OrderType
    quantity: int
    time_in_force: TimeInForce
    price: Decimal | None
    client_order_id: str

    def request_hash(self) -> str:
        """Return what tells a repeated request from another one with the same client id."""
        parts = (self.symbol, self.side, self.order_type, self.quantity, self.time_in_force, self.price)
        return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ReplaceIntent:
    """What to change about a working order; None leaves a value as it is. Quantity is the new total."""

    account_id: int
    order_id: int
    quantity: int | None
    price: Decimal | None
    time_in_force: TimeInForce | None
    client_order_id: str


def _choice(kind: type, value: object, field: str, allowed: tuple) -> object:  # type: ignore[type-arg]
    text = value.upper() if isinstance(value, str) else value
    if text not in [member.value for member in allowed]:
        known = ", ".join(member.value.lower() for member in allowed)
        raise Invalid("bad_value", f"{field} must be one of {known}.", field=field)
    return kind(text)


def time_in_force_parse(value: object) -> TimeInForce:
    """Read a time in force that is open to traders."""
    return _choice(TimeInForce, value, "time_in_force", TIMES_OPEN)  # type: ignore[return-value]


def client_order_id_parse(value: object) -> str:
    """Return a client order id, minted when none is given; printable, at most 128 characters."""
    if value is None or value == "":
        return str(uuid4())
    if not isinstance(value, str) or len(value) > CLIENT_ORDER_ID_LENGTH_MAX or not value.isprintable():
        raise Invalid(
            "bad_client_order_id",
            f"client_order_id must be printable text of at most {CLIENT_ORDER_ID_LENGTH_MAX} characters.",
            field="client_order_id",
        )
    return value


def intent_make(
    *,
    account_id: int,
    symbol: object,
    side: object,
    order_type: object,
    quantity: object,
    time_in_force: object = "DAY",
    price: object = None,
    client_order_id: object = None,
) -> OrderIntent:
    """Return a well-formed intent from raw values; raises ``Invalid`` naming the first wrong field."""
    if not isinstance(symbol, str) or not symbol.strip():
        raise Invalid("symbol_required", "symbol is required.", field="symbol")
    wanted: OrderType = _choice(OrderType, order_type, "type", TYPES_OPEN)  # type: ignore[assignment]
    if quantity is None or quantity == "":
        raise Invalid("qty_required", "qty is required", field="qty")
    if wanted is OrderType.LIMIT and price in (None, ""):
        raise Invalid("limit_price_required", "limit orders require a limit price", field="limit_price")
    if wanted is OrderType.MARKET and price not in (None, ""):
        raise Invalid("limit_price_unexpected", "market orders take no limit price", field="limit_price")
    return OrderIntent(
        account_id=account_id,
        symbol=symbol.strip().upper()[:40],
        side=_choice(Side, side, "side", tuple(Side)),  # type: ignore[arg-type]
        order_type=wanted,
        quantity=quantity_parse(quantity),
        time_in_force=time_in_force_parse(time_in_force),
        price=price_parse(price, "limit_price") if wanted is OrderType.LIMIT else None,
        client_order_id=client_order_id_parse(client_order_id),
    )
