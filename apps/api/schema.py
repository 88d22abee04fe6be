"""The OpenAPI description of everything published, open to everybody."""

from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.permissions import AllowAny

from apps.api.views import PublishedView


class SchemaView(PublishedView, SpectacularJSONAPIView):
    """``/api/schema/``"""

    authentication_classes = []
    permission_classes = [AllowAny]
