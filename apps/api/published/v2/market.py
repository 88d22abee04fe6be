"""The market's clock and calendar, in the exchange's local time."""

from datetime import date, timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.published.v2.shapes import CalendarDayShape, ClockShape
from apps.api.queries import choice_read, date_read
from apps.api.sessions import TradingDay, calendar_last, trading_days
from apps.api.views import PublishedView
from apps.instruments.calendar import EXCHANGE_ZONE, exchange_date
from apps.instruments.selectors import market_clock
from apps.primitives.clock import utc_now
from apps.primitives.errors import Invalid

RANGE_DAYS_DEFAULT = 366
RANGE_DAYS_MAX = 366 * 3


class Clock(PublishedView):
    """``/v2/clock``"""

    @extend_schema(operation_id="clock_get", responses=ClockShape)
    def get(self, request: Request) -> Response:
        """Say whether the market is open; while it is, ``next_open`` is the following session's."""
        clock = market_clock()
        return Response(
            {
                "timestamp": clock.timestamp.astimezone(EXCHANGE_ZONE).isoformat(),
                "is_open": clock.is_open,
                "next_open": clock.next_open.astimezone(EXCHANGE_ZONE).isoformat(),
                "next_close": clock.next_close.astimezone(EXCHANGE_ZONE).isoformat(),
            }
        )


class Calendar(PublishedView):
    """``/v2/calendar``"""

    @extend_schema(
        operation_id="calendar_list",
        parameters=[
            OpenApiParameter("start", OpenApiTypes.DATE),
            OpenApiParameter("end", OpenApiTypes.DATE),
            OpenApiParameter("date_type", enum=["TRADING", "SETTLEMENT"], default="TRADING"),
        ],
        responses=CalendarDayShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """List trading days, by default a year back and all that are known ahead."""
        start, end = _range_read(request)
        by = choice_read(request.query_params, "date_type", ("trading", "settlement"), "trading")
        if by == "trading":
            return Response([_render(day) for day in trading_days(start, end)])
        days = trading_days(start - timedelta(days=14), end)
        return Response([_render(day) for day in days if start <= day.settlement_date <= end])


def _range_read(request: Request) -> tuple[date, date]:
    query = request.query_params
    start, end = date_read(query, "start"), date_read(query, "end")
    if start is None:
        start = (end or exchange_date(utc_now())) - timedelta(days=RANGE_DAYS_DEFAULT)
    if end is None:
        end = min(calendar_last(), start + timedelta(days=RANGE_DAYS_MAX))
    if start > end:
        raise Invalid("bad_value", "start must not be after end", field="start")
    if (end - start).days > RANGE_DAYS_MAX:
        raise Invalid("bad_value", "start and end may be at most three years apart", field="end")
    return start, end


def _render(day: TradingDay) -> dict[str, Any]:
    whole = {"session_open": day.open.replace(":", ""), "session_close": day.close.replace(":", "")}
    return {
        "date": day.trade_date.isoformat(),
        "open": day.open,
        "close": day.close,
        **whole,
        "settlement_date": day.settlement_date.isoformat(),
    }
