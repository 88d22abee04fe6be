"""Who acts, and from where: read off a web request, and at hand where no request is handed down."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.http import HttpRequest

from apps.events.facts import SYSTEM, Origin

USER_AGENT_LENGTH_MAX = 200

_acting: ContextVar[Origin] = ContextVar("acting", default=SYSTEM)


def request_origin(request: HttpRequest, user: Any = None) -> Origin:
    """Return who acts, from where; the session is named by a digest that opens nothing.

    ``user`` is for those who are just signing in or out.
    """
    key = getattr(getattr(request, "session", None), "session_key", None)
    actor = user or getattr(request, "user", None)
    agent = request.headers.get("User-Agent", "")[:USER_AGENT_LENGTH_MAX]
    return Origin(
        ip_address=request.META.get("REMOTE_ADDR"),
        user_agent="".join(letter for letter in agent if letter.isprintable()),
        session_id=hashlib.sha256(key.encode()).hexdigest()[:16] if key else None,
        actor_id=getattr(actor, "pk", None),
    )


def origin_current() -> Origin:
    """Return the origin of what this thread does now; the system's own where nobody said otherwise."""
    return _acting.get()


@contextmanager
def origin_acting(origin: Origin) -> Iterator[None]:
    """Let everything inside be the act of ``origin``."""
    token = _acting.set(origin)
    try:
        yield
    finally:
        _acting.reset(token)
