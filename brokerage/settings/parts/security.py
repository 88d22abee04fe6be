"""Browser security: a strict content policy for the terminal, a looser one for the admin alone."""

from typing import Any

from csp.constants import NONE, SELF

from brokerage.env import Environment


def security_settings(env: Environment) -> dict[str, Any]:
    """Return cookies, headers and the content security policy for the public address."""
    secure = env.public_url.startswith("https://")
    websocket = env.public_url.replace("http", "ws", 1)
    return {
        "SESSION_COOKIE_SECURE": secure,
        "CSRF_COOKIE_SECURE": secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "X_FRAME_OPTIONS": "DENY",
        "SECURE_REFERRER_POLICY": "same-origin",
        "CONTENT_SECURITY_POLICY": {
            "EXCLUDE_URL_PREFIXES": ("/admin/", "/api/docs", "/v2/"),
            "DIRECTIVES": {
                "default-src": [NONE],
                "script-src": [SELF],
                "style-src": [SELF],
                "img-src": [SELF, "data:"],
                "font-src": [SELF],
                "connect-src": [SELF, websocket],
                "manifest-src": [SELF],
                "form-action": [SELF],
                "frame-ancestors": [NONE],
                "base-uri": [NONE],
            },
        },
    }
