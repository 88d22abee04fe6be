"""The look of the admin."""

from typing import Any

UNFOLD_SETTINGS: dict[str, Any] = {
    "UNFOLD": {
        "SITE_TITLE": "Openbell operations",
        "SITE_HEADER": "Openbell",
        "SITE_SUBHEADER": "Operations",
        "SITE_URL": "/",
        "SHOW_HISTORY": True,
        "SHOW_VIEW_ON_SITE": False,
    },
}
