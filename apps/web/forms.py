"""The order ticket and the edit form, read strictly into what the order services take."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from apps.orders.intents import OrderIntent, intent_make
from apps.primitives.errors import Invalid
from apps.primitives.fix import OrderClass, OrderType, Side, TimeInForce
from apps.primitives.money import price_parse, quantity_parse
from apps.web.inputs import price_normalise, quantity_normalise

_Word = TypeVar("_Word", bound=StrEnum)

ORDER_TYPES: dict[str, str] = {
    OrderType.LIMIT: "Limit",
    OrderType.MARKET: "Market",
    OrderType.STOP: "Stop",
    OrderType.STOP_LIMIT: "Stop limit",
    OrderType.TRAIL: "Trailing",
}
TIMES_IN_FORCE: dict[str, str] = {
    TimeInForce.DAY: "Day",
    TimeInForce.GTC: "Good till cancelled",
    TimeInForce.IOC: "Immediate or cancel",
    TimeInForce.FOK: "Fill or kill",
    TimeInForce.OPG: "At the open",
    TimeInForce.CLS: "At the close",
}
_AUCTION_TIMES = (TimeInForce.OPG, TimeInForce.CLS)
_LIMITED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_STOPPED = (OrderType.STOP, OrderType.STOP_LIMIT)
_CLIENT_ID_LENGTH_MAX = 48
_FIELDS = {
    "take_profit.limit_price": "take_profit",
    "stop_loss.stop_price": "stop_loss",
    "stop_loss.limit_price": "stop_loss_limit",
    "trail_price": "trail",
    "trail_percent": "trail",
    "order_class": "exits",
    "type": "order_type",
    "qty": "quantity",
}
"""The services' name of a field -> the ticket's."""


class Exits(StrEnum):
    """Which exits a ticket attaches to its order."""

    NONE = "NONE"
    BOTH = "BOTH"
    TAKE_PROFIT = "TAKE_PROFIT"
    STOP_LOSS = "STOP_LOSS"


class TrailKind(StrEnum):
    """What a trail is measured in."""

    AMOUNT = "AMOUNT"
    PERCENT = "PERCENT"


@dataclass(frozen=True, slots=True)
class ExitPrices:
    """Where a position ends, for better and for worse; a stop-loss without a limit ends at the market."""

    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    stop_loss_limit: Decimal | None = None


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
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    exits: ExitPrices = ExitPrices()

    @property
    def order_class(self) -> OrderClass:
        """A sell has its take-profit in itself: with a stop-loss it is one of a pair."""
        given = (self.exits.take_profit is not None) + (self.exits.stop_loss is not None)
        if self.side is Side.SELL:
            return OrderClass.OCO if given else OrderClass.SIMPLE
        return (OrderClass.SIMPLE, OrderClass.OTO, OrderClass.BRACKET)[given]


@dataclass(frozen=True, slots=True)
class Changes:
    """What an edit asks for; ``None`` leaves a field as it is."""

    quantity: int | None
    price: Decimal | None
    stop_price: Decimal | None
    trail: Decimal | None


def times_offered(*, has_auctions: bool) -> dict[str, str]:
    """Return the times in force to choose from; auctions only where the market has them."""
    return {
        time: label for time, label in TIMES_IN_FORCE.items() if has_auctions or time not in _AUCTION_TIMES
    }


def field_named(field: str) -> str:
    """Return the ticket's name of the field that a refusal is about."""
    name = field.lower().replace(" ", "_")
    return _FIELDS.get(name, name)


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


def _price(data: Mapping[str, str], field: str, label: str) -> Decimal:
    text = data.get(field, "")
    if not text.strip():
        raise Invalid(f"missing_{field}", f"Enter a {label.lower()}.", field=field)
    return _price_read(text, field, label)


def _price_if_given(data: Mapping[str, str], field: str, label: str) -> Decimal | None:
    text = data.get(field, "")
    return _price_read(text, field, label) if text.strip() else None


def _price_read(text: str, field: str, label: str) -> Decimal:
    try:
        return price_parse(price_normalise(text), label)
    except Invalid as error:
        error.details["field"] = field
        raise


def _client_order_id(text: str) -> str:
    value = text.strip()
    if len(value) > _CLIENT_ID_LENGTH_MAX or not value.isascii() or not value.isprintable():
        raise Invalid("bad_client_order_id", "The order's own id is not usable. Review the order again.")
    return value or client_order_id_mint()


def _time_in_force(data: Mapping[str, str]) -> TimeInForce:
    time_in_force = _member(TimeInForce, data.get("time_in_force", ""), "time_in_force", "time in force")
    if time_in_force not in TIMES_IN_FORCE:
        raise Invalid("bad_time_in_force", "Choose a time in force from the list.", field="time_in_force")
    return time_in_force


def _trail(data: Mapping[str, str], order_type: OrderType) -> tuple[Decimal | None, Decimal | None]:
    if order_type is not OrderType.TRAIL:
        return None, None
    kind = _member(TrailKind, data.get("trail_kind", ""), "trail_kind", "kind of trail")
    trail = _price(data, "trail", "Trail")
    return (trail, None) if kind is TrailKind.AMOUNT else (None, trail)


def _exits(data: Mapping[str, str], side: Side, price: Decimal | None) -> ExitPrices:
    wanted = _member(Exits, data.get("exits", Exits.NONE), "exits", "kind of exit")
    if wanted is Exits.NONE:
        return ExitPrices()
    if side is Side.SELL and wanted is not Exits.STOP_LOSS:
        raise Invalid("bad_exits", "A sell order is an exit itself; it can have a stop-loss.", field="exits")
    take_profit = stop_loss = stop_loss_limit = None
    if side is Side.SELL:
        take_profit = price
    elif wanted is not Exits.STOP_LOSS:
        take_profit = _price(data, "take_profit", "Take-profit price")
    if wanted is not Exits.TAKE_PROFIT:
        stop_loss = _price(data, "stop_loss", "Stop-loss price")
        stop_loss_limit = _price_if_given(data, "stop_loss_limit", "Stop-loss limit")
    return ExitPrices(take_profit, stop_loss, stop_loss_limit)


def ticket_read(data: Mapping[str, str], symbol: str) -> Ticket:
    """Read a posted ticket; raises ``Invalid`` naming the field and what to write instead.

    A field that the order type does not have is not read.
    """
    order_type = _member(OrderType, data.get("order_type", ""), "order_type", "order type")
    side = _member(Side, data.get("side", ""), "side", "side")
    stop_price = _price(data, "stop_price", "Stop price") if order_type in _STOPPED else None
    price = _price(data, "limit_price", "Limit price") if order_type in _LIMITED else None
    trail_amount, trail_percent = _trail(data, order_type)
    return Ticket(
        symbol=symbol,
        side=side,
        order_type=order_type,
        time_in_force=_time_in_force(data),
        quantity=_quantity(data.get("quantity", "")),
        price=price,
        client_order_id=_client_order_id(data.get("client_order_id", "")),
        stop_price=stop_price,
        trail_amount=trail_amount,
        trail_percent=trail_percent,
        exits=_exits(data, side, price),
    )


def intent_of(ticket: Ticket, account_id: int) -> OrderIntent:
    """Return the order that a ticket asks for; raises ``Invalid`` for what cannot be combined."""
    exits = ticket.exits
    loss = {"stop_price": exits.stop_loss, "limit_price": exits.stop_loss_limit}
    return intent_make(
        account_id=account_id,
        symbol=ticket.symbol,
        side=ticket.side,
        order_type=ticket.order_type,
        quantity=ticket.quantity,
        time_in_force=ticket.time_in_force,
        price=ticket.price,
        stop_price=ticket.stop_price,
        trail_price=ticket.trail_amount,
        trail_percent=ticket.trail_percent,
        order_class=ticket.order_class,
        take_profit=None if exits.take_profit is None else {"limit_price": exits.take_profit},
        stop_loss=None if exits.stop_loss is None else loss,
        client_order_id=ticket.client_order_id,
    )


def ticket_fields(ticket: Ticket) -> dict[str, str]:
    """Return a ticket as the fields of a form, so that what was reviewed is what is sent."""
    exits = ticket.exits
    buys = ticket.side is Side.BUY
    takes = buys and exits.take_profit is not None
    values = {
        "symbol": ticket.symbol,
        "side": ticket.side,
        "order_type": ticket.order_type,
        "time_in_force": ticket.time_in_force,
        "quantity": ticket.quantity,
        "limit_price": ticket.price,
        "stop_price": ticket.stop_price,
        "trail_kind": TrailKind.PERCENT if ticket.trail_percent is not None else TrailKind.AMOUNT,
        "trail": ticket.trail_percent if ticket.trail_percent is not None else ticket.trail_amount,
        "exits": _exits_named(takes, exits.stop_loss is not None),
        "take_profit": exits.take_profit if takes else None,
        "stop_loss": exits.stop_loss,
        "stop_loss_limit": exits.stop_loss_limit,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _exits_named(takes: bool, stops: bool) -> Exits:
    if takes:
        return Exits.BOTH if stops else Exits.TAKE_PROFIT
    return Exits.STOP_LOSS if stops else Exits.NONE


def changes_read(data: Mapping[str, str]) -> Changes:
    """Read an edit; a field left blank is not changed."""
    quantity = data.get("quantity", "")
    return Changes(
        quantity=_quantity(quantity) if quantity.strip() else None,
        price=_price_if_given(data, "limit_price", "Limit price"),
        stop_price=_price_if_given(data, "stop_price", "Stop price"),
        trail=_price_if_given(data, "trail", "Trail"),
    )
