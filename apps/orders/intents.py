"""What a trader wants, checked as far as it can be without knowing the account or the market."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TypeVar
from uuid import uuid4

from apps.orders.combinations import class_check, prices_check, time_check
from apps.orders.wire import TYPE_WORDS
from apps.primitives.errors import Invalid
from apps.primitives.fix import OrderClass, OrderType, Side, TimeInForce
from apps.primitives.money import PRICE_QUANTUM, decimal_parse, price_parse, quantity_parse

CLIENT_ORDER_ID_LENGTH_MAX = 128
TRAIL_PERCENT_MAX = 100
TIMES_OPEN = tuple(time for time in TimeInForce if time is not TimeInForce.GTD)
_SIDE_WORDS = {side.value: side.value.lower() for side in Side}
_TIME_WORDS = {time.value: time.value.lower() for time in TIMES_OPEN}
_CLASS_WORDS = {kind.value: kind.value.lower() for kind in OrderClass}
"""Stored value -> the word that clients send, for each choice."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StopLoss:
    """The exit at a worse price: at the market once ``stop_price`` trades, or at a limit."""

    stop_price: Decimal
    limit_price: Decimal | None


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """A well-formed new order of one account; ``price`` is the limit, None for an order without one.

    With exits it is a group: an entry and what its fill releases, or (OCO) two exits of which one fills; then
    the order itself is the take-profit. ``take_profit`` is a limit, ``trail_percent`` has four decimals.
    """

    account_id: int
    symbol: str
    side: Side
    order_type: OrderType
    quantity: int
    time_in_force: TimeInForce
    price: Decimal | None
    client_order_id: str
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    order_class: OrderClass = OrderClass.SIMPLE
    take_profit: Decimal | None = None
    stop_loss: StopLoss | None = None

    def request_hash(self) -> str:
        """Return what tells a repeated request from another one with the same client id."""
        parts = [str(getattr(self, name)) for name in _TOLD]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()


_TOLD = tuple(
    field.name for field in fields(OrderIntent) if field.name not in ("account_id", "client_order_id")
)
"""What makes one request another one."""


@dataclass(frozen=True, slots=True)
class ReplaceIntent:
    """What to change about a working order; None leaves a value as it is. Quantity is the new total.

    ``trail`` is an amount or a percentage, whichever the order has.
    """

    account_id: int
    order_id: int
    quantity: int | None
    price: Decimal | None
    time_in_force: TimeInForce | None
    client_order_id: str
    stop_price: Decimal | None = None
    trail: Decimal | None = None


def _choice(kind: type[T], value: object, field: str, words: Mapping[str, str]) -> T:
    text = value.upper() if isinstance(value, str) else value
    if not isinstance(text, str) or text not in words:
        known = ", ".join(words.values())
        raise Invalid("bad_value", f"{field} must be one of {known}.", field=field)
    return kind(text)  # type: ignore[call-arg]


def time_in_force_parse(value: object) -> TimeInForce:
    """Read a time in force that is open to traders."""
    return _choice(TimeInForce, value, "time_in_force", _TIME_WORDS)


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


def percent_parse(value: object, field: str) -> Decimal:
    """Read a trail in per cent: above 0, below 100, with at most four decimals."""
    number = decimal_parse(value, field)
    if not 0 < number < TRAIL_PERCENT_MAX:
        raise Invalid("bad_trail", f"{field} must be above 0 and below {TRAIL_PERCENT_MAX}.", field=field)
    if number != number.quantize(PRICE_QUANTUM):
        raise Invalid("bad_trail", f"{field} must have at most 4 decimals.", field=field)
    return number.quantize(PRICE_QUANTUM)


def _price_if_given(value: object, field: str) -> Decimal | None:
    return None if value in (None, "") else price_parse(value, field)


def _take_profit_read(given: Mapping[str, object] | None) -> Decimal | None:
    limit = (given or {}).get("limit_price")
    return _price_if_given(limit, "take_profit.limit_price")


def _stop_loss_read(given: Mapping[str, object] | None) -> StopLoss | None:
    stop = _price_if_given((given or {}).get("stop_price"), "stop_loss.stop_price")
    limit = _price_if_given((given or {}).get("limit_price"), "stop_loss.limit_price")
    if stop is None and limit is not None:
        raise Invalid(
            "ORDER_CLASS", "stop_loss.limit_price requires stop_loss.stop_price", field="stop_loss.stop_price"
        )
    return None if stop is None else StopLoss(stop, limit)


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
    stop_price: object = None,
    trail_price: object = None,
    trail_percent: object = None,
    order_class: object = None,
    take_profit: Mapping[str, object] | None = None,
    stop_loss: Mapping[str, object] | None = None,
) -> OrderIntent:
    """Return a well-formed intent from raw values; raises ``Invalid`` naming the first wrong field."""
    if not isinstance(symbol, str) or not symbol.strip():
        raise Invalid("symbol_required", "symbol is required.", field="symbol")
    wanted = _choice(OrderType, order_type, "type", TYPE_WORDS)
    if quantity is None or quantity == "":
        raise Invalid("qty_required", "qty is required", field="qty")
    kind = _choice(OrderClass, order_class or "simple", "order_class", _CLASS_WORDS)
    profit, loss = _take_profit_read(take_profit), _stop_loss_read(stop_loss)
    limit = _price_if_given(price, "limit_price")
    if kind is OrderClass.OCO and limit is None:
        limit = profit
    intent = OrderIntent(
        account_id=account_id,
        symbol=symbol.strip().upper()[:40],
        side=_choice(Side, side, "side", _SIDE_WORDS),
        order_type=wanted,
        quantity=quantity_parse(quantity),
        time_in_force=time_in_force_parse(time_in_force),
        price=limit,
        client_order_id=client_order_id_parse(client_order_id),
        stop_price=_price_if_given(stop_price, "stop_price"),
        trail_amount=_price_if_given(trail_price, "trail_price"),
        trail_percent=None if trail_percent in (None, "") else percent_parse(trail_percent, "trail_percent"),
        order_class=kind,
        take_profit=profit,
        stop_loss=loss,
    )
    intent_check(intent)
    return intent


def intent_check(intent: OrderIntent) -> None:
    """Raise ``Invalid`` for a combination that is not an order: prices of its type, its time, its exits."""
    loss = intent.stop_loss
    prices = {
        "limit_price": intent.price,
        "stop_price": intent.stop_price,
        "trail_price": intent.trail_amount,
        "trail_percent": intent.trail_percent,
    }
    class_check(
        intent.order_class,
        intent.order_type,
        intent.side,
        take_profit=intent.take_profit,
        stop_price=loss.stop_price if loss else None,
        limit=intent.price,
    )
    prices_check(intent.order_type, prices)
    time_check(intent.order_type, intent.time_in_force, intent.order_class)
