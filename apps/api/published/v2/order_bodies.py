"""Bodies of order requests: what they may say, read into what the order services take."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from apps.api.queries import refuse_given, uuid_try
from apps.instruments.selectors import instrument_get_by_public_id
from apps.orders.intents import (
    OrderIntent,
    ReplaceIntent,
    client_order_id_parse,
    intent_make,
    time_in_force_parse,
)
from apps.primitives.errors import Invalid, NotFound, Refused
from apps.primitives.money import price_parse, quantity_parse

TYPES = ["market", "limit", "stop", "stop_limit", "trailing_stop"]
TIMES_IN_FORCE = ["day", "gtc", "ioc", "fok", "opg", "cls"]
CLASSES = ["", "simple", "bracket", "oco", "oto"]
_TYPE_WORDS = {"trailing_stop": "trail"}
_NOT_OFFERED = {
    "notional": "orders are in whole shares; send qty",
    "legs": "multi-leg orders are not offered; a bracket takes take_profit and stop_loss",
    "advanced_instructions": "is not offered; orders go straight to this exchange's book",
}


def price_text(**more: Any) -> serializers.CharField:
    """A price in a request: a decimal, as a string or a number."""
    return serializers.CharField(required=False, allow_null=True, **more)


class TakeProfitBody(serializers.Serializer[object]):
    """The exit at a better price."""

    limit_price = serializers.CharField()


class StopLossBody(serializers.Serializer[object]):
    """The exit at a worse price; at the market unless it has a limit."""

    stop_price = serializers.CharField()
    limit_price = price_text()


class OrderBody(serializers.Serializer[object]):
    """A new order."""

    symbol = serializers.CharField(help_text="A ticker or an asset id.")
    qty = serializers.CharField(help_text="Whole shares, as a string or a number.")
    side = serializers.ChoiceField(["buy", "sell"])
    type = serializers.ChoiceField(TYPES)
    time_in_force = serializers.ChoiceField(TIMES_IN_FORCE)
    limit_price = price_text()
    stop_price = price_text()
    trail_price = price_text(help_text="How far the stop stays behind, in dollars.")
    trail_percent = price_text(help_text="How far the stop stays behind, in per cent.")
    order_class = serializers.ChoiceField(CLASSES, required=False, allow_null=True)
    take_profit = TakeProfitBody(required=False, allow_null=True)
    stop_loss = StopLossBody(required=False, allow_null=True)
    client_order_id = serializers.CharField(required=False, allow_null=True, max_length=128)


class ReplaceBody(serializers.Serializer[object]):
    """What to change about an order; what is left out stays as it is."""

    qty = serializers.CharField(required=False, help_text="The new total, what has filled included.")
    limit_price = serializers.CharField(required=False)
    stop_price = serializers.CharField(required=False)
    trail = serializers.CharField(required=False, help_text="In dollars or in per cent, as the order has it.")
    time_in_force = serializers.ChoiceField(["day", "gtc"], required=False)
    client_order_id = serializers.CharField(required=False, max_length=128)


def intent_read(account_id: int, body: Mapping[str, Any]) -> OrderIntent:
    """Return the order that a request body describes; what is not offered is refused, never ignored."""
    _offered_check(body)
    if body.get("time_in_force") in (None, ""):
        raise Invalid("time_in_force_required", "time_in_force is required", field="time_in_force")
    intent = intent_make(
        account_id=account_id,
        symbol=symbol_resolve(body.get("symbol")),
        side=body.get("side"),
        order_type=_type_read(body.get("type")),
        quantity=body.get("qty"),
        time_in_force=body.get("time_in_force"),
        price=body.get("limit_price"),
        stop_price=body.get("stop_price"),
        trail_price=body.get("trail_price"),
        trail_percent=body.get("trail_percent"),
        order_class=body.get("order_class"),
        take_profit=_object_read(body, "take_profit"),
        stop_loss=_object_read(body, "stop_loss"),
        client_order_id=body.get("client_order_id"),
    )
    _position_intent_check(body.get("position_intent"), intent)
    return intent


def _offered_check(body: Mapping[str, Any]) -> None:
    for name, why in _NOT_OFFERED.items():
        refuse_given(body, (name,), why)
    if str(body.get("order_class") or "").lower() == "mleg":
        raise Invalid("not_supported", f"order_class mleg: {_NOT_OFFERED['legs']}", field="order_class")
    if str(body.get("extended_hours") or "false").lower() != "false":
        raise Invalid("not_supported", "extended_hours: there is one session a day", field="extended_hours")


def _type_read(given: object) -> object:
    if not isinstance(given, str):
        return given
    if given.lower() not in TYPES:
        raise Invalid("bad_value", f"type must be one of {', '.join(TYPES)}.", field="type")
    return _TYPE_WORDS.get(given.lower(), given)


def _object_read(body: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    given = body.get(name)
    if given is None or isinstance(given, Mapping):
        return given
    raise Invalid("bad_value", f"{name} must be an object.", field=name)


def _position_intent_check(given: object, intent: OrderIntent) -> None:
    allowed = {"BUY": "buy_to_open", "SELL": "sell_to_close"}[intent.side]
    if given in (None, "", allowed):
        return
    if given == "sell_to_open":
        raise Refused("NO_SHORTING", "account is not allowed to short")
    raise Invalid("bad_value", f"position_intent of this order must be {allowed}.", field="position_intent")


def symbol_resolve(given: object) -> object:
    """Return the ticker of an asset id; anything else as it is."""
    public = uuid_try(given)
    if public is None:
        return given
    try:
        return instrument_get_by_public_id(public).symbol
    except NotFound:
        raise Invalid("unknown_symbol", f"could not find us_equity '{public}'", field="symbol") from None


def replace_read(account_id: int, order_id: int, body: Mapping[str, Any]) -> ReplaceIntent:
    """Return the change that a request body describes; null leaves a value as it is."""
    refuse_given(body, ("notional",), _NOT_OFFERED["notional"])
    asked = {name: body.get(name) for name in ("qty", "limit_price", "stop_price", "trail", "time_in_force")}
    if all(value is None for value in asked.values()):
        raise Invalid("nothing_to_change", f"give one of {', '.join(asked)} to change")
    prices = {
        name: None if asked[name] is None else price_parse(asked[name], name)
        for name in ("limit_price", "stop_price", "trail")
    }
    quantity, time_in_force = asked["qty"], asked["time_in_force"]
    return ReplaceIntent(
        account_id=account_id,
        order_id=order_id,
        quantity=None if quantity is None else quantity_parse(quantity),
        price=prices["limit_price"],
        stop_price=prices["stop_price"],
        trail=prices["trail"],
        time_in_force=None if time_in_force is None else time_in_force_parse(time_in_force),
        client_order_id=client_order_id_parse(body.get("client_order_id")),
    )
