"""The lock that keeps archiving and verifying apart: readers of the records share it, movers do not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apps.primitives.errors import Conflict

LOCK_CLASS = 0x0B_A0D1
READ, MOVE = "pg_try_advisory_lock_shared", "pg_try_advisory_lock"
_UNLOCK = {READ: "pg_advisory_unlock_shared", MOVE: "pg_advisory_unlock"}


@contextmanager
def archiving_locked(session: Any, how: str) -> Iterator[None]:
    """Hold the lock of a session to READ or to MOVE records; raises ``Conflict`` when others have it."""
    row = session.execute(f"SELECT {how}(%s, 0)", (LOCK_CLASS,)).fetchone()
    if not row or not row[0]:
        raise Conflict("audit_busy", "Events are being archived or verified by another process: try later.")
    try:
        yield
    finally:
        session.execute(f"SELECT {_UNLOCK[how]}(%s, 0)", (LOCK_CLASS,))
