"""Assets: what can be traded."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.published.v2.shapes import AssetShape
from apps.api.queries import choice_read, uuid_try, words_read
from apps.api.views import PublishedView
from apps.instruments.selectors import (
    InstrumentView,
    instrument_get,
    instrument_get_by_public_id,
    instrument_list,
)
from apps.orders.wire import ASSET_CLASS
from apps.primitives.errors import NotFound

EXCHANGES = ("AMEX", "ARCA", "BATS", "NYSE", "NASDAQ", "NYSEARCA", "OTC")
"""What published clients accept; their enumeration is closed."""


class AssetCollection(PublishedView):
    """``/v2/assets``"""

    @extend_schema(
        operation_id="assets_list",
        parameters=[
            OpenApiParameter("status", enum=["active", "inactive"]),
            OpenApiParameter("asset_class", default=ASSET_CLASS),
            OpenApiParameter("exchange"),
            OpenApiParameter("attributes", description="Separated by commas."),
        ],
        responses=AssetShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """List the instruments of this exchange."""
        query = request.query_params
        status = choice_read(query, "status", ("active", "inactive", "all"), "all")
        exchange = query.get("exchange", "").upper()
        # No instrument has an attribute yet, and there is one asset class.
        if query.get("asset_class") not in (None, "", ASSET_CLASS) or words_read(query, "attributes"):
            return Response([])
        return Response(
            [
                asset_render(view)
                for view in instrument_list()
                if status in ("all", view.status.lower()) and exchange in ("", exchange_word(view.exchange))
            ]
        )


class AssetItem(PublishedView):
    """``/v2/assets/{symbol_or_asset_id}``"""

    @extend_schema(operation_id="asset_get", responses=AssetShape)
    def get(self, request: Request, symbol_or_asset_id: str) -> Response:
        """Read one instrument by ticker or asset id."""
        public = uuid_try(symbol_or_asset_id)
        try:
            view = instrument_get_by_public_id(public) if public else instrument_get(symbol_or_asset_id)
        except NotFound:
            message = f"asset not found for {symbol_or_asset_id[:40]}"
            raise NotFound("unknown_symbol", message) from None
        return Response(asset_render(view))


def exchange_word(exchange: str) -> str:
    """Return the listing's exchange where published clients know it, else the empty string they accept."""
    return exchange if exchange in EXCHANGES else ""


def asset_render(view: InstrumentView) -> dict[str, Any]:
    """Return an instrument as published."""
    return {
        "id": str(view.public_id),
        "class": ASSET_CLASS,
        "exchange": exchange_word(view.exchange),
        "symbol": view.symbol,
        "name": view.name,
        "status": view.status.lower(),
        "tradable": view.tradable and not view.halted,
        "marginable": False,
        "shortable": False,
        "easy_to_borrow": False,
        "fractionable": False,
        "maintenance_margin_requirement": 100,
        "margin_requirement_long": "100",
        "margin_requirement_short": "100",
        "cusip": None,
        "attributes": [],
        "min_order_size": "1",
        "min_trade_increment": "1",
        "price_increment": format(view.tick.normalize(), "f"),
    }
