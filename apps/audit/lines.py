"""One event as the server writes it in a COPY, turned into the bytes that the chain hashed."""

import re
from collections.abc import Sequence

from apps.primitives.ids import Kind, public_id_text

# Ranges of ids are whole numbers of ours, never text of a caller.
COPY_SQL = """
COPY (SELECT id, xact_id, user_id, topic, event_type, account_id, account_seq, "timestamp", data, metadata
      FROM events WHERE id >= '{low}' AND id <= '{high}' {order}) TO STDOUT
"""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_USER = b'","user_id":'
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_TIME_CHARACTERS = len("2026-01-08 10:00:00.123456+00")


def line_split(line: bytes) -> list[str]:
    """Return the fields of a line of the COPY, still as the server escapes them."""
    return line[:-1].decode().split("\t")


def line_value(fields: Sequence[str]) -> bytes:
    """Return what ``EventRecord.value`` gives for the same row, by other means: each checks the other.

    The session's time zone must be UTC.
    """
    number, _, user_id, topic, event_type, account_id, account_seq, at, data, metadata = fields
    if account_id == "\\N":
        account_id = "null"
    if account_seq == "\\N":
        account_seq = "null"
    if "\\" in data:
        data = _plain(data)
    if "\\" in metadata:
        metadata = _plain(metadata)
    if "\\" in topic or "\\" in event_type:
        topic, event_type = _plain(topic), _plain(event_type)
    if len(at) != _TIME_CHARACTERS:
        at = _whole_time(at)
    return (
        f'{{"event_id":"{public_id_text(Kind.EVENT, int(number))}","timestamp":"{at[:10]}T{at[11:26]}Z",'
        f'"topic":"{topic}","event_type":"{event_type}","user_id":{user_id},'
        f'"account_id":{account_id},"account_seq":{account_seq},'
        f'"data":{data},"metadata":{metadata}}}'
    ).encode()


def value_is_of(value: bytes, user_id: int) -> bool:
    """Return whether an event's bytes say that it is this user's; what an archive has before them may lie."""
    # No name before it has a quotation mark, and jsonb writes none without a backslash in a text.
    return value.startswith(b'%d,"account_id":' % user_id, value.find(_USER) + len(_USER))


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: _CONTROLS.get(found[1], found[1]), text)


def _whole_time(at: str) -> str:
    """Write out the microseconds whose zeros the server leaves away."""
    instant, zone = at[:-3], at[-3:]
    return f"{instant}.000000{zone}" if "." not in instant else f"{instant:0<26}{zone}"
