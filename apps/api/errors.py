"""Every refusal as the published protocol words it: an HTTP status, an integer code and a sentence."""

import logging
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework import exceptions
from rest_framework.response import Response

from apps.api.headers import headers_add
from apps.primitives.errors import BrokerageError, Conflict, Invalid, NotFound, Refused, Unavailable
from apps.primitives.ids import Kind, public_id

logger = logging.getLogger(__name__)

API_PREFIXES = ("/v1", "/v2", "/v3", "/v1beta1", "/api")
RETRY_AFTER_S = 1
READ_ONLY, TIMED_OUT = "25006", "25P04"
"""SQLSTATE read_only_sql_transaction, which Django counts among its internal errors."""

UNPROCESSABLE = 42210000
PARAMETER = 40010001
_STATUS: dict[type[BrokerageError], tuple[int, int]] = {
    Invalid: (422, PARAMETER),
    Refused: (403, 40310000),
    NotFound: (404, 40410000),
    Conflict: (422, UNPROCESSABLE),
    Unavailable: (503, 50310000),
}
_CODE_OF_REASON = {
    "TICK": UNPROCESSABLE,
    "NOT_TRADABLE": UNPROCESSABLE,
    "ORDER_TOO_LARGE": UNPROCESSABLE,
    "fractional_quantity": UNPROCESSABLE,
    "not_replaceable": UNPROCESSABLE,
    "not_supported": UNPROCESSABLE,
    "STOP_PRICE": UNPROCESSABLE,
    "ORDER_CLASS": UNPROCESSABLE,
    "LEG_PRICE": UNPROCESSABLE,
    "auction_closed": UNPROCESSABLE,
    "no_auctions": UNPROCESSABLE,
    "duplicate_client_order_id": PARAMETER,
}
"""Where the protocol's code follows from the reason rather than from the class."""

_BUSY_MESSAGE = (
    "the system cannot answer now. "
    "If this was an order, look it up by its client_order_id before you send it again."
)
_AWAY_MESSAGE = (
    "The books are out of reach for a moment. If this was an order, look for it in the blotter before you "
    "send it again."
)


def error_status(error: BrokerageError) -> int:
    """Return the HTTP status of a refusal."""
    return next(status for kind, (status, _) in _STATUS.items() if isinstance(error, kind))


def error_body(error: BrokerageError) -> dict[str, Any]:
    """Return a refusal as published: code, sentence, our stable reason and the figures behind it."""
    code = next(code for kind, (_, code) in _STATUS.items() if isinstance(error, kind))
    details = {name: _detail(name, value) for name, value in error.details.items()}
    return {
        "code": _CODE_OF_REASON.get(error.reason, code),
        "message": error.message,
        "reason": error.reason,
        **details,
    }


def _detail(name: str, value: Any) -> Any:
    if name == "existing_order_id":
        return str(public_id(Kind.ORDER, value))
    return value if value is None or isinstance(value, bool | int) else str(value)


def exception_handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn whatever a view raised into an answer; None leaves the unexpected to the 500 handler."""
    if isinstance(error, BrokerageError):
        return _retryable(Response(error_body(error), status=error_status(error)))
    if isinstance(error, exceptions.APIException):
        return _framework_answer(error)
    if database_is_away(error):
        logger.error("the database does not answer: %s", error)
        body = {"code": 50310000, "message": _BUSY_MESSAGE, "reason": "unavailable"}
        return _retryable(Response(body, status=503))
    return None


def database_is_away(error: Exception) -> bool:
    """Return whether the same may succeed soon: no server answers, or it may not be written or took long."""
    is_passing = getattr(error.__cause__, "sqlstate", None) in (READ_ONLY, TIMED_OUT)
    return is_passing or isinstance(error, OperationalError | InterfaceError)


def _retryable(response: Response) -> Response:
    if response.status_code == 503:
        response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _framework_answer(error: exceptions.APIException) -> Response:
    status = error.status_code
    message = str(error.detail)
    if isinstance(error, exceptions.NotAuthenticated):
        message = "request is not authorized: no API key was sent"
    code = status * 100_000
    if status == 401:
        code = 40110000
    elif isinstance(error, exceptions.Throttled):
        code, message = 42910000, "too many requests."
    elif isinstance(error, exceptions.PermissionDenied):
        code = 40310000
    elif isinstance(error, exceptions.ParseError):
        code = 40010000
    response = Response({"code": code, "message": message}, status=status)
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(int(wait))
    return response


def is_api_path(path: str) -> bool:
    """Return whether an address belongs to the API, whose every answer is JSON."""
    return any(path == prefix or path.startswith(prefix + "/") for prefix in API_PREFIXES)


def _answer(request: HttpRequest, status: int, code: int, message: str, template: str | None) -> HttpResponse:
    if is_api_path(request.path):
        response: HttpResponse = JsonResponse({"code": code, "message": message}, status=status)
        headers_add(response, request)
        return response
    if template is None:
        return HttpResponse(message, status=status, content_type="text/plain; charset=utf-8")
    try:
        return render(request, template, status=status)
    except Exception:
        # An error page must appear even when what it shows of the visitor cannot be read.
        logger.exception("the page of status %s could not be rendered", status)
        return HttpResponse(message, status=status, content_type="text/plain; charset=utf-8")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django itself refuses."""
    return _answer(request, 400, 40010000, "the request is malformed", None)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that may not be made."""
    return _answer(request, 403, 40310000, "forbidden.", "403.html")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that does not exist."""
    return _answer(request, 404, 40410000, "endpoint not found", "404.html")


def unavailable(request: HttpRequest) -> HttpResponse:
    """Answer while the database is away; scripts get a sentence, people a page that tries again by itself."""
    if "text/html" in request.headers.get("Accept", "") and "HX-Request" not in request.headers:
        response = _answer(request, 503, 50310000, _AWAY_MESSAGE, "503.html")
    else:
        response = JsonResponse({"error": {"reason": "unavailable", "message": _AWAY_MESSAGE}}, status=503)
    response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer our own mistake, without telling how it happened."""
    return _answer(request, 500, 50010000, "internal server error occurred", "500.html")
