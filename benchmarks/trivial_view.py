"""The least that an answer of the API can cost: one view without key, throttle or database, never mounted.

``benchmarks.durable_entry`` serves it beside the platform, with the product's server, options and middleware.
"""

from typing import Any

from django.conf import settings
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerage.wsgi import application

__all__ = ["application"]


class Trivial(APIView):
    """Says that all is well."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        """Answer."""
        return Response({"ok": True})


urlpatterns = [path("v2/trivial", Trivial.as_view())]

# This server has these addresses and no others; the product's urls never learn of them.
settings.ROOT_URLCONF = __name__
