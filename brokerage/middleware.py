"""What the composition root wraps around every request."""

from collections.abc import Callable

from django.db import connection
from django.http import HttpRequest, HttpResponse

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
