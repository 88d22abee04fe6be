"""Positions: list, read, close."""

import time
from decimal import ROUND_DOWN, Decimal
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.errors import error_body, error_status
from apps.api.published.v2.assets import exchange_word
from apps.api.published.v2.orders import (
    order_place,
    order_render,
    orders_cancel_all,
    orders_open,
)
from apps.api.published.v2.shapes import ClosedItemShape, OrderShape, PositionShape
from apps.api.queries import boolean_read, uuid_try
from apps.api.views import PublishedView, caller_of, origin_of
from apps.events.facts import Origin
from apps.instruments.selectors import instrument_get_by_public_id
from apps.orders.intents import OrderIntent, client_order_id_parse
from apps.orders.selectors import held_shares
from apps.orders.wire import ASSET_CLASS, decimal_text, ratio_text
from apps.positions.selectors import PositionView, position_get, position_list
from apps.primitives.errors import BrokerageError, Invalid, NotFound
from apps.primitives.fix import OrderType, Side, TimeInForce
from apps.primitives.money import decimal_parse, quantity_parse

CANCEL_WAIT_S = 1.0
"""How long closing all positions waits for the cancellations it asked for; shares still held stay held."""

_POLL_S = 0.02
_PERCENT_DECIMALS_MAX = 9


class PositionCollection(PublishedView):
    """``/v2/positions``"""

    @extend_schema(operation_id="positions_list", responses=PositionShape(many=True))
    def get(self, request: Request) -> Response:
        """List positions at the last prices."""
        account_id = caller_of(request).account_id
        held = held_shares(account_id)
        return Response([_render(view, held.get(view.symbol, 0)) for view in position_list(account_id)])

    @extend_schema(
        operation_id="positions_close",
        parameters=[OpenApiParameter("cancel_orders", OpenApiTypes.BOOL, default=False)],
        responses={207: ClosedItemShape(many=True)},
    )
    def delete(self, request: Request) -> Response:
        """Sell every position at the market, after cancelling open orders when asked to."""
        account_id, origin = caller_of(request).account_id, origin_of(request)
        if boolean_read(request.query_params, "cancel_orders"):
            orders_cancel_all(account_id, origin)
            _cancels_await(account_id)
        items = [_close_item(account_id, view, origin) for view in position_list(account_id)]
        return Response(items, status=207)


class PositionItem(PublishedView):
    """``/v2/positions/{symbol_or_asset_id}``"""

    @extend_schema(operation_id="position_get", responses=PositionShape)
    def get(self, request: Request, symbol_or_asset_id: str) -> Response:
        """Read one position at the last price."""
        view = _position_read(request, symbol_or_asset_id)
        held = held_shares(caller_of(request).account_id)
        return Response(_render(view, held.get(view.symbol, 0)))

    @extend_schema(
        operation_id="position_close",
        parameters=[OpenApiParameter("qty"), OpenApiParameter("percentage")],
        responses={200: OrderShape},
    )
    def delete(self, request: Request, symbol_or_asset_id: str) -> Response:
        """Sell a position at the market: all of it, a quantity or a percentage (rounded down)."""
        view = _position_read(request, symbol_or_asset_id)
        quantity = _quantity_read(request, view.quantity)
        intent = _closing_intent(caller_of(request).account_id, view.symbol, quantity)
        return Response(order_render(order_place(intent, origin_of(request))))


def _position_read(request: Request, symbol_or_asset_id: str) -> PositionView:
    public = uuid_try(symbol_or_asset_id)
    try:
        symbol = instrument_get_by_public_id(public).symbol if public else symbol_or_asset_id.upper()
    except NotFound:
        raise NotFound("no_position", "position does not exist") from None
    return position_get(caller_of(request).account_id, symbol)


def _quantity_read(request: Request, owned: int) -> int:
    qty, percentage = (request.query_params.get(name, "") for name in ("qty", "percentage"))
    if qty and percentage:
        raise Invalid("bad_value", "give qty or percentage, not both", field="percentage")
    if qty:
        return quantity_parse(qty)
    if not percentage:
        return owned
    share = decimal_parse(percentage, "percentage")
    if not 0 < share <= 100 or share != round(share, _PERCENT_DECIMALS_MAX):
        raise Invalid(
            "bad_value",
            "percentage must be above 0 and at most 100, with at most 9 decimals",
            field="percentage",
        )
    quantity = int((owned * share / 100).to_integral_value(ROUND_DOWN))
    if not quantity:
        raise Invalid("bad_quantity", f"{percentage}% of {owned} is less than one share", field="percentage")
    return quantity


def _closing_intent(account_id: int, symbol: str, quantity: int) -> OrderIntent:
    return OrderIntent(
        account_id=account_id,
        symbol=symbol,
        side=Side.SELL,
        order_type=OrderType.MARKET,
        quantity=quantity,
        time_in_force=TimeInForce.DAY,
        price=None,
        client_order_id=client_order_id_parse(None),
    )


def _cancels_await(account_id: int) -> None:
    deadline = time.monotonic() + CANCEL_WAIT_S
    while next(orders_open(account_id), None) is not None and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _close_item(account_id: int, view: PositionView, origin: Origin) -> dict[str, Any]:
    try:
        order = order_place(_closing_intent(account_id, view.symbol, view.quantity), origin)
    except BrokerageError as error:
        return {"symbol": view.symbol, "status": error_status(error), "body": error_body(error)}
    return {"symbol": view.symbol, "status": 200, "body": order_render(order)}


def _render(view: PositionView, held: int) -> dict[str, Any]:
    return {
        "asset_id": str(view.instrument.public_id),
        "symbol": view.symbol,
        "exchange": exchange_word(view.instrument.exchange),
        "asset_class": ASSET_CLASS,
        "asset_marginable": False,
        "qty": str(view.quantity),
        "qty_available": str(view.quantity - held),
        "avg_entry_price": decimal_text(view.average_cost),
        "side": "long",
        "market_value": decimal_text(view.market_value),
        "cost_basis": decimal_text(view.cost_basis),
        "unrealized_pl": decimal_text(view.unrealized_pnl),
        "unrealized_plpc": ratio_text(view.unrealized_pnl, view.cost_basis),
        "unrealized_intraday_pl": decimal_text(view.day_pnl),
        "unrealized_intraday_plpc": ratio_text(view.day_pnl, view.market_value - view.day_pnl),
        "current_price": decimal_text(view.last),
        "lastday_price": decimal_text(view.prev_close),
        "change_today": ratio_text(view.last - view.prev_close, Decimal(view.prev_close)),
    }
