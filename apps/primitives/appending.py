"""Rows appended to a table: by COPY where they are many, by one statement with arrays where they are few."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apps.primitives.literals import array_text, copy_text

COPY_ROWS_MIN = 16
"""From so many rows on a COPY is cheaper; below, a statement is: the server has it planned, and a pipeline
goes on behind it."""

_TEXTS = frozenset({"text", "jsonb", "bytea"})


class AppendTable:
    """Some columns of a table, by their types, which rows are appended to; all others have defaults."""

    def __init__(self, name: str, columns: Mapping[str, str]) -> None:
        names = ", ".join(columns)
        arrays = ", ".join([f"%s::{kind}[]" for kind in columns.values()])
        values = ", ".join([f"v.{column}" for column in columns])
        self.copy_sql = f"COPY {name} ({names}) FROM STDIN"
        self.insert_sql = f"INSERT INTO {name} ({names}) SELECT {values} FROM unnest({arrays}) AS v ({names})"
        self._fields = [_text_fields if kind in _TEXTS else _plain_fields for kind in columns.values()]

    def lines(self, rows: Sequence[Sequence[Any]]) -> str:
        """Return rows of numbers, instants, texts and None as COPY reads them."""
        if not rows:
            return ""
        given = zip(self._fields, zip(*rows, strict=True), strict=True)
        columns = [fields(column) for fields, column in given]
        return "".join(["\t".join(row) + "\n" for row in zip(*columns, strict=True)])


def rows_append(cursor: Any, table: AppendTable, rows: Sequence[Sequence[Any]]) -> None:
    """Append rows in their order, in the transaction that ``cursor`` is in."""
    if not rows:
        return
    if len(rows) < COPY_ROWS_MIN:
        cursor.execute(table.insert_sql, [array_text(column) for column in zip(*rows, strict=True)])
        return
    lines = table.lines(rows)
    with cursor.copy(table.copy_sql) as copy:
        copy.write(lines)


def _plain_fields(column: Sequence[Any]) -> Iterable[str]:
    if None in column:
        return ["\\N" if value is None else str(value) for value in column]
    return map(str, column)


def _text_fields(column: Sequence[str | None]) -> Iterable[str]:
    texts = [text for text in column if text is not None]
    # Most columns have nothing to escape, which is seen of all their rows at once.
    together = "".join(texts)
    is_plain = not any([mark in together for mark in "\\\t\n\r"])
    if is_plain and len(texts) == len(column):
        return texts
    return ["\\N" if text is None else copy_text(text) for text in column]
