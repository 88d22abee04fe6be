"""Reads JSON bodies strictly: exact numbers, one meaning per key, bounded size and depth."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

BODY_BYTES_MAX = 64 * 1024
DEPTH_MAX = 16
NUMBER_LENGTH_MAX = 40
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class BodyTooLarge(APIException):
    """The request body is larger than any request needs to be."""

    status_code = 413
    default_detail = f"the request body is larger than {BODY_BYTES_MAX} bytes"


def text_is_storable(text: str) -> bool:
    """Return whether text can be stored and sent on: no NUL, no lone surrogate."""
    return _UNSTORABLE.search(text) is None


class DecimalJSONParser(BaseParser):
    """Parses ``application/json``; numbers become ``int`` or ``Decimal``, never a binary float."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        meta = (parser_context or {})["request"].META
        length = str(meta.get("CONTENT_LENGTH") or "0")
        if length.isdigit() and int(length) > BODY_BYTES_MAX:
            raise BodyTooLarge
        body = stream.read(BODY_BYTES_MAX + 1)
        if len(body) > BODY_BYTES_MAX:
            raise BodyTooLarge
        return json_read(body)


def json_read(body: bytes) -> Any:
    """Return what a JSON text says; raises ``ParseError`` naming the first thing wrong with it."""
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise ParseError("the request body is not UTF-8") from None
    except RecursionError:
        raise ParseError("the request body is nested too deeply") from None
    except json.JSONDecodeError as error:
        where = f"{error.msg} at character {error.pos}"
        raise ParseError(f"the request body is not valid JSON: {where}") from None
    _value_check(value)
    return value


def _number(text: str) -> int | Decimal:
    if len(text) > NUMBER_LENGTH_MAX:
        raise ParseError(f"a number in the request body is longer than {NUMBER_LENGTH_MAX} characters")
    if text.lstrip("-").isdigit():
        return int(text)
    try:
        return Decimal(text)
    except ArithmeticError:
        raise ParseError("a number in the request body is out of range") from None


def _constant_refuse(name: str) -> Any:
    raise ParseError(f"{name} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ParseError("the request body gives the same key twice")
    return found


_DECODER = json.JSONDecoder(
    parse_float=_number, parse_int=_number, parse_constant=_constant_refuse, object_pairs_hook=_object
)


def _value_check(value: Any) -> None:
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEPTH_MAX:
            raise ParseError("the request body is nested too deeply")
        if isinstance(item, str) and not text_is_storable(item):
            raise ParseError("the request body contains characters that cannot be stored")
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
