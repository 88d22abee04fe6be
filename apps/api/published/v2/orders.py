"""Orders: submit, list, read, replace, cancel."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.errors import error_body, error_status
from apps.api.published.v2.shapes import CancelledItemShape, OrderShape
from apps.api.queries import (
    body_object,
    boolean_read,
    choice_read,
    instant_read,
    integer_read,
    refuse_given,
    uuid_read,
    uuid_try,
    words_read,
)
from apps.api.views import PublishedView, caller_of, origin_of
from apps.events.facts import Origin
from apps.instruments.selectors import asset_id_of, instrument_get_by_public_id
from apps.orders.intents import (
    OrderIntent,
    ReplaceIntent,
    client_order_id_parse,
    intent_make,
    time_in_force_parse,
)
from apps.orders.selectors import (
    LIST_MAX,
    OrderView,
    held_shares,
    order_get,
    order_get_by_client_id,
    order_list,
)
from apps.orders.services.changes import order_cancel, order_replace
from apps.orders.services.entry import order_submit
from apps.orders.wire import ASSET_CLASS, order_wire
from apps.positions.selectors import position_quantity
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError, Invalid, NotFound, Refused
from apps.primitives.ids import EPOCH, Kind, public_id_decode
from apps.primitives.money import price_parse, quantity_parse

LIMIT_DEFAULT = 50
CANCEL_PAGES_MAX = 20
"""Cancel-all reads the open orders in pages of 500 and stops after 10,000."""

_UNCHANGEABLE = "only qty, limit_price, time_in_force and client_order_id can change"
_LATER = "is not offered yet; send a simple market or limit order"
_UNUSED = (
    "stop_price",
    "trail_price",
    "trail_percent",
    "take_profit",
    "stop_loss",
    "legs",
    "advanced_instructions",
)


class OrderCollection(PublishedView):
    """``/v2/orders``"""

    class InputSerializer(serializers.Serializer[object]):
        symbol = serializers.CharField(help_text="A ticker or an asset id.")
        qty = serializers.CharField(help_text="Whole shares, as a string or a number.")
        side = serializers.ChoiceField(["buy", "sell"])
        type = serializers.ChoiceField(["market", "limit"])
        time_in_force = serializers.ChoiceField(["day", "gtc", "ioc", "fok"])
        limit_price = serializers.CharField(required=False, allow_null=True)
        client_order_id = serializers.CharField(required=False, allow_null=True, max_length=128)

    @extend_schema(
        operation_id="orders_list",
        parameters=[
            OpenApiParameter("status", enum=["open", "closed", "all"], default="open"),
            OpenApiParameter("limit", OpenApiTypes.INT, default=LIMIT_DEFAULT),
            OpenApiParameter("after", OpenApiTypes.DATETIME),
            OpenApiParameter("until", OpenApiTypes.DATETIME),
            OpenApiParameter("direction", enum=["asc", "desc"], default="desc"),
            OpenApiParameter("symbols", description="Separated by commas."),
            OpenApiParameter("side", enum=["buy", "sell"]),
            OpenApiParameter("before_order_id", OpenApiTypes.UUID),
            OpenApiParameter("after_order_id", OpenApiTypes.UUID),
        ],
        responses=OrderShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """List orders by submission time; ``after`` and ``until`` are exclusive."""
        return Response(orders_render(_orders_read(request)))

    @extend_schema(operation_id="order_submit", request=InputSerializer, responses=OrderShape)
    def post(self, request: Request) -> Response:
        """Submit an order; the answer means that it is durable, not that it has traded."""
        intent = intent_read(caller_of(request).account_id, body_object(request.data))
        return Response(order_render(order_place(intent, origin_of(request))))

    @extend_schema(operation_id="orders_cancel", responses={207: CancelledItemShape(many=True)})
    def delete(self, request: Request) -> Response:
        """Request the cancellation of every open order."""
        return Response(orders_cancel_all(caller_of(request).account_id, origin_of(request)), status=207)


class OrderItem(PublishedView):
    """``/v2/orders/{order_id}``"""

    class InputSerializer(serializers.Serializer[object]):
        qty = serializers.CharField(required=False, help_text="The new total, what has filled included.")
        limit_price = serializers.CharField(required=False)
        time_in_force = serializers.ChoiceField(["day", "gtc", "ioc", "fok"], required=False)
        client_order_id = serializers.CharField(required=False, max_length=128)

    @extend_schema(operation_id="order_get", responses=OrderShape)
    def get(self, request: Request, order_id: str) -> Response:
        """Read one order."""
        boolean_read(request.query_params, "nested")
        return Response(order_render(order_get(caller_of(request).account_id, order_number(order_id))))

    @extend_schema(operation_id="order_replace", request=InputSerializer, responses=OrderShape)
    def patch(self, request: Request, order_id: str) -> Response:
        """Request a replacement; it gets an id of its own."""
        number = order_number(order_id)
        intent = replace_read(caller_of(request).account_id, number, body_object(request.data))
        return Response(order_render(order_replace(intent, origin_of(request))))

    @extend_schema(operation_id="order_cancel", responses={204: None})
    def delete(self, request: Request, order_id: str) -> Response:
        """Request a cancellation; the event tells what became of it."""
        order_cancel(caller_of(request).account_id, order_number(order_id), origin_of(request))
        return Response(status=204)


class OrderByClientId(PublishedView):
    """``/v2/orders:by_client_order_id``"""

    @extend_schema(
        operation_id="order_get_by_client_order_id",
        parameters=[OpenApiParameter("client_order_id", required=True)],
        responses=OrderShape,
    )
    def get(self, request: Request) -> Response:
        """Read the order that used a client order id."""
        client_order_id = request.query_params.get("client_order_id", "")
        if not client_order_id:
            raise Invalid("client_order_id_required", "client_order_id is required", field="client_order_id")
        return Response(order_render(order_get_by_client_id(caller_of(request).account_id, client_order_id)))


def order_render(view: OrderView) -> dict[str, Any]:
    """Return one order as published."""
    return orders_render([view])[0]


def orders_render(views: Sequence[OrderView]) -> list[dict[str, Any]]:
    """Return orders as published."""
    return [order_wire(view, asset_id_of(view.symbol)) for view in views]


def order_number(text: str) -> int:
    """Return the id behind a published order id; raises ``Invalid`` or ``NotFound``."""
    public = uuid_read(text, "order_id")
    try:
        return public_id_decode(Kind.ORDER, public)
    except NotFound:
        raise NotFound("unknown_order", f"order not found for {public}") from None


def order_place(intent: OrderIntent, origin: Origin) -> OrderView:
    """Submit an order, wording its refusals as the protocol does."""
    try:
        return order_submit(intent, origin)
    except NotFound as error:
        if error.reason != "unknown_symbol":
            raise
        raise Invalid(error.reason, error.message, **error.details) from None
    except Refused as error:
        if error.reason == "INSUFFICIENT_SHARES":
            held = held_shares(intent.account_id).get(intent.symbol, 0)
            owned = position_quantity(intent.account_id, intent.symbol)
            error.details.update(existing_qty=str(owned), held_for_orders=str(held))
        raise


def intent_read(account_id: int, body: Mapping[str, Any]) -> OrderIntent:
    """Return the order that a request body describes; what is not offered is refused, never ignored."""
    refuse_given(body, ("notional",), "orders are in whole shares; send qty")
    refuse_given(body, _UNUSED, _LATER)
    if str(body.get("order_class") or "simple").lower() != "simple":
        raise Invalid("not_supported", f"order_class {_LATER}", field="order_class")
    if str(body.get("extended_hours") or "false").lower() != "false":
        raise Invalid("not_supported", "extended_hours: there is one session a day", field="extended_hours")
    if body.get("time_in_force") in (None, ""):
        raise Invalid("time_in_force_required", "time_in_force is required", field="time_in_force")
    intent = intent_make(
        account_id=account_id,
        symbol=symbol_resolve(body.get("symbol")),
        side=body.get("side"),
        order_type=body.get("type"),
        quantity=body.get("qty"),
        time_in_force=body.get("time_in_force"),
        price=body.get("limit_price"),
        client_order_id=body.get("client_order_id"),
    )
    _position_intent_check(body.get("position_intent"), intent)
    return intent


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
    refuse_given(body, ("stop_price", "trail", "notional"), _UNCHANGEABLE)
    quantity, price, time_in_force = (body.get(name) for name in ("qty", "limit_price", "time_in_force"))
    if quantity is None and price is None and time_in_force is None:
        raise Invalid("nothing_to_change", "give a qty, a limit_price or a time_in_force to change")
    return ReplaceIntent(
        account_id=account_id,
        order_id=order_id,
        quantity=None if quantity is None else quantity_parse(quantity),
        price=None if price is None else price_parse(price, "limit_price"),
        time_in_force=None if time_in_force is None else time_in_force_parse(time_in_force),
        client_order_id=client_order_id_parse(body.get("client_order_id")),
    )


def orders_open(account_id: int) -> Iterator[OrderView]:
    """Yield an account's open orders, newest first, page by page."""
    until = None
    for _ in range(CANCEL_PAGES_MAX):
        page = order_list(account_id, status="open", limit=LIST_MAX, until=until)
        yield from page
        if len(page) < LIST_MAX:
            return
        until = page[-1].created_at


def orders_cancel_all(account_id: int, origin: Origin) -> list[dict[str, Any]]:
    """Request the cancellation of every open order and say for each how that went."""
    return [_cancel_item(view, origin) for view in list(orders_open(account_id))]


def _cancel_item(view: OrderView, origin: Origin) -> dict[str, Any]:
    item: dict[str, Any] = {"id": str(view.public_id), "status": 200}
    try:
        order_cancel(view.account_id, view.order_id, origin)
    except BrokerageError as error:
        item |= {"status": error_status(error), "body": error_body(error)}
    return item


def _orders_read(request: Request) -> list[OrderView]:
    query, account_id = request.query_params, caller_of(request).account_id
    status = choice_read(query, "status", ("open", "closed", "all"), "open")
    limit = integer_read(query, "limit", LIMIT_DEFAULT, 1, LIST_MAX)
    direction = choice_read(query, "direction", ("asc", "desc"), "desc")
    side = choice_read(query, "side", ("buy", "sell", "both"), "both")
    boolean_read(query, "nested")
    after, until = _window_read(request)
    if (asset_classes := words_read(query, "asset_class")) and ASSET_CLASS not in asset_classes:
        return []
    return order_list(
        account_id,
        status=status,
        limit=limit,
        symbols=[word.upper() for word in words_read(query, "symbols")],
        after=after,
        until=until,
        side=None if side == "both" else side.upper(),
        direction=direction,
    )


def _window_read(request: Request) -> tuple[datetime | None, datetime | None]:
    query = request.query_params
    after, until = instant_read(query, "after"), instant_read(query, "until")
    account_id = caller_of(request).account_id
    if text := query.get("after_order_id"):
        after = order_get(account_id, order_number(text)).created_at
    if text := query.get("before_order_id"):
        until = order_get(account_id, order_number(text)).created_at
    # Ids begin in 2020 and end with now: a bound beyond that bounds nothing.
    if after is not None and after < EPOCH:
        after = None
    if until is not None and until > utc_now() + timedelta(days=1):
        until = None
    return after, max(until, EPOCH) if until else None
