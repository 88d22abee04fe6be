"""Who acts, and from where: read off a web request, and at hand where no request is handed down."""

import hashlib
import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from apps.events.facts import SYSTEM, EventRow, Origin
from apps.events.types import EventType
from apps.primitives.clock import iso, utc_now

USER_AGENT_LENGTH_MAX = OPERATOR_LENGTH_MAX = 200

_acting: ContextVar[Origin] = ContextVar("acting", default=SYSTEM)


def client_address(request: Any) -> str | None:
    """Return where a request comes from: by the connection, or by the header of the proxy that is trusted.

    A proxy puts the address it saw last; what stands before it in the header is whatever a client wrote.
    """
    header = settings.CLIENT_ADDRESS_HEADER
    told = request.headers.get(header, "").rpartition(",")[2].strip() if header else ""
    with suppress(ValueError):
        return str(ip_address(told))
    address: str | None = request.META.get("REMOTE_ADDR")
    return address


def user_agent(request: Any) -> str:
    """Return what a client calls itself, as much of it as is kept."""
    agent: str = request.META.get("HTTP_USER_AGENT", "")[:USER_AGENT_LENGTH_MAX]
    return agent if agent.isprintable() else "".join(letter for letter in agent if letter.isprintable())


def request_origin(request: HttpRequest, user: Any = None) -> Origin:
    """Return who acts, from where; the session is named by a digest that opens nothing.

    ``user`` is for those who are just signing in or out.
    """
    key = getattr(getattr(request, "session", None), "session_key", None)
    actor = user or getattr(request, "user", None)
    return Origin(
        ip_address=client_address(request),
        user_agent=user_agent(request),
        session_id=hashlib.sha256(key.encode()).hexdigest()[:16] if key else None,
        actor_id=getattr(actor, "pk", None),
    )


def operator_name() -> str:
    """Return who runs this command: the operating system's user and host, whatever the environment says."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"[:OPERATOR_LENGTH_MAX]


def operator_row(event_type: EventType, data: dict[str, Any]) -> EventRow:
    """Return what is put on record of an operator's command: the act, who ran it and when."""
    return EventRow(event_type, 0, {**data, "operator": operator_name(), "at": iso(utc_now())})


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
