"""Django REST framework and its OpenAPI description."""

from typing import Any

REST_SETTINGS: dict[str, Any] = {
    "REST_FRAMEWORK": {
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["apps.api.parsers.DecimalJSONParser"],
        "DEFAULT_AUTHENTICATION_CLASSES": ["apps.api.authentication.ApiKeyAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.api.negotiation.OneForm",
        "EXCEPTION_HANDLER": "apps.api.errors.exception_handle",
        "UNAUTHENTICATED_USER": None,
    },
    "SPECTACULAR_SETTINGS": {
        "TITLE": "Openbell API",
        "DESCRIPTION": "Trade on Openbell. The `/v2` routes follow the protocol that existing SDKs speak.",
        "VERSION": "1.0.0",
        "SERVE_INCLUDE_SCHEMA": False,
    },
}
