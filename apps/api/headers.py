"""What every answer of the API carries beside its body."""

from dataclasses import dataclass
from itertools import count
from os import urandom
from typing import Any

from django.http import HttpResponseBase

from apps.primitives.clock import utc_now

RATE_PER_MINUTE = 6_000

_PROCESS = urandom(12).hex()
_numbers = count(1)
"""A request's id is its process's and a number: unique, and random bits are drawn once, not each time."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a key's request bucket stands: requests a minute, requests left, and when it is full again."""

    limit: int
    remaining: int
    reset_after_s: int


IDLE = Rate(RATE_PER_MINUTE, RATE_PER_MINUTE, 0)
"""Shown to callers whose requests are not counted: nobody is known yet, or the counter is unreachable."""


def rate_note(request: Any, rate: Rate) -> None:
    """Remember the state of the caller's bucket for the answer's headers."""
    request._request.api_rate = rate


def headers_add(response: HttpResponseBase, request: Any) -> None:
    """Put the request id and the state of the caller's rate limit on an answer."""
    plain = getattr(request, "_request", request)
    rate: Rate = getattr(plain, "api_rate", IDLE)
    response.headers["X-Request-ID"] = request_id(plain)
    response.headers["X-RateLimit-Limit"] = str(rate.limit)
    response.headers["X-RateLimit-Remaining"] = str(rate.remaining)
    response.headers["X-RateLimit-Reset"] = str(int(utc_now().timestamp()) + rate.reset_after_s)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"


def request_id(request: Any) -> str:
    """Return the id of one request, the same for its answer and its log line."""
    if not hasattr(request, "api_request_id"):
        request.api_request_id = f"{_PROCESS}{next(_numbers):08x}"
    return str(request.api_request_id)
