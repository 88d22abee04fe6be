"""The display cookie: known words only."""

import pytest

from apps.web.preferences import COOKIE, Preferences, preferences_read


@pytest.mark.parametrize(
    ("cookie", "meant"),
    [
        ("dark.cvd.off", Preferences("dark", "cvd", "off")),
        ("light.east-asian.on", Preferences("light", "east-asian", "on")),
        ("", Preferences()),
        ("dark", Preferences("dark")),
        ('"><script>.x.y', Preferences()),
    ],
)
def test_unknown_words_fall_back_to_the_default(cookie: str, meant: Preferences) -> None:
    assert preferences_read({COOKIE: cookie}) == meant
