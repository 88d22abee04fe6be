"""Is the process alive, and can it serve? JSON for supervisors and load balancers."""

from django.conf import settings
from django.db import DatabaseError, connections
from django.http import HttpRequest, JsonResponse
from redis import Redis
from redis.exceptions import RedisError

from apps.marketdata.backends import backend_problem


def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process can answer at all."""
    return JsonResponse({"status": "ok"})


def _database_check(alias: str) -> str:
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"failing: {type(error).__name__}"
    return "ok"


def _marketdata_check() -> str:
    """Report whether the database answers, and whether its back end has what it needs."""
    answer = _database_check("marketdata")
    problem = backend_problem() if answer == "ok" else None
    return f"failing: {problem}" if problem else answer


def _redis_check() -> str:
    try:
        Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1).ping()
    except RedisError as error:
        return f"failing: {type(error).__name__}"
    return "ok"


def _matching_check() -> str:
    """Report whether somebody leads; trading waits without a leader, entry does not."""
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM matching_leader l JOIN pg_stat_activity a ON a.pid = l.backend_pid"
            )
            row = cursor.fetchone()
    except DatabaseError as error:
        return f"failing: {type(error).__name__}"
    return "ok" if row and row[0] else "no leader"


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when orders can be accepted durably, else 503; each part is named."""
    checks = {
        "database": _database_check("default"),
        "marketdata": _marketdata_check(),
        "redis": _redis_check(),
    }
    ready = all(value == "ok" for value in checks.values())
    checks["matching"] = _matching_check() if ready else "unknown"
    return JsonResponse(
        {"status": "ready" if ready else "unavailable", "checks": checks}, status=200 if ready else 503
    )
