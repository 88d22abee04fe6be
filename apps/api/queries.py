"""Reads query strings and request bodies: every way clients write a value, and a clear error for the rest."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from django.http import QueryDict

from apps.primitives.errors import Invalid

CSV_ITEMS_MAX = 200
_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")


YEAR_MIN, YEAR_MAX = 1900, 2100
"""The years that calendars are asked about; beyond them date arithmetic overflows."""


def boolean_read(query: QueryDict, name: str, default: bool = False) -> bool:
    """Read ``True``, ``true``, ``1`` and their opposites."""
    text = query.get(name, "").strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text:
        raise Invalid("bad_value", f"{name} must be true or false.", field=name)
    return default


def integer_read(query: QueryDict, name: str, default: int, lowest: int, highest: int) -> int:
    """Read a whole number within bounds."""
    text = query.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and lowest <= int(text) <= highest):
        raise Invalid("bad_value", f"{name} must be a whole number from {lowest} to {highest}.", field=name)
    return int(text)


def choice_read(query: QueryDict, name: str, allowed: Sequence[str], default: str) -> str:
    """Read one of the allowed words, in any case."""
    text = query.get(name, "").strip().lower() or default
    if text not in allowed:
        raise Invalid("bad_value", f"{name} must be one of {', '.join(allowed)}.", field=name)
    return text


def words_read(query: QueryDict, name: str) -> list[str]:
    """Read a list, whether separated by commas or given by repeating the key."""
    words = [word.strip() for text in query.getlist(name) for word in text.split(",") if word.strip()]
    if len(words) > CSV_ITEMS_MAX:
        raise Invalid("bad_value", f"{name} takes at most {CSV_ITEMS_MAX} items.", field=name)
    return words


def instant_read(query: QueryDict, name: str) -> datetime | None:
    """Read an RFC 3339 time or a bare date (its first instant); without an offset it is UTC."""
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        # An unescaped plus sign of an offset arrives as a blank.
        instant = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise Invalid("bad_value", f"{name} must be an RFC 3339 time or a date.", field=name) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def date_read(query: QueryDict, name: str) -> date | None:
    """Read a date, whether bare or the date part of a time."""
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        found = date.fromisoformat(text.partition("T")[0])
    except ValueError:
        found = None
    if found is None or not YEAR_MIN <= found.year <= YEAR_MAX:
        raise Invalid("bad_value", f"{name} must be a date such as 2026-01-31.", field=name)
    return found


def midnight(day: date) -> datetime:
    """Return the first instant of a day in UTC."""
    return datetime.combine(day, time(), tzinfo=UTC)


def uuid_read(text: object, name: str) -> UUID:
    """Read a public id; raises ``Invalid`` when it is no UUID."""
    try:
        return UUID(str(text))
    except ValueError:
        raise Invalid("bad_id", f"{name} is missing or not a UUID", field=name) from None


def uuid_try(text: object) -> UUID | None:
    """Return the UUID that a text is, or None."""
    try:
        return UUID(str(text)) if len(str(text)) == 36 else None
    except ValueError:
        return None


def body_object(data: Any) -> Mapping[str, Any]:
    """Return a request body that is an object; nothing at all reads as an empty one."""
    if isinstance(data, Mapping):
        return data
    raise Invalid("bad_body", "the request body must be a JSON object")


def refuse_given(body: Mapping[str, Any], names: Sequence[str], why: str) -> None:
    """Refuse values that would silently change nothing."""
    for name in names:
        if body.get(name) not in (None, "", [], {}):
            raise Invalid("not_supported", f"{name}: {why}", field=name)
