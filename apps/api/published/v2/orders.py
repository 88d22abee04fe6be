"""Orders: submit, list, read, replace, cancel."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.errors import error_body, error_status
from apps.api.published.v2.order_bodies import (
    OrderBody,
    ReplaceBody,
    intent_read,
    replace_read,
)
from apps.api.published.v2.shapes import CancelledItemShape, OrderShape
from apps.api.queries import (
    body_object,
    boolean_read,
    choice_read,
    instant_read,
    integer_read,
    uuid_read,
    words_read,
)
from apps.api.views import PublishedView, caller_of, origin_of
from apps.events.facts import Origin
from apps.instruments.selectors import asset_id_of
from apps.orders.intents import OrderIntent
from apps.orders.selectors import (
    LIST_MAX,
    OrderView,
    held_shares,
    legs_of,
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

LIMIT_DEFAULT = 50
CANCEL_PAGES_MAX = 20
"""Cancel-all reads the open orders in pages of 500 and stops after 10,000."""

NESTED = OpenApiParameter(
    "nested", OpenApiTypes.BOOL, default=False, description="Show the other orders of a group in ``legs``."
)


class OrderCollection(PublishedView):
    """``/v2/orders``"""

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
            NESTED,
        ],
        responses=OrderShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """List orders by submission time; ``after`` and ``until`` are exclusive."""
        nested = boolean_read(request.query_params, "nested")
        return Response(orders_render(_orders_read(request, nested), nested=nested))

    @extend_schema(operation_id="order_submit", request=OrderBody, responses=OrderShape)
    def post(self, request: Request) -> Response:
        """Submit an order; the answer means that it is durable, not that it has traded."""
        intent = intent_read(caller_of(request).account_id, body_object(request.data))
        return Response(order_render(order_place(intent, origin_of(request)), nested=True))

    @extend_schema(operation_id="orders_cancel", responses={207: CancelledItemShape(many=True)})
    def delete(self, request: Request) -> Response:
        """Request the cancellation of every open order."""
        return Response(orders_cancel_all(caller_of(request).account_id, origin_of(request)), status=207)


class OrderItem(PublishedView):
    """``/v2/orders/{order_id}``"""

    @extend_schema(operation_id="order_get", parameters=[NESTED], responses=OrderShape)
    def get(self, request: Request, order_id: str) -> Response:
        """Read one order."""
        nested = boolean_read(request.query_params, "nested")
        view = order_get(caller_of(request).account_id, order_number(order_id))
        return Response(order_render(view, nested=nested))

    @extend_schema(operation_id="order_replace", request=ReplaceBody, responses=OrderShape)
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


def order_render(view: OrderView, *, nested: bool = False) -> dict[str, Any]:
    """Return one order as published; ``nested`` puts the rest of its group into ``legs``."""
    return orders_render([view], nested=nested)[0]


def orders_render(views: Sequence[OrderView], *, nested: bool = False) -> list[dict[str, Any]]:
    """Return orders as published; ``nested`` puts the legs of each group's first order inside it."""
    legs = legs_of(views) if nested else {}
    return [_render(view, legs.get(view.order_id)) for view in views]


def _render(view: OrderView, legs: Sequence[OrderView] | None) -> dict[str, Any]:
    asset_id = asset_id_of(view.symbol)
    return order_wire(view, asset_id, [order_wire(leg, asset_id) for leg in legs] if legs else None)


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


def orders_open(account_id: int) -> Iterator[OrderView]:
    """Yield an account's open orders, newest first, page by page."""
    before_id = None
    for _ in range(CANCEL_PAGES_MAX):
        page = order_list(account_id, status="open", limit=LIST_MAX, before_id=before_id)
        yield from page
        if len(page) < LIST_MAX:
            return
        before_id = page[-1].order_id


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


def _orders_read(request: Request, nested: bool) -> list[OrderView]:
    query, account_id = request.query_params, caller_of(request).account_id
    status = choice_read(query, "status", ("open", "closed", "all"), "open")
    limit = integer_read(query, "limit", LIMIT_DEFAULT, 1, LIST_MAX)
    direction = choice_read(query, "direction", ("asc", "desc"), "desc")
    side = choice_read(query, "side", ("buy", "sell", "both"), "both")
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
        nested=nested,
        before_id=_cursor_read(request, "before_order_id"),
        after_id=_cursor_read(request, "after_order_id"),
    )


def _cursor_read(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    return order_get(caller_of(request).account_id, order_number(text)).order_id if text else None


def _window_read(request: Request) -> tuple[datetime | None, datetime | None]:
    query = request.query_params
    after, until = instant_read(query, "after"), instant_read(query, "until")
    # Ids begin in 2020 and end with now: a bound beyond that bounds nothing.
    tomorrow = utc_now() + timedelta(days=1)
    if after is not None:
        after = None if after < EPOCH else min(after, tomorrow)
    if until is not None and until > tomorrow:
        until = None
    return after, max(until, EPOCH) if until else None
