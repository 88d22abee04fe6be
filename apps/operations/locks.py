"""The row locks of operations: a symbol's instrument comes first in every act on its book."""

from collections.abc import Iterable
from typing import Any

from django.db import connection

from apps.instruments.models import Instrument

ACT_LOCK_CLASS = 0x0B_E13


def act_is_ours(cursor: Any, act: str) -> bool:
    """Take an act for this transaction alone; returns False when another one is at it."""
    assert connection.in_atomic_block, "locks live in a transaction"
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", (ACT_LOCK_CLASS, act))
    return bool(cursor.fetchone()[0])


def instruments_locked(symbols: Iterable[str]) -> list[Instrument]:
    """Lock instruments by symbol and return them as they now are, in order of their matching partition."""
    assert connection.in_atomic_block, "locks live in a transaction"
    rows = Instrument.objects.filter(symbol__in=list(symbols)).order_by("matching_partition", "symbol")
    return list(rows.select_for_update(of=("self",), no_key=True))
