"""Which prices, times and exits go together in one order."""

from collections.abc import Mapping
from decimal import Decimal

from apps.orders.wire import TYPE_WORDS
from apps.primitives.errors import Invalid
from apps.primitives.fix import OrderClass, OrderType, Side, TimeInForce

AUCTIONS = (TimeInForce.OPG, TimeInForce.CLS)
LASTING = (TimeInForce.DAY, TimeInForce.GTC)
"""Times in force of orders that may rest or wait for a price."""

STOPS = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL)

_PRICES: dict[OrderType, tuple[str, ...]] = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("limit_price", "stop_price"),
    OrderType.TRAIL: ("trail_price", "trail_percent"),
}
_NAMES = {
    "limit_price": "limit price",
    "stop_price": "stop price",
    "trail_price": "trail price",
    "trail_percent": "trail percent",
}
_EXIT_DISTANCE = Decimal("0.01")


def prices_check(order_type: OrderType, prices: Mapping[str, Decimal | None]) -> None:
    """Require the prices that a type has and refuse those that it has not; a trail is given in one way."""
    word, own = TYPE_WORDS[order_type], _PRICES[order_type]
    given = [name for name, price in prices.items() if price is not None]
    for name in own:
        if name not in given and order_type is not OrderType.TRAIL:
            raise Invalid(f"{name}_required", f"{word} orders require a {_NAMES[name]}", field=name)
    for name in given:
        if name not in own:
            raise Invalid(f"{name}_unexpected", f"{word} orders take no {_NAMES[name]}", field=name)
    if order_type is OrderType.TRAIL and len(given) != 1:
        raise Invalid(
            "trail_required",
            "trailing_stop orders require exactly one of trail_price and trail_percent",
            field="trail_price",
        )


def time_check(order_type: OrderType, time_in_force: TimeInForce, order_class: OrderClass) -> None:
    """Refuse a time in force that an order's type or class cannot have."""
    word = TYPE_WORDS[order_type]
    if order_class is not OrderClass.SIMPLE and time_in_force not in LASTING:
        raise Invalid(
            "bad_time_in_force",
            f"{order_class.value.lower()} orders must be day or gtc orders",
            field="time_in_force",
        )
    if order_type in STOPS and time_in_force not in LASTING:
        raise Invalid("bad_time_in_force", f"{word} orders must be day or gtc orders", field="time_in_force")


def class_check(
    order_class: OrderClass,
    order_type: OrderType,
    side: Side,
    *,
    take_profit: Decimal | None,
    stop_price: Decimal | None,
    limit: Decimal | None,
) -> None:
    """Refuse exits that a class does not have, lacks, or has on the wrong side of one another."""
    name = order_class.value.lower()
    given = (take_profit is not None) + (stop_price is not None)
    if order_class is OrderClass.SIMPLE:
        if given:
            raise Invalid(
                "ORDER_CLASS",
                "take_profit and stop_loss need an order_class: bracket, oco or oto",
                field="order_class",
            )
        return
    _side_check(order_class, order_type, side)
    if order_class is OrderClass.OTO:
        if given != 1:
            raise Invalid(
                "ORDER_CLASS",
                "oto orders require exactly one of take_profit.limit_price and stop_loss.stop_price",
                field="order_class",
            )
    elif take_profit is None:
        raise Invalid("ORDER_CLASS", f"{name} orders require take_profit.limit_price", field="take_profit")
    elif stop_price is None:
        raise Invalid("ORDER_CLASS", f"{name} orders require stop_loss.stop_price", field="stop_loss")
    if order_class is OrderClass.OCO and limit != take_profit:
        raise Invalid(
            "ORDER_CLASS",
            "limit_price of oco orders must be take_profit.limit_price, or be left out",
            field="limit_price",
        )
    exits_check(take_profit, stop_price)


def _side_check(order_class: OrderClass, order_type: OrderType, side: Side) -> None:
    name = order_class.value.lower()
    if order_class is OrderClass.OCO:
        if order_type is not OrderType.LIMIT:
            raise Invalid("order_class_type", "oco orders must be limit orders", field="type")
        if side is Side.BUY:
            raise Invalid("ORDER_CLASS", "oco orders must be exit orders", field="side")
        return
    if order_type not in (OrderType.MARKET, OrderType.LIMIT):
        raise Invalid("order_class_type", f"{name} orders must be market or limit orders", field="type")
    if side is Side.SELL:
        raise Invalid("ORDER_CLASS", f"{name} orders must be entry orders", field="side")


def exits_check(take_profit: Decimal | None, stop_price: Decimal | None) -> None:
    """Refuse a stop-loss that is not at least a cent below its take-profit."""
    if take_profit is None or stop_price is None or stop_price <= take_profit - _EXIT_DISTANCE:
        return
    raise Invalid(
        "LEG_PRICE",
        f"stop_loss.stop_price must be at least {_EXIT_DISTANCE} below take_profit.limit_price",
        field="stop_loss.stop_price",
        base_price=str(take_profit),
    )


def exits_base_check(
    *,
    entry: Decimal | None,
    last: Decimal | None,
    take_profit: Decimal | None,
    stop_price: Decimal | None,
    opens: bool,
) -> None:
    """Refuse exits that would act at once: a stop-loss at or above what the entry would pay or the market is.

    A take-profit is measured against the entry's limit, or the market when it has none; that of an exit pair
    (not ``opens``) may be anywhere, since it is an ordinary limit order.
    """
    bases = [price for price in (entry if opens else None, last) if price is not None]
    if stop_price is not None and bases and stop_price > min(bases) - _EXIT_DISTANCE:
        raise Invalid(
            "LEG_PRICE",
            f"stop_loss.stop_price must be <= base_price - {_EXIT_DISTANCE}",
            field="stop_loss.stop_price",
            base_price=str(min(bases)),
        )
    base = entry if entry is not None else last
    if opens and take_profit is not None and base is not None and take_profit < base + _EXIT_DISTANCE:
        raise Invalid(
            "LEG_PRICE",
            f"take_profit.limit_price must be >= base_price + {_EXIT_DISTANCE}",
            field="take_profit.limit_price",
            base_price=str(base),
        )
