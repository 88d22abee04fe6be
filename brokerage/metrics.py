"""``GET /metrics``: the platform's state for Prometheus: for who knows the token, and for signed-in staff."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from apps.audit.metrics import chain
from apps.operations.metrics import CONTENT_TYPE, metrics_text
from apps.surveillance.metrics import surveillance


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format, or 403.

    The address of the caller decides nothing: behind a front or a proxy everybody is near.
    """
    if not _may_read(request):
        return HttpResponse(
            "Send the METRICS_TOKEN of this deployment as a bearer token, or sign in as staff.\n",
            status=403,
            content_type="text/plain; charset=utf-8",
        )
    return HttpResponse(metrics_text(more=(chain, surveillance)), content_type=CONTENT_TYPE)


def _may_read(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and settings.METRICS_TOKEN:
        return constant_time_compare(token.strip(), settings.METRICS_TOKEN)
    return bool(request.user.is_authenticated and request.user.is_active and request.user.is_staff)
