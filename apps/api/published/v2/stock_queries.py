"""What requests for market data share: their parameters, their answers' numbers, and how they are refused."""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.page_tokens import token_read
from apps.api.queries import choice_read, date_read, instant_read, integer_read, words_read
from apps.api.renderers import NumbersRenderer
from apps.api.views import PublishedView
from apps.instruments.calendar import EXCHANGE_ZONE
from apps.instruments.selectors import instrument_get, instrument_list
from apps.marketdata.paging import LIMIT_MAX, Walk
from apps.marketdata.venue import tape_of
from apps.primitives.clock import utc_now
from apps.primitives.errors import Invalid

LIMIT_DEFAULT = 1_000
SYMBOLS_MAX = 100
FEEDS = ("iex", "sip", "otc", "boats", "overnight", "delayed_sip")
ADJUSTMENTS = ("raw", "split", "dividend", "all")
ASOF_NONE = "-"
"""Published clients ask so for symbols as they are named today."""

MALFORMED = 40010000
_TIMES = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

SYMBOLS = OpenApiParameter(
    "symbols",
    required=True,
    description=f"At most {SYMBOLS_MAX}, separated by commas; unknown ones are absent.",
)
FEED = OpenApiParameter("feed", enum=FEEDS, description="Every feed is this exchange's own tape.")
CURRENCY = OpenApiParameter("currency", enum=["USD"], default="USD")
WALK = [
    OpenApiParameter("start", OpenApiTypes.DATETIME, description="Included; the start of today in New York."),
    OpenApiParameter("end", OpenApiTypes.DATETIME, description="Included; now."),
    OpenApiParameter(
        "limit",
        OpenApiTypes.INT,
        default=LIMIT_DEFAULT,
        description=f"Items of a page over all symbols, at most {LIMIT_MAX}. A page may have fewer though "
        "more follow: only a ``next_page_token`` of null ends the list.",
    ),
    OpenApiParameter("sort", enum=["asc", "desc"], default="asc", description="Of times, within a symbol."),
    OpenApiParameter("page_token", description="The ``next_page_token`` of the page before."),
    OpenApiParameter("asof", description="A day; no ticker has been renamed."),
    FEED,
    CURRENCY,
]


class StockView(PublishedView):
    """Base of the market data: any valid key may read it.

    A value that cannot be read is 400, one that is read and not to be had 422.
    """

    renderer_classes = [NumbersRenderer]

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if isinstance(exc, Invalid) and exc.reason == "bad_value":
            response.status_code, response.data["code"] = 400, MALFORMED
        return response


def symbols_read(query: QueryDict) -> dict[str, str]:
    """Return the listed ones of the symbols asked for, in order, each with its tape."""
    words = sorted({word.upper() for word in words_read(query, "symbols")})
    if not words:
        raise Invalid("symbols_required", "symbols is required", field="symbols")
    if len(words) > SYMBOLS_MAX:
        raise Invalid("too_many_symbols", f"symbols takes at most {SYMBOLS_MAX}", field="symbols")
    return {view.symbol: tape_of(view.exchange) for view in instrument_list(words)}


def symbol_read(symbol: str) -> dict[str, str]:
    """Return one listed symbol with its tape; raises ``NotFound``."""
    view = instrument_get(symbol)
    return {view.symbol: tape_of(view.exchange)}


def common_read(request: Request) -> None:
    """Check what changes nothing here: there is one feed, one currency, and no ticker was renamed."""
    choice_read(request.query_params, "feed", FEEDS, "sip")
    choice_read(request.query_params, "currency", ("usd",), "usd")
    if request.query_params.get("asof") != ASOF_NONE:
        date_read(request.query_params, "asof")


def walk_read(request: Request, symbols: Sequence[str], question: str) -> Walk:
    """Return the walk that a request begins or goes on with; its token must be of this ``question``."""
    common_read(request)
    query = request.query_params
    direction = choice_read(query, "sort", ("asc", "desc"), "asc")
    token = token_read(query.get("page_token", ""), question_of(question, symbols), direction)
    start, end = _time_read(query, "start"), _time_read(query, "end")
    if token and (start or token.start, end or token.end) != (token.start, token.end):
        raise Invalid("bad_value", "page_token is of a walk with another start or end", field="page_token")
    end = end or (token.end if token else utc_now())
    start = start or (token.start if token else _day_start(min(end, utc_now())))
    if start > end:
        raise Invalid("bad_value", "start must not be after end", field="start")
    return Walk(
        symbols=tuple(symbols),
        start=start,
        end=end,
        direction="desc" if direction == "desc" else "asc",
        limit=integer_read(query, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX),
        position=token.position if token else None,
    )


def question_of(question: str, symbols: Sequence[str]) -> str:
    """Return what a token is bound to: the question and, in short, the symbols it is asked of."""
    return f"{question} {zlib.crc32(','.join(symbols).encode()):08x}"


def _time_read(query: QueryDict, name: str) -> datetime | None:
    instant = instant_read(query, name)
    return instant and min(max(instant, _TIMES[0]), _TIMES[1]).astimezone(UTC)


def _day_start(instant: datetime) -> datetime:
    local = instant.astimezone(EXCHANGE_ZONE)
    return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def grouped(rows: Sequence[tuple[str, Any]], render: Any) -> dict[str, list[dict[str, Any]]]:
    """Return a page's rows by symbol, in the page's order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for symbol, row in rows:
        found.setdefault(symbol, []).append(render(symbol, row))
    return found
