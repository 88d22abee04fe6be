"""What every page checks first: who is it, which account, from where, and how to say no."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from apps.accounts.selectors import account_for_user
from apps.primitives.errors import BrokerageError, Conflict, Invalid, NotFound, Refused, Unavailable
from apps.web.presenters.refusals import refusal_text

View = Callable[..., HttpResponseBase]

STATUS_OF: dict[type[BrokerageError], int] = {
    Invalid: 422,
    Refused: 403,
    NotFound: 404,
    Conflict: 409,
    Unavailable: 503,
}


def status_of(error: BrokerageError) -> int:
    """Return the HTTP status of a refusal."""
    return next((code for kind, code in STATUS_OF.items() if isinstance(error, kind)), 400)


def error_text(error: BrokerageError) -> str:
    """Return a refusal as a sentence of the ticket's words."""
    return refusal_text(error.reason, error.message, error.details)


def error_body(error: BrokerageError) -> dict[str, Any]:
    """Return a refusal as the terminal's scripts read it; figures leave as strings."""
    details = {name: str(value) for name, value in error.details.items()}
    return {"reason": error.reason, "message": error_text(error), "details": details}


def error_json(error: BrokerageError) -> JsonResponse:
    """Answer a script with a refusal."""
    return JsonResponse({"error": error_body(error)}, status=status_of(error))


def wants_fragment(request: HttpRequest) -> bool:
    """Tell a request made by a script of ours from a page load."""
    return "HX-Request" in request.headers or "application/json" in request.headers.get("Accept", "")


def _signed_out(request: HttpRequest) -> HttpResponseBase:
    if not wants_fragment(request):
        return redirect_to_login(request.get_full_path(), str(settings.LOGIN_URL))
    response = JsonResponse(
        {"error": {"reason": "signed_out", "message": "You have been signed out. Sign in again."}}, status=401
    )
    response["HX-Trigger"] = "session-expired"
    return response


def _has_nul(request: HttpRequest) -> bool:
    """Return whether any value holds the one character that PostgreSQL's text cannot."""
    values = [request.path]
    for fields in (request.GET, request.POST):
        values += [value for _, found in fields.lists() for value in found]
    return any("\x00" in value for value in values)


def trader_required(view: View) -> View:
    """Call ``view(request, account, …)`` for a signed-in trader; staff without an account get a page."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _signed_out(request)
        if _has_nul(request):
            return HttpResponseBadRequest("A zero character cannot be part of a request.")
        try:
            account = account_for_user(request.user.pk)
        except NotFound:
            return render(request, "web/no_account.html", status=403)
        response = view(request, account, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    return guarded
