"""Upkeep of the daily table partitions: made a week ahead, with an alarm when rows miss them."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import OperationalError, connections, transaction
from psycopg import errors

from apps.events.models import PARTITIONED as EVENT_TABLES
from apps.ledger.models import PARTITIONED as LEDGER_TABLES
from apps.marketdata.backends import tables_by_day
from apps.orders.models import PARTITIONED as ORDER_TABLES
from apps.primitives.partitions import PartitionedTable, partition_create_sql, partition_name
from apps.trades.models import PARTITIONED as TRADE_TABLES

logger = logging.getLogger(__name__)

DAYS_AHEAD = 7
DAYS_AHEAD_MAX = 400
LOCK_TIMEOUT_MS = 2_000
"""How long DDL may queue for a lock: everybody who comes later queues behind it."""

ATTEMPTS_MAX = 5
RETRY_PAUSE_S = 0.2
LOCK_CLASS = 0x0B_E12
"""First key of the advisory locks under which one table's partitions are changed by one session at a time."""


@dataclass(frozen=True, slots=True)
class Home:
    """A partitioned table and the connection of the role that owns it."""

    alias: str
    table: PartitionedTable

    @property
    def default_name(self) -> str:
        return f"{self.table.name}_default"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What upkeep did: the partitions it made, and how many rows lie in each DEFAULT partition."""

    created: list[str] = field(default_factory=list)
    strays: dict[str, int] = field(default_factory=dict)


def homes() -> list[Home]:
    """Return every table that is cut by day, with the alias of its owner's connection."""
    own = [*EVENT_TABLES, *LEDGER_TABLES, *ORDER_TABLES, *TRADE_TABLES]
    market = "marketdata_owner" if "marketdata_owner" in settings.DATABASES else "marketdata"
    return [Home("owner", table) for table in own] + [Home(market, table) for table in tables_by_day()]


@contextmanager
def ddl_transaction(home: Home) -> Iterator[Any]:
    """Open one short transaction of DDL on a table, alone among its kind; locks are waited for briefly."""
    connection: Any = connections[home.alias]
    with transaction.atomic(using=home.alias, durable=True), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        if connection.pg_version >= 170_000:
            cursor.execute("SET LOCAL transaction_timeout = 0")
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (LOCK_CLASS, home.table.name))
        yield cursor


def lock_retry(act: Callable[[], Any]) -> Any:
    """Run ``act``, at most five times when a lock is not to be had in time or a deadlock is broken."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return act()
        except OperationalError as error:
            waited = isinstance(error.__cause__, errors.LockNotAvailable | errors.DeadlockDetected)
            if not waited or attempt == ATTEMPTS_MAX:
                raise
            logger.warning("table partitions wait for a lock (attempt %s): %s", attempt, error)
            time.sleep(RETRY_PAUSE_S * attempt)
    return None


def partitions_analyze() -> None:
    """Let the planner know each table as a whole: by itself the server looks at single days only.

    Without it a join of two large tables is planned as if they were a few rows, or countless, and never ends.
    """
    for home in homes():
        lock_retry(partial(_analyze, home))


def _analyze(home: Home) -> None:
    # A server before 18 can only read every partition again with it.
    only = "ONLY " if connections[home.alias].pg_version >= 180_000 else ""  # type: ignore[attr-defined]
    with ddl_transaction(home) as cursor:
        cursor.execute(f"ANALYZE {only}{home.table.name}")


def relation_exists(cursor: Any, name: str) -> bool:
    """Return whether a table of this name exists."""
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))
    return bool(cursor.fetchone()[0])


def day_covered(cursor: Any, table: PartitionedTable, day: date) -> bool:
    """Return whether a day has its partition: its own, or its month's after a merge."""
    names = (partition_name(table.name, day), month_name(table.name, day))
    return any(relation_attached(cursor, table.name, name) for name in names)


def relation_attached(cursor: Any, parent: str, name: str) -> bool:
    """Return whether ``name`` is a partition of ``parent`` now."""
    cursor.execute(
        "SELECT EXISTS (SELECT 1 FROM pg_inherits "
        "WHERE inhrelid = to_regclass(%s) AND inhparent = to_regclass(%s))",
        (name, parent),
    )
    return bool(cursor.fetchone()[0])


def partitions_attached(home: Home) -> list[str]:
    """Return the names of a table's partitions, in order."""
    with connections[home.alias].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = to_regclass(%s) ORDER BY c.relname",
            (home.table.name,),
        )
        return [row[0] for row in cursor.fetchall()]


def month_name(table: str, day: date) -> str:
    """Return the name of the partition that holds a whole month after a merge."""
    return f"{table}_{day:%Y_%m}"


def day_ensure(home: Home, day: date) -> str | None:
    """Make one day's partition unless it is there; returns its name if it was made."""
    with ddl_transaction(home) as cursor:
        if day_covered(cursor, home.table, day):
            return None
        for statement in partition_create_sql(home.table, day):
            cursor.execute(statement)
    return partition_name(home.table.name, day)


def _default_holds_day(home: Home, day: date, error: Exception) -> bool:
    if not isinstance(error.__cause__, errors.CheckViolation):
        return False
    logger.error(
        "%s holds rows of %s, so that day cannot get its partition: run manage.py partitions_rehome",
        home.default_name,
        day,
    )
    return True


def stray_counts(rows_max: int = 1_000_000) -> dict[str, int]:
    """Return how many rows lie in each DEFAULT partition (counted up to a bound); none is as it should be."""
    found = {}
    for home in homes():
        with connections[home.alias].cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM (SELECT 1 FROM {home.default_name} LIMIT {rows_max}) AS s")
            count = cursor.fetchone()[0]
        if count:
            found[home.default_name] = count
    return found


def partitions_ensure(today: date, days_ahead: int = DAYS_AHEAD) -> Upkeep:
    """Make yesterday's, today's and the coming days' partitions where they are missing, one a transaction.

    Dates are UTC days. Safe to repeat and to run twice at once. Rows in a DEFAULT partition are an alarm:
    it is logged as an error and returned.
    """
    assert 0 <= days_ahead <= DAYS_AHEAD_MAX
    created = []
    for home in homes():
        for offset in range(-1, days_ahead + 1):
            day = today + timedelta(days=offset)
            try:
                name = lock_retry(partial(day_ensure, home, day))
            except Exception as error:
                if not _default_holds_day(home, day, error):
                    raise
                continue
            if name:
                created.append(name)
    strays = stray_counts()
    for name, count in strays.items():
        logger.error("%s holds %s rows that have no day: run manage.py partitions_rehome", name, count)
    return Upkeep(created=created, strays=strays)
