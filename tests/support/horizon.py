"""Waiting until the relays can see what is committed."""

import time

from django.db import connection

_HIDDEN_SQL = "SELECT count(*) FROM events WHERE xact_id >= pg_snapshot_xmin(pg_current_snapshot())"


def seen_wait() -> None:
    """Wait for all that is committed: an open transaction anywhere on the server hides it from the relays."""
    deadline = time.monotonic() + 60
    with connection.cursor() as cursor:
        cursor.execute(_HIDDEN_SQL)
        while cursor.fetchone()[0]:
            assert time.monotonic() < deadline, "events stay hidden from the relays"
            time.sleep(0.01)
            cursor.execute(_HIDDEN_SQL)
