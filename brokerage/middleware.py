"""What the composition root wraps around every request."""

import logging
from collections.abc import Callable

from django.db import connection
from django.http import HttpRequest, HttpResponse

from apps.api.errors import database_is_away, is_api_path, unavailable
from apps.events.origins import origin_acting, request_origin

logger = logging.getLogger(__name__)

STAFF_TIMEOUT_MS = 10_000


def _server_version() -> int:
    connection.ensure_connection()
    return int(connection.connection.info.server_version)


class StaffTimeoutsMiddleware:
    """Let staff pages read for longer than the web role may; locks and idle time stay bounded."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/admin/"):
            return self.get_response(request)
        setting = "transaction_timeout" if _server_version() >= 170_000 else "statement_timeout"
        with connection.cursor() as cursor:
            cursor.execute(f"SET {setting} = {STAFF_TIMEOUT_MS}")
        try:
            return self.get_response(request)
        finally:
            with connection.cursor() as cursor:
                cursor.execute(f"RESET {setting}")


class ActingMiddleware:
    """Let what a staff page changes be told as the act of whoever asked, however deep it is written."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/admin/"):
            return self.get_response(request)
        with origin_acting(request_origin(request)):
            return self.get_response(request)


class OutageMiddleware:
    """Answer a page that cannot be made while the database is away with one that says so and tries again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Take over from the traceback and the 500, of which an outage would bring thousands a second."""
        if is_api_path(request.path) or not database_is_away(error):
            return None
        logger.error("%s %s: the database does not answer: %s", request.method, request.path, error)
        return unavailable(request)
