"""Screeners: the shares traded most today, and those whose prices moved most."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.published.v2.stock_queries import StockView
from apps.api.published.v2.stock_shapes import MostActivesShape, MoversShape
from apps.api.queries import choice_read, integer_read
from apps.instruments.selectors import InstrumentView, instruments_active
from apps.marketdata.paging import days_active
from apps.primitives.clock import iso, utc_now

TOP_DEFAULT = 10
ACTIVES_MAX, MOVERS_MAX = 100, 50
_CENT = Decimal("0.01")


def _top(highest: int) -> OpenApiParameter:
    return OpenApiParameter(
        "top", OpenApiTypes.INT, default=TOP_DEFAULT, description=f"How many, at most {highest}."
    )


class MostActives(StockView):
    """``/v1beta1/screener/stocks/most-actives``"""

    @extend_schema(
        operation_id="screener_most_actives",
        parameters=[
            OpenApiParameter("by", enum=["volume", "trades"], default="volume"),
            _top(ACTIVES_MAX),
        ],
        responses=MostActivesShape,
    )
    def get(self, request: Request) -> Response:
        """List the shares traded most on the newest day on which any was traded."""
        by = choice_read(request.query_params, "by", ("volume", "trades"), "volume")
        top = integer_read(request.query_params, "top", TOP_DEFAULT, 1, ACTIVES_MAX)
        days = days_active([view.symbol for view in instruments_active()])
        counts = {
            symbol: bar.volume if by == "volume" else bar.trade_count or 0 for symbol, bar in days.items()
        }
        rows = [
            {"symbol": symbol, "volume": days[symbol].volume, "trade_count": days[symbol].trade_count or 0}
            for symbol in sorted(days, key=lambda symbol: (-counts[symbol], symbol))[:top]
        ]
        return Response({"most_actives": rows, "last_updated": iso(utc_now())})


class Movers(StockView):
    """``/v1beta1/screener/stocks/movers``"""

    @extend_schema(operation_id="screener_movers", parameters=[_top(MOVERS_MAX)], responses=MoversShape)
    def get(self, request: Request) -> Response:
        """List the shares whose last price rose and fell most, in per cent, since the session before."""
        top = integer_read(request.query_params, "top", TOP_DEFAULT, 1, MOVERS_MAX)
        moved = sorted(
            (row for view in instruments_active() if (row := _mover(view))),
            key=lambda row: (row["percent_change"], row["symbol"]),
        )
        return Response(
            {
                "gainers": [row for row in reversed(moved) if row["change"] > 0][:top],
                "losers": [row for row in moved if row["change"] < 0][:top],
                "market_type": "stocks",
                "last_updated": iso(utc_now()),
            }
        )


def _mover(view: InstrumentView) -> dict[str, Any] | None:
    if not view.change or not view.prev_close:
        return None
    percent = (view.change * 100 / view.prev_close).quantize(_CENT, ROUND_HALF_EVEN)
    return {
        "symbol": view.symbol,
        "percent_change": percent,
        "change": view.change,
        "price": view.last_price,
    }
