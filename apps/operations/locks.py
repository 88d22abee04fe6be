"""The locks of operations: a symbol's instrument, first in every act on its book, and a date's settlement."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from django.db import connection

from apps.instruments.models import Instrument

ACT_LOCK_CLASS = 0x0B_E13
SETTLEMENT_LOCK_CLASS = 0x0B_E14


def act_is_ours(cursor: Any, act: str) -> bool:
    """Take an act for this transaction alone; returns False when another one is at it."""
    assert connection.in_atomic_block, "locks live in a transaction"
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", (ACT_LOCK_CLASS, act))
    return bool(cursor.fetchone()[0])


@contextmanager
def settlement_run_shared(settl_date: date) -> Iterator[None]:
    """Let no trade of a settlement date be busted inside; runs do not keep one another out.

    The session holds it, since a run is many transactions; it is gone with the session.
    """
    place = (SETTLEMENT_LOCK_CLASS, settl_date.toordinal())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s, %s)", place)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_shared(%s, %s)", place)


def settlement_is_still(cursor: Any, settl_date: date) -> bool:
    """Keep settlement of a date away until this transaction ends; returns False when it is running."""
    assert connection.in_atomic_block, "locks live in a transaction"
    place = (SETTLEMENT_LOCK_CLASS, settl_date.toordinal())
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", place)
    return bool(cursor.fetchone()[0])


def instruments_locked(symbols: Iterable[str]) -> list[Instrument]:
    """Lock instruments by symbol and return them as they now are, in order of their matching partition."""
    assert connection.in_atomic_block, "locks live in a transaction"
    rows = Instrument.objects.filter(symbol__in=list(symbols)).order_by("matching_partition", "symbol")
    return list(rows.select_for_update(of=("self",), no_key=True))
