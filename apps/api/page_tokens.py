"""Where a walk through market data goes on: an opaque text for clients, checked whole when it comes back."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from apps.marketdata.paging import Position, Walk
from apps.primitives.errors import Invalid

VERSION = 1
LENGTH_MAX = 400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_US_MAX = 10**16
_ID_MAX = 2**64


@dataclass(frozen=True, slots=True)
class Token:
    """The walk's own span, so that one walk tells of one span whatever time it is, and where it stands."""

    start: datetime
    end: datetime
    position: Position


def token_write(question: str, walk: Walk, position: Position | None) -> str | None:
    """Return the token of the next page, or None when there is none."""
    if position is None:
        return None
    span = [_microseconds(walk.start), _microseconds(walk.end)]
    at = [position.symbol, _microseconds(position.time), str(position.id)]
    packed = orjson.dumps([VERSION, question, walk.direction, *span, *at])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def token_read(text: str, question: str, direction: str) -> Token | None:
    """Return what a token says, None for no token; raises ``Invalid`` unless it continues this question."""
    if not text:
        return None
    try:
        if len(text) > LENGTH_MAX:
            raise ValueError("too long")
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, asked, way, start, end, symbol, time, number = orjson.loads(packed)
        if (version, asked, way) != (VERSION, question, direction) or not isinstance(symbol, str):
            raise ValueError("of another question")
        return Token(_instant(start), _instant(end), Position(symbol, _instant(time), _id(number)))
    except (ValueError, TypeError):
        raise Invalid(
            "bad_value", "page_token is not one that this request was answered with", field="page_token"
        ) from None


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(microseconds: object) -> datetime:
    if type(microseconds) is not int or abs(microseconds) > _US_MAX:
        raise ValueError("no time")
    return _EPOCH + microseconds * _MICROSECOND


def _id(text: object) -> int:
    number = int(str(text))
    if abs(number) > _ID_MAX:
        raise ValueError("no id")
    return number
