"""How frames travel: JSON text or MessagePack, chosen by the handshake's Content-Type."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

import msgpack
import orjson

from apps.primitives.clock import iso, unix_ns

MSGPACK_TYPE = b"application/msgpack"
MESSAGE_BYTES_MAX = 256 * 1024


class MessageUnreadable(ValueError):
    """A client's message is no object in the agreed form."""


class Codec(Protocol):
    """Writes and reads frames; figures are Decimals and times datetimes on our side."""

    def encode(self, frame: Any) -> str | bytes: ...

    def decode(self, message: str | bytes) -> dict[str, Any]: ...


def codec_of(scope: dict[str, Any]) -> Codec:
    """Return the codec that a handshake asks for."""
    return MsgpackCodec() if (b"content-type", MSGPACK_TYPE) in scope["headers"] else JsonCodec()


def json_message(message: str | bytes) -> dict[str, Any]:
    """Read a client's JSON object; raises ``MessageUnreadable``."""
    try:
        value = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise MessageUnreadable("the message is not valid JSON") from error
    return _object(value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MessageUnreadable("the message is not an object")
    return value


class JsonCodec:
    """Text frames; a Decimal becomes a JSON number digit by digit."""

    def encode(self, frame: Any) -> str:
        return orjson.dumps(frame, default=_json_value, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()

    def decode(self, message: str | bytes) -> dict[str, Any]:
        return json_message(message)


class MsgpackCodec:
    """Binary frames; MessagePack has no decimal type, so a price leaves as the nearest double."""

    def encode(self, frame: Any) -> bytes:
        return msgpack.packb(frame, default=_msgpack_value)

    def decode(self, message: str | bytes) -> dict[str, Any]:
        if isinstance(message, str):
            return json_message(message)
        try:
            return _object(msgpack.unpackb(message))
        except MessageUnreadable:
            raise
        except (ValueError, msgpack.UnpackException) as error:
            raise MessageUnreadable("the message is not valid MessagePack") from error


def _json_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _msgpack_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        seconds, nanoseconds = divmod(unix_ns(value.astimezone(UTC)), 1_000_000_000)
        return msgpack.Timestamp(seconds, nanoseconds)
    raise TypeError(f"{type(value).__name__} cannot be sent")
