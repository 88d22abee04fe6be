"""How a reader wants the pages to look; kept in one cookie so that the server paints it right at once."""

from collections.abc import Mapping
from dataclasses import dataclass

COOKIE = "openbell_display"
THEMES = ("system", "light", "dark")
PALETTES = ("standard", "cvd", "east-asian")
FLASHES = ("on", "off")


@dataclass(frozen=True, slots=True)
class Preferences:
    theme: str = "system"
    palette: str = "standard"
    flash: str = "on"


def _choice(value: str, allowed: tuple[str, ...]) -> str:
    return value if value in allowed else allowed[0]


def preferences_read(cookies: Mapping[str, str]) -> Preferences:
    """Read ``theme.palette.flash`` from the cookie; anything unknown falls back to the default."""
    parts = [*cookies.get(COOKIE, "").split("."), "", "", ""]
    return Preferences(_choice(parts[0], THEMES), _choice(parts[1], PALETTES), _choice(parts[2], FLASHES))
