"""The text in which PostgreSQL reads many values at once: array literals, and the fields of a COPY."""

from collections.abc import Iterable


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
