"""Who signed in, who failed to, and who signed out: Django's own signals, put on record."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import connection
from django.http import HttpRequest

from apps.accounts.models import User
from apps.events.facts import SYSTEM, EventRow
from apps.events.origins import request_origin
from apps.events.services import event_append
from apps.events.types import EventType
from apps.primitives.clock import iso, utc_now


def _tell(
    event_type: EventType, request: HttpRequest | None, user: Any, username: str | None, actor: Any
) -> None:
    origin = request_origin(request, actor) if request is not None else SYSTEM
    data = {"username": username, "door": _door(request), "at": iso(utc_now())}
    row = EventRow(event_type, user.pk if user else 0, data, metadata=origin.metadata())
    with connection.cursor() as cursor:
        event_append(cursor, [row])


def _door(request: HttpRequest | None) -> str:
    return "admin" if request is not None and request.path.startswith("/admin/") else "web"


def _signed_in(request: HttpRequest, user: Any, **_: Any) -> None:
    _tell(EventType.SIGNED_IN, request, user, user.get_username(), user)


def _signed_out(request: HttpRequest, user: Any, **_: Any) -> None:
    if user is not None:
        _tell(EventType.SIGNED_OUT, request, user, user.get_username(), user)


def _sign_in_failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Tell of somebody known by name only: people type their password into the name's field.

    Nobody has shown who he is: the event is about the user, and not the user's act.
    """
    user = User.objects.filter(username=credentials.get("username") or "").first()
    _tell(EventType.SIGN_IN_FAILED, request, user, user.get_username() if user else None, None)


def signals_connect() -> None:
    """Put sign-ins on record from now on; once in each process."""
    user_logged_in.connect(_signed_in, dispatch_uid="signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="signed_out")
    user_login_failed.connect(_sign_in_failed, dispatch_uid="sign_in_failed")
