"""The SQL of daily table partitions: how they are named, bounded, made and protected."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from apps.primitives.ids import day_bounds


@dataclass(frozen=True, slots=True)
class PartitionedTable:
    """One table that is cut by UTC day, by time-ordered id (``id``) or by a timestamp (``time``)."""

    name: str
    key: str
    by: str = "id"
    append_only: bool = False
    fillfactor: int = 100
    keep_days: int | None = None
    """How many days upkeep keeps; None for all of them."""


def partition_name(table: str, day: date) -> str:
    """Return the specification's partition name, such as ``orders_2026_01_08``."""
    return f"{table}_{day:%Y_%m_%d}"


def partition_day(table: str, name: str) -> date | None:
    """Return the day of a daily partition's name, or None for the default or a month's."""
    suffix = name.removeprefix(f"{table}_")
    try:
        return datetime.strptime(suffix, "%Y_%m_%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def partition_bounds(table: PartitionedTable, day: date) -> tuple[str, str]:
    """Return the SQL literals of a day's half-open range for this table's key."""
    if table.by == "id":
        low, high = day_bounds(day)
        return str(low), str(high)
    return f"'{day.isoformat()} 00:00:00+00'", f"'{(day + timedelta(days=1)).isoformat()} 00:00:00+00'"


def append_only_trigger_sql(table: str) -> list[str]:
    """Return statements that refuse UPDATE and DELETE on a table, whoever asks."""
    return [
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION append_only_refuse()",
        *truncate_trigger_sql(table),
    ]


def truncate_trigger_sql(table: str) -> list[str]:
    """Return the statement that refuses TRUNCATE on one table; partitions do not inherit it."""
    return [
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION append_only_refuse()",
    ]


def partition_create_sql(table: PartitionedTable, day: date) -> list[str]:
    """Return the statements that create and attach one day, to be run in one short transaction.

    ``LIKE`` then ``ATTACH`` takes only a SHARE UPDATE EXCLUSIVE lock on the parent, where
    ``CREATE TABLE … PARTITION OF`` would take ACCESS EXCLUSIVE and stop trading.
    """
    name = partition_name(table.name, day)
    low, high = partition_bounds(table, day)
    return [
        f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL) WITH (fillfactor = {table.fillfactor})",
        *(truncate_trigger_sql(name) if table.append_only else []),
        f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})",
    ]


def default_partition_sql(table: PartitionedTable) -> list[str]:
    """Return the statements that create the DEFAULT partition, which upkeep keeps empty."""
    name = f"{table.name}_default"
    return [
        f"CREATE TABLE {name} PARTITION OF {table.name} DEFAULT",
        *(truncate_trigger_sql(name) if table.append_only else []),
    ]


def script(statements: Iterable[str]) -> str:
    """Join statements into one script for a migration."""
    return ";\n".join(statements) + ";"
