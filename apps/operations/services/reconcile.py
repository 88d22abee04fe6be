"""The reconciler: every invariant of the books as one named reading, each of one snapshot."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import DatabaseError, connections, transaction

from apps.operations.services.reconcile_checks import BOOK_CHECKS, Check
from apps.operations.services.reconcile_probes import PROBES
from apps.operations.services.reconcile_records import RECORD_CHECKS
from apps.primitives.errors import NotFound
from apps.primitives.ids import id_span

ALIAS = "owner"
BROKEN_ROWS_MAX = 50
"""Broken rows shown of one check; one is enough to stop the press."""

TIMEOUT_S = 900

CHECKS = BOOK_CHECKS + RECORD_CHECKS
"""What must hold whether anything runs or not; the probes of ``PROBES`` ask whether it runs."""

EDGE = id_span(timedelta(minutes=10))


@dataclass(frozen=True, slots=True)
class Window:
    """From which id on, and how far back in the journal, a check looks; all of history by default."""

    low: int = 0
    records: int = 2**62

    def parameters(self) -> dict[str, int]:
        return {"low": self.low, "edge": max(self.low - EDGE, 0), "records": self.records}


EVERYTHING = Window()


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found: the broken rows (the first of them), or why it could not look."""

    name: str
    title: str
    duration_ms: int
    broken: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.broken and not self.failure

    @property
    def verdict(self) -> str:
        return "ok" if self.is_whole else "BROKEN" if self.broken else "FAILED"


def checks_named(names: Sequence[str]) -> list[Check]:
    """Return the checks and probes whose name is, or begins with, one of ``names``; all checks for none.

    Raises ``NotFound`` for a name that nothing has.
    """
    if not names:
        return list(CHECKS)
    wanted = [name.upper() for name in names]
    missing = [name for name in wanted if not any(_is_called(c, name) for c in CHECKS + PROBES)]
    if missing:
        raise NotFound("unknown_check", f"There is no check {missing[0]}; see manage.py reconcile --list.")
    return [c for c in CHECKS + PROBES if any(_is_called(c, name) for name in wanted)]


def _is_called(check: Check, name: str) -> bool:
    return check.name.upper() == name or check.name.upper().startswith(f"{name}.")


@contextmanager
def _snapshot(timeout_s: float) -> Iterator[Any]:
    """Open one read-only snapshot as the owner, whose readings may take longer than the web role's.

    One for each check: a snapshot keeps the server from cleaning up behind everybody.
    """
    connection: Any = connections[ALIAS]
    with transaction.atomic(using=ALIAS, durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SET LOCAL statement_timeout = '{round(timeout_s * 1000)}ms'")
        if connection.pg_version >= 170_000:
            cursor.execute("SET LOCAL transaction_timeout = 0")
        yield cursor


def reconcile_run(
    names: Sequence[str] = (), window: Window = EVERYTHING, timeout_s: float = TIMEOUT_S
) -> list[Result]:
    """Run checks, each in one snapshot, so that they hold while the market trades."""
    return [check_run(check, window, timeout_s) for check in checks_named(names)]


def check_run(check: Check, window: Window = EVERYTHING, timeout_s: float = TIMEOUT_S) -> Result:
    """Run one check; a query that fails or takes too long is a result as well."""
    return comparison(check.name, check.title, lambda: _rows(check, window, timeout_s), DatabaseError)


def _rows(check: Check, window: Window, timeout_s: float) -> Iterable[dict[str, Any]]:
    with _snapshot(timeout_s) as cursor:
        # As a rule nothing is broken and all must be looked at: a plan for the first rows would be slow.
        sql = f"WITH broken AS MATERIALIZED ({check.sql}) SELECT * FROM broken LIMIT {BROKEN_ROWS_MAX}"
        cursor.execute(sql, window.parameters())
        columns = [column[0] for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def comparison(
    name: str,
    title: str,
    look: Callable[[], Iterable[dict[str, Any]]],
    *failures: type[Exception],
) -> Result:
    """Time what a check finds; one of ``failures`` says that it could not look."""
    started = time.monotonic()
    broken: list[dict[str, Any]] = []
    failure = ""
    try:
        broken = list(islice(look(), BROKEN_ROWS_MAX))
    except failures as error:
        failure = " ".join(f"{type(error).__name__}: {error}".split())[:500]
    duration_ms = round((time.monotonic() - started) * 1000)
    return Result(name=name, title=title, duration_ms=duration_ms, broken=broken, failure=failure)
