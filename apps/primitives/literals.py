"""The text in which PostgreSQL reads many values at once: array literals, and the lines of a COPY."""

from collections.abc import Iterable
from typing import Any


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def array_text(values: Iterable[object]) -> str:
    """Return an array literal of numbers, instants, texts and None.

    Binding a list instead looks at each element several times over.
    """
    return "{" + ",".join([_element(value) for value in values]) + "}"


def copy_text(text: str) -> str:
    """Return free text as one field of a COPY line."""
    escaped = text.replace("\\", "\\\\").replace("\t", "\\t")
    return escaped.replace("\n", "\\n").replace("\r", "\\r")


def copy_json(text: str) -> str:
    """Return JSON, which has no control characters of its own, as one field of a COPY line."""
    return text.replace("\\", "\\\\")


def copy_field(value: object) -> str:
    """Return a number, an instant, a plain word or None as one field of a COPY line."""
    return "\\N" if value is None else str(value)


def copy_write(cursor: Any, sql: str, lines: Iterable[str]) -> None:
    """Send finished lines, each with its newline, to a COPY statement in one piece."""
    with cursor.copy(sql) as copy:
        copy.write("".join(lines))
