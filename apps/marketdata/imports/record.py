"""How far each import has come: a row for each content, moved on in the transaction that writes its rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections

from apps.marketdata.backends import ALIAS
from apps.primitives.errors import Conflict

LOCK_CLASS = 0x0B_1207
"""First key of the advisory locks on imports; the second comes from the content."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is imported: the kind of rows, and the SHA-256 of the unpacked content with them in it."""

    kind: str
    sha256: str


Stretch = tuple[datetime, datetime]
"""From the first instant to the last, both included."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an import stands: the next line and where it begins, rows taken and new, lines left out.

    Between the instants of ``stale`` there are ticks whose candles are still to be made.
    """

    line: int
    offset: int
    rows: int = 0
    added: int = 0
    bad: int = 0
    finished_at: datetime | None = None
    stale: Stretch | None = None


_PLACE = "next_line, next_offset, row_count, added_count, bad_count, finished_at, stale_from, stale_until"

_BEGIN_SQL = f"""
INSERT INTO market_data_imports (kind, sha256, name, size, next_line, next_offset)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (kind, sha256) DO UPDATE SET name = excluded.name, size = excluded.size
RETURNING {_PLACE}
"""

_RESET_SQL = "DELETE FROM market_data_imports WHERE kind = %s AND sha256 = %s"

_MOVE_SQL = """
UPDATE market_data_imports SET next_line = %s, next_offset = %s, row_count = row_count + %s,
       added_count = added_count + %s, bad_count = bad_count + %s,
       stale_from = least(stale_from, %s), stale_until = greatest(stale_until, %s),
       updated_at = clock_timestamp()
WHERE kind = %s AND sha256 = %s AND next_offset = %s AND finished_at IS NULL
"""

_SETTLE_SQL = """
UPDATE market_data_imports SET stale_from = NULL, stale_until = NULL WHERE kind = %s AND sha256 = %s
"""

_FINISH_SQL = f"""
UPDATE market_data_imports SET finished_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE kind = %s AND sha256 = %s AND stale_from IS NULL
RETURNING {_PLACE}
"""


def _place(row: Any) -> Place:
    line, offset, rows, added, bad, finished_at, stale_from, stale_until = row
    stale = (stale_from, stale_until) if stale_from else None
    return Place(line, offset, rows, added, bad, finished_at, stale)


@contextmanager
def content_locked(content: Content, name: str) -> Iterator[None]:
    """Hold a content for this session; raises ``Conflict``, naming the file, when another import has it."""
    key = int(content.sha256[:8], 16) - 2**31
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, key))
        if not cursor.fetchone()[0]:
            raise Conflict("import_runs", f"{name} is being imported by somebody else now.")
    try:
        yield
    finally:
        # A session that is gone has let go already.
        if connections[ALIAS].is_usable():
            with connections[ALIAS].cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCK_CLASS, key))


def place_begin(content: Content, name: str, size: int, start: Place, *, again: bool = False) -> Place:
    """Return where this content's import stands, ``start`` for one that is new or is to be done ``again``."""
    with connections[ALIAS].cursor() as cursor:
        if again:
            cursor.execute(_RESET_SQL, (content.kind, content.sha256))
        cursor.execute(_BEGIN_SQL, (content.kind, content.sha256, name, size, start.line, start.offset))
        return _place(cursor.fetchone())


def place_move(content: Content, before: Place, after: Place) -> None:
    """Move an import on, in the transaction that wrote the rows in between."""
    assert connections[ALIAS].in_atomic_block
    counts = (after.rows - before.rows, after.added - before.added, after.bad - before.bad)
    with connections[ALIAS].cursor() as cursor:
        where = (content.kind, content.sha256, before.offset)
        cursor.execute(_MOVE_SQL, (after.line, after.offset, *counts, *(after.stale or (None, None)), *where))
        assert cursor.rowcount == 1, "somebody else has moved this import"


def place_settle(content: Content) -> None:
    """Note that no candles are left to be made."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(_SETTLE_SQL, (content.kind, content.sha256))


def place_finish(content: Content) -> Place:
    """Note that all rows are in; returns where the import ended."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(_FINISH_SQL, (content.kind, content.sha256))
        return _place(cursor.fetchone())
