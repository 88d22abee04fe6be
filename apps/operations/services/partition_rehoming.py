"""Rehoming: rows that fell into a DEFAULT partition move, unchanged, into a daily partition of their own."""

from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from apps.accounts.locks import GATE_WRITER_SQL
from apps.operations.services.partitions import Home, ddl_transaction, homes, lock_retry
from apps.primitives.ids import id_time
from apps.primitives.partitions import partition_bounds, partition_create_sql, partition_name

DAYS_MAX = 1_000
"""Days moved in one run; more than that in a DEFAULT partition means something else is wrong."""


def partitions_rehome() -> dict[str, int]:
    """Move every stray row to its day, one day a transaction; returns the rows moved by new partition.

    The rows keep every column, ``xact_id`` included, so the relay's order does not change. The append-only
    guards are switched off on the DEFAULT partition only, by its owner, inside the transaction that moves
    the rows: nobody else ever sees it unguarded.
    """
    moved: dict[str, int] = {}
    for home in homes():
        for _ in range(DAYS_MAX):
            done = lock_retry(partial(day_rehome, home))
            if done is None:
                break
            name, count = done
            moved[name] = count
    return moved


def day_rehome(home: Home, day: date | None = None) -> tuple[str, int] | None:
    """Move the strays of a day, or of the first day that has any; returns None when there are none."""
    with ddl_transaction(home) as cursor:
        if home.alias == "owner":
            # A batch that has begun would look for the rows where its snapshot does not show them.
            cursor.execute(GATE_WRITER_SQL)
        cursor.execute(f"LOCK TABLE {home.default_name} IN ACCESS EXCLUSIVE MODE")
        day = day or _day_first(cursor, home)
        if day is None:
            return None
        return partition_name(home.table.name, day), _rows_move(cursor, home, day)


def _day_first(cursor: Any, home: Home) -> date | None:
    cursor.execute(f"SELECT min({home.table.key}) FROM {home.default_name}")
    lowest = cursor.fetchone()[0]
    return None if lowest is None else _day_of(home, lowest)


def _day_of(home: Home, key: Any) -> date:
    instant: datetime = id_time(key) if home.table.by == "id" else key
    return instant.astimezone(UTC).date()


def _rows_move(cursor: Any, home: Home, day: date) -> int:
    name, default = partition_name(home.table.name, day), home.default_name
    low, high = partition_bounds(home.table, day)
    *creates, attach = partition_create_sql(home.table, day)
    for statement in creates:
        cursor.execute(statement)
    cursor.execute(f"ALTER TABLE {default} DISABLE TRIGGER USER")
    cursor.execute(
        f"WITH gone AS (DELETE FROM {default} WHERE {home.table.key} >= {low} AND {home.table.key} < {high} "
        f"RETURNING *) INSERT INTO {name} SELECT * FROM gone"
    )
    count = int(cursor.rowcount)
    # Checks of foreign keys that wait for the end of the transaction would forbid the ALTER and ATTACH.
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute(f"ALTER TABLE {default} ENABLE TRIGGER USER")
    cursor.execute(attach)
    return count
