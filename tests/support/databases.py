"""Every database alias, for tests that may touch them all; and facts changed behind everybody's back."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

DATABASES = ["default", "owner", "marketdata", "marketdata_owner"]


@contextmanager
def tampered(sql: str, undo: str) -> Iterator[None]:
    """Change what no role may change, for a while, as somebody with the whole server could."""
    _superuser_execute(sql)
    try:
        yield
    finally:
        _superuser_execute(undo)


def _superuser_execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            cursor.execute(sql)
        finally:
            cursor.execute("SET session_replication_role = origin")
