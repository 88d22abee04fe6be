"""Frames leave exactly: figures digit by digit, times as each form wants them."""

from datetime import UTC, datetime
from decimal import Decimal

import msgpack
import pytest

from apps.streaming.codecs import JsonCodec, MessageUnreadable, MsgpackCodec, codec_of

FRAME = [{"p": Decimal("184.3200"), "i": 2**62 + 1, "t": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)}]


def test_json_writes_a_decimal_as_its_digits() -> None:
    text = '[{"p":184.3200,"i":4611686018427387905,"t":"2026-01-02T03:04:05.678901Z"}]'
    assert JsonCodec().encode(FRAME) == text


def test_msgpack_writes_times_as_timestamps() -> None:
    found = msgpack.unpackb(MsgpackCodec().encode(FRAME))[0]
    assert found["t"].to_datetime() == FRAME[0]["t"]
    assert (found["p"], found["i"]) == (184.32, 2**62 + 1)


def test_handshake_header_chooses_the_form() -> None:
    assert isinstance(codec_of({"headers": [(b"content-type", b"application/msgpack")]}), MsgpackCodec)
    assert isinstance(codec_of({"headers": []}), JsonCodec)


@pytest.mark.parametrize(
    "message", [b"", b"\xff", b"\xc1", b"[1]", "[1]", "{", "null", b"\x81\xa1a", "\ud800"]
)
def test_what_is_no_object_is_unreadable(message: str | bytes) -> None:
    for codec in (JsonCodec(), MsgpackCodec()):
        with pytest.raises(MessageUnreadable):
            codec.decode(message)


def test_msgpack_socket_understands_json_text_too() -> None:
    assert MsgpackCodec().decode('{"action":"auth"}') == {"action": "auth"}
    assert MsgpackCodec().decode(msgpack.packb({"action": "auth"})) == {"action": "auth"}
