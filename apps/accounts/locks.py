"""The only places that lock account rows or the booking gate, each asserting its database transaction."""

from collections.abc import Iterable

from django.db import connection

from apps.accounts.models import Account

GATE_BOOKING_SQL = "LOCK TABLE booking_gate IN EXCLUSIVE MODE"
"""Taken first by a booking transaction, before any snapshot exists: one booking at a time."""

GATE_WRITER_SQL = "LOCK TABLE booking_gate IN ROW EXCLUSIVE MODE"
"""Taken first by every other writer of balances: they exclude booking, not one another."""


GATE_ALONE_SQL = "LOCK TABLE booking_gate IN SHARE ROW EXCLUSIVE MODE"
"""Taken by a writer of several accounts that may wait for one of them: it excludes booking and all others."""


def booking_gate_enter_alone() -> None:
    """Keep every other writer of balances out before the first row is locked.

    An account's events are in the order of transaction ids, and the first lock of a row draws one: whoever
    then waited for another account would come before somebody who was drawn later and commits first.
    """
    assert connection.in_atomic_block, "the booking gate is held until the end of a transaction"
    with connection.cursor() as cursor:
        cursor.execute(GATE_ALONE_SQL)


def booking_gate_enter() -> None:
    """Take the writers' side of the booking gate; must be the first statement of the transaction."""
    assert connection.in_atomic_block, "the booking gate is held until the end of a transaction"
    with connection.cursor() as cursor:
        cursor.execute(GATE_WRITER_SQL)


def accounts_locked(account_ids: Iterable[int]) -> list[Account]:
    """Lock accounts in key order (FOR NO KEY UPDATE) and return them."""
    assert connection.in_atomic_block, "a row lock needs a transaction"
    rows = Account.objects.filter(pk__in=set(account_ids)).order_by("pk")
    return list(rows.select_for_update(of=("self",), no_key=True))
