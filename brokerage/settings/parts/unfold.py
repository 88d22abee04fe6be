"""The look of the admin."""

from typing import Any

from django.templatetags.static import static

UNFOLD_SETTINGS: dict[str, Any] = {
    "UNFOLD": {
        "SITE_TITLE": "Openbell operations",
        "SITE_HEADER": "Openbell",
        "SITE_SUBHEADER": "Operations",
        "SITE_URL": "/",
        "SITE_FAVICONS": [
            {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/mark.svg")},
        ],
        "STYLES": [lambda request: static("css/admin.css")],
        "SHOW_HISTORY": True,
        "SHOW_VIEW_ON_SITE": False,
    },
}
