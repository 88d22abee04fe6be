"""Corporate actions: none has happened yet, and clients are told so in the form that they read."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.published.v2.stock_queries import StockView
from apps.api.published.v2.stock_shapes import CorporateActionsShape
from apps.api.queries import choice_read, date_read, integer_read, words_read

LIMIT_DEFAULT, LIMIT_MAX = 100, 1_000


class CorporateActions(StockView):
    """``/v1/corporate-actions``"""

    @extend_schema(
        operation_id="corporate_actions_list",
        parameters=[
            OpenApiParameter("symbols", description="Separated by commas."),
            OpenApiParameter("types", description="Separated by commas."),
            OpenApiParameter("start", OpenApiTypes.DATE),
            OpenApiParameter("end", OpenApiTypes.DATE),
            OpenApiParameter("limit", OpenApiTypes.INT, default=LIMIT_DEFAULT),
            OpenApiParameter("sort", enum=["asc", "desc"], default="asc"),
        ],
        responses=CorporateActionsShape,
    )
    def get(self, request: Request) -> Response:
        """List corporate actions: there are none."""
        query = request.query_params
        for name in ("symbols", "types", "cusips", "ids"):
            words_read(query, name)
        date_read(query, "start"), date_read(query, "end")
        integer_read(query, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX)
        choice_read(query, "sort", ("asc", "desc"), "asc")
        return Response({"corporate_actions": {}, "next_page_token": None})
