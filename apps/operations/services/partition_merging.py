"""Merging: days long past become one partition a month, so that seven years stay a few hundred tables."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connections, transaction

from apps.operations.services.partitions import (
    Home,
    ddl_transaction,
    homes,
    lock_retry,
    month_name,
    partitions_attached,
    relation_attached,
    relation_exists,
)
from apps.orders.models import LiveOrder
from apps.primitives.ids import id_floor
from apps.primitives.partitions import partition_day, truncate_trigger_sql

logger = logging.getLogger(__name__)

KEEP_DAYS = 90
"""Days stay apart as long as an order good till cancelled may live in them."""

MERGING_CLASS = 0x0B_0D4E
"""First key of the advisory locks under which one process merges one table; the second is the table's."""

STEP = timedelta(hours=1)
"""One copying transaction's share of a day: a long writing transaction would hold the relay back."""


class MergeMismatch(RuntimeError):
    """The month's copy differs from its days: nothing was swapped and the copy is thrown away."""


def partitions_merge(today: date, keep_days: int = KEEP_DAYS) -> dict[str, int]:
    """Merge every whole month older than ``keep_days`` into one partition; returns rows by new partition.

    A month in which an order still lives is left alone in every table, and so is a table that somebody else
    is merging. The copy is made aside in small steps; then the days are locked, count and hash of days and
    copy are compared, and only equals are swapped. Raises ``MergeMismatch``.
    """
    merged = {}
    for home in homes():
        with _alone(home) as is_alone:
            months = _months(home, today - timedelta(days=keep_days)) if is_alone else []
            for month, names in months:
                if not _month_has_live_order(month):
                    merged[month_name(home.table.name, month)] = _month_merge(home, month, names)
    return merged


@contextmanager
def _alone(home: Home) -> Iterator[bool]:
    """Tell whether nobody else merges this table; nobody begins to until the end.

    A merge takes many transactions, so the session holds the lock; it goes with the session.
    """
    key = (MERGING_CLASS, home.table.name)
    with connections[home.alias].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", key)
        is_alone = bool(cursor.fetchone()[0])
    try:
        yield is_alone
    finally:
        if is_alone:
            with connections[home.alias].cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", key)


def _months(home: Home, limit: date) -> list[tuple[date, list[str]]]:
    """Return the months whose every day ended before ``limit``, with their daily partitions in order."""
    months: dict[date, list[str]] = {}
    for name in partitions_attached(home):
        day = partition_day(home.table.name, name)
        if day is not None and _month_after(day) <= limit:
            months.setdefault(day.replace(day=1), []).append(name)
    return sorted(months.items())


def _month_after(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _instant(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _month_has_live_order(month: date) -> bool:
    low, high = id_floor(_instant(month)), id_floor(_instant(_month_after(month)))
    return LiveOrder.objects.using("owner").filter(order_id__gte=low, order_id__lt=high).exists()


def _bound(home: Home, instant: datetime) -> str:
    return str(id_floor(instant)) if home.table.by == "id" else f"'{instant.isoformat()}'"


def _month_merge(home: Home, month: date, names: list[str]) -> int:
    target = month_name(home.table.name, month)
    lock_retry(lambda: _copy_start(home, month, target))
    for name in names:
        day = partition_day(home.table.name, name)
        assert day is not None
        _day_copy(home, day, name, target)
    try:
        return int(lock_retry(lambda: _swap(home, month, names, target)))
    except MergeMismatch:
        with ddl_transaction(home) as cursor:
            cursor.execute(f"DROP TABLE {target}")
        raise


def _copy_start(home: Home, month: date, target: str) -> None:
    """Make the empty month aside, with the checks that let it be attached without another reading."""
    table = home.table
    low, high = _bound(home, _instant(month)), _bound(home, _instant(_month_after(month)))
    with ddl_transaction(home) as cursor:
        if relation_attached(cursor, table.name, target):
            raise MergeMismatch(f"{target} is attached already beside its own days")
        if relation_exists(cursor, target):
            logger.warning("%s was left half made by an earlier run and is begun again", target)
            cursor.execute(f"DROP TABLE {target}")
        cursor.execute(f"CREATE TABLE {target} (LIKE {table.name} INCLUDING ALL)")
        bounds = f"{table.key} >= {low} AND {table.key} < {high}"
        cursor.execute(f"ALTER TABLE {target} ADD CONSTRAINT {target}_bounds CHECK ({bounds})")
        for definition in _foreign_keys(cursor, table.name):
            cursor.execute(f"ALTER TABLE {target} ADD {definition}")
        for statement in truncate_trigger_sql(target) if _is_guarded(cursor, names_of=table.name) else []:
            cursor.execute(statement)


def _is_guarded(cursor: Any, names_of: str) -> bool:
    cursor.execute(
        "SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname = %s)",
        (names_of, f"{names_of}_no_truncate"),
    )
    return bool(cursor.fetchone()[0])


def _foreign_keys(cursor: Any, table: str) -> list[str]:
    cursor.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = to_regclass(%s) AND contype = 'f'",
        (table,),
    )
    return [row[0] for row in cursor.fetchall()]


def _steps(day: date) -> Iterator[tuple[datetime, datetime]]:
    start, end = _instant(day), _instant(day + timedelta(days=1))
    while start < end:
        yield start, start + STEP
        start += STEP


def _day_copy(home: Home, day: date, source: str, target: str) -> None:
    """Copy one day hour by hour, each row as it is; ``SELECT *`` carries ``xact_id`` along."""
    for start, end in _steps(day):
        with transaction.atomic(using=home.alias, durable=True), connections[home.alias].cursor() as cursor:
            cursor.execute(f"LOCK TABLE {source} IN SHARE MODE")
            cursor.execute(
                f"INSERT INTO {target} SELECT * FROM {source} "
                f"WHERE {home.table.key} >= {_bound(home, start)} AND {home.table.key} < {_bound(home, end)} "
                f"ORDER BY {home.table.key}"
            )


def _fingerprint(cursor: Any, names: list[str]) -> tuple[int, Any]:
    """Return the count of rows and the sum of their hashes, every column as text, whatever the order."""
    rows = " UNION ALL ".join(
        f"SELECT hashtextextended(t::text, 0)::numeric AS h FROM {n} AS t" for n in names
    )
    cursor.execute(f"SELECT count(*), coalesce(sum(h), 0) FROM ({rows}) AS r")
    count, total = cursor.fetchone()
    return count, total


def _swap(home: Home, month: date, names: list[str], target: str) -> int:
    table = home.table
    low, high = _bound(home, _instant(month)), _bound(home, _instant(_month_after(month)))
    with ddl_transaction(home) as cursor:
        cursor.execute(f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE")
        days, copy = _fingerprint(cursor, names), _fingerprint(cursor, [target])
        if days != copy:
            raise MergeMismatch(f"{target}: days have {days}, the copy {copy}")
        for name in names:
            cursor.execute(f"ALTER TABLE {table.name} DETACH PARTITION {name}")
        cursor.execute(
            f"ALTER TABLE {table.name} ATTACH PARTITION {target} FOR VALUES FROM ({low}) TO ({high})"
        )
        cursor.execute(f"ALTER TABLE {target} DROP CONSTRAINT {target}_bounds")
        for name in names:
            cursor.execute(f"DROP TABLE {name}")
    return days[0]
