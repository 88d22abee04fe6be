"""The reconciler: every invariant of the books as one named reading, all of one snapshot."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, transaction

from apps.operations.services.reconcile_checks import CHECKS, Check
from apps.primitives.errors import NotFound

ALIAS = "owner"
BROKEN_ROWS_MAX = 50
"""Broken rows shown of one check; one is enough to stop the press."""

TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found: the broken rows (the first of them), and how long it read."""

    name: str
    title: str
    duration_ms: int
    broken: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.broken


def checks_named(names: Sequence[str]) -> list[Check]:
    """Return the checks whose name is, or begins with, one of ``names``; all of them for none.

    Raises ``NotFound`` for a name that no check has.
    """
    if not names:
        return list(CHECKS)
    wanted = [name.upper() for name in names]
    found = [
        c for c in CHECKS if any(c.name.upper() == n or c.name.upper().startswith(f"{n}.") for n in wanted)
    ]
    missing = [
        n
        for n in wanted
        if not any(c.name.upper() == n or c.name.upper().startswith(f"{n}.") for c in CHECKS)
    ]
    if missing:
        raise NotFound("unknown_check", f"There is no check {missing[0]}; see manage.py reconcile --list.")
    return found


@contextmanager
def _snapshot() -> Iterator[Any]:
    """Open one read-only snapshot as the owner, whose readings may take longer than the web role's."""
    connection: Any = connections[ALIAS]
    with transaction.atomic(using=ALIAS, durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SET LOCAL statement_timeout = '{TIMEOUT_S}s'")
        if connection.pg_version >= 170_000:
            cursor.execute("SET LOCAL transaction_timeout = 0")
        yield cursor


def reconcile_run(names: Sequence[str] = ()) -> list[Result]:
    """Run checks in one snapshot, so that they hold while the market trades."""
    chosen = checks_named(names)
    with _snapshot() as cursor:
        return [_check_run(cursor, check) for check in chosen]


def _check_run(cursor: Any, check: Check) -> Result:
    started = time.monotonic()
    cursor.execute(f"SELECT * FROM ({check.sql}) AS broken LIMIT {BROKEN_ROWS_MAX}")
    columns = [column[0] for column in cursor.description]
    broken = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    duration_ms = round((time.monotonic() - started) * 1000)
    return Result(name=check.name, title=check.title, duration_ms=duration_ms, broken=broken)
