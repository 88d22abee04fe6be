"""News: this exchange publishes none, and says so in the form that clients read."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.published.v2.stock_queries import StockView
from apps.api.published.v2.stock_shapes import NewsShape
from apps.api.queries import choice_read, instant_read, integer_read, words_read

LIMIT_DEFAULT, LIMIT_MAX = 10, 50


class News(StockView):
    """``/v1beta1/news``"""

    @extend_schema(
        operation_id="news_list",
        parameters=[
            OpenApiParameter("symbols", description="Separated by commas."),
            OpenApiParameter("start", OpenApiTypes.DATETIME),
            OpenApiParameter("end", OpenApiTypes.DATETIME),
            OpenApiParameter("limit", OpenApiTypes.INT, default=LIMIT_DEFAULT),
            OpenApiParameter("sort", enum=["asc", "desc"], default="desc"),
        ],
        responses=NewsShape,
    )
    def get(self, request: Request) -> Response:
        """List news: there are none."""
        query = request.query_params
        instant_read(query, "start"), instant_read(query, "end"), words_read(query, "symbols")
        integer_read(query, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX)
        choice_read(query, "sort", ("asc", "desc"), "desc")
        return Response({"news": [], "next_page_token": None})
