"""Overload: as many requests at once as there is work for, and a quick refusal for the others."""

import json
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

RETRY_AFTER_S = 1
ALWAYS = ("/healthz",)
"""Whether the process lives must be known when it is busiest."""

_BODY = json.dumps(
    {
        "code": 50310000,
        "message": "too many requests are being served; this one was not begun. Try again in a moment.",
        "reason": "overloaded",
    }
).encode()
_HEADERS = [
    ("Content-Type", "application/json"),
    ("Content-Length", str(len(_BODY))),
    ("Retry-After", str(RETRY_AFTER_S)),
    ("Cache-Control", "no-store"),
]

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Admission:
    """A WSGI application that passes at most ``places`` requests at once to another.

    The server needs a few threads more than that: who is refused must not wait for who is served.
    """

    def __init__(self, application: Application, places: int) -> None:
        self._application = application
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(places):
            self._places.put(None)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") in ALWAYS:
            return self._application(environ, start_response)
        try:
            self._places.get_nowait()
        except Empty:
            start_response("503 Service Unavailable", _HEADERS)
            return [_BODY]
        try:
            return self._application(environ, start_response)
        finally:
            self._places.put(None)
