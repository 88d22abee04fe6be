"""Bodies are read exactly or not at all."""

from decimal import Decimal

import pytest
from rest_framework.exceptions import ParseError

from apps.api.parsers import json_read, text_is_storable


def test_numbers_are_read_digit_by_digit() -> None:
    found = json_read(b'{"a": 0.1, "b": 1.0, "c": 12, "d": -3, "e": 1e2, "f": 100.005}')
    assert found == {
        "a": Decimal("0.1"),
        "b": Decimal("1.0"),
        "c": 12,
        "d": -3,
        "e": Decimal("1E+2"),
        "f": Decimal("100.005"),
    }
    assert not any(isinstance(value, float) for value in found.values())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b'{"\\u0000": 1}',
        b"\xff\xfe",
        b"[" * 50_000,
        b"[" * 20 + b"]" * 20,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"a": 1e99999999999999999999999}',
        b'{"a": 1}{"b": 2}',
    ],
)
def test_bad_json_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        json_read(body)


def test_text_with_a_null_or_half_a_character_cannot_be_stored() -> None:
    assert text_is_storable("Ångström 株")
    assert not text_is_storable("a\0b")
    assert not text_is_storable("a\ud800")
