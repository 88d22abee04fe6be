"""Retention: partitions whose every row is older than the table keeps are dropped, whole."""

import logging
from datetime import date, datetime, timedelta
from functools import partial

from apps.operations.services.partitions import (
    Home,
    ddl_transaction,
    homes,
    lock_retry,
    partitions_attached,
    relation_attached,
)
from apps.primitives.partitions import partition_day

logger = logging.getLogger(__name__)


def partitions_expire(today: date) -> list[str]:
    """Drop the days and months that lie wholly before what each table keeps; returns their names.

    Dates are UTC days. Tables that keep everything lose nothing; the DEFAULT partition never goes.
    """
    dropped = []
    for home in homes():
        if home.table.keep_days is None:
            continue
        limit = today - timedelta(days=home.table.keep_days)
        for name in _partitions_before(home, limit):
            if lock_retry(partial(_partition_drop, home, name)):
                dropped.append(name)
    if dropped:
        logger.info("retention dropped %s", ", ".join(dropped))
    return dropped


def _partitions_before(home: Home, limit: date) -> list[str]:
    ends = {name: partition_end(home.table.name, name) for name in partitions_attached(home)}
    return [name for name, end in ends.items() if end is not None and end <= limit]


def partition_end(table: str, name: str) -> date | None:
    """Return the first day after a daily or monthly partition, by its name; None for the default."""
    day = partition_day(table, name)
    if day is not None:
        return day + timedelta(days=1)
    try:
        month = datetime.strptime(name.removeprefix(f"{table}_"), "%Y_%m").date()  # noqa: DTZ007
    except ValueError:
        return None
    return (month + timedelta(days=32)).replace(day=1)


def _partition_drop(home: Home, name: str) -> bool:
    with ddl_transaction(home) as cursor:
        if not relation_attached(cursor, home.table.name, name):
            return False
        cursor.execute(f"DROP TABLE {name}")
    return True
