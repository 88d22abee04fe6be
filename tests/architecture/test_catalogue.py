"""The catalogue: every table, column, default, key, index and partition that was asked for, in pg_catalog."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from apps.operations.services.partitions import homes
from apps.primitives.clock import utc_now
from apps.primitives.ids import day_bounds
from apps.primitives.partitions import partition_name
from tests.architecture.specified_schema import CANDLES, DIFFERENCES, TABLES, Column
from tests.support.databases import DATABASES

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

RECORD = Path(__file__).resolve().parents[2] / "docs/decisions/0002-schema-differences.md"

NOT_A_NUMBER_KEPT: frozenset[str] = frozenset()
"""Numeric columns that no CHECK guards against NaN yet: this list may only shrink."""


def rows_of(database: str, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connections[database].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


COLUMNS_SQL = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       CASE WHEN a.attidentity <> '' THEN 'serial' ELSE pg_get_expr(d.adbin, d.adrelid) END
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""

CONSTRAINTS_SQL = """
SELECT c.contype, confrelid::regclass::text,
       (SELECT string_agg(a.attname, ', ' ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY AS k (num, n)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num)
FROM pg_constraint c WHERE c.conrelid = to_regclass(%s)
"""


def default_of(text: str | None) -> str | None:
    """Return a default without casts and quotes; every way to say now is ``now``."""
    if text is None:
        return None
    if text in ("clock_timestamp()", "statement_timestamp()", "CURRENT_TIMESTAMP", "now()"):
        return "now"
    return re.sub(r"::[a-z ]+$", "", text).strip("'")


def columns_of(database: str, table: str) -> dict[str, Column]:
    found = rows_of(database, COLUMNS_SQL, table)
    return {name: Column(kind, nullable, default_of(default)) for name, kind, nullable, default in found}


def indexes_of(database: str, table: str) -> dict[str, str]:
    found = rows_of(database, "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", table)
    return {
        name: re.sub(r"^.*USING btree \((.*?)\)( WHERE.*)?$", r"\1", text).replace('"', "")
        for name, text in found
    }


def constraints_of(database: str, table: str, kind: str) -> list[tuple[str, str]]:
    """Return (columns, table pointed to) of a table's constraints of one kind."""
    return [
        (columns, other)
        for type_, other, columns in rows_of(database, CONSTRAINTS_SQL, table)
        if type_ == kind
    ]


def partition_of(database: str, table: str) -> str | None:
    return rows_of(database, "SELECT pg_get_partkeydef(to_regclass(%s))", table)[0][0]


def column_differences(table: str, wanted: dict[str, Column], found: dict[str, Column]) -> dict[str, str]:
    different = {}
    for name, column in wanted.items():
        for what in Column._fields:
            there = getattr(found[name], what) if name in found else None
            if there != getattr(column, what):
                different[f"{table}.{name} {what}"] = str(there)
    return different


def key_differences(table: str) -> dict[str, str]:
    wanted, different = TABLES[table], {}
    database = wanted.database
    primary = constraints_of(database, table, "p")[0][0]
    if primary != wanted.primary_key:
        different[f"{table} primary key"] = primary
    indexes = indexes_of(database, table)
    for name, columns in wanted.indexes.items():
        if indexes.get(name) != columns:
            different[f"{table} index {name}"] = str(indexes.get(name))
    unique = {columns for columns, _ in constraints_of(database, table, "u")}
    different |= {f"{table} unique {columns}": "None" for columns in wanted.unique - unique}
    keys = dict(constraints_of(database, table, "f"))
    for column, other in wanted.foreign_keys.items():
        if keys.get(column) != other:
            different[f"{table} foreign key {column}"] = str(keys.get(column))
    if partition_of(database, table) != wanted.partition:
        different[f"{table} partition"] = str(partition_of(database, table))
    return different


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_as_asked_or_as_recorded(table: str) -> None:
    wanted = TABLES[table]
    found = columns_of(wanted.database, table)
    assert set(wanted.columns) <= set(found), "no column that was asked for is missing"
    different = column_differences(table, wanted.columns, found) | key_differences(table)
    recorded = {name: there for name, (there, _) in DIFFERENCES.items() if re.match(rf"{table}[. ]", name)}
    assert different == recorded


def test_every_difference_is_explained_in_the_record() -> None:
    text = RECORD.read_text()
    headings = set(re.findall(r"^## (.+)$", text, re.MULTILINE))
    for name, (_, heading) in DIFFERENCES.items():
        assert any(heading in title for title in headings), f"{name}: no heading says {heading!r}"
        assert f"`{name}`" in text, name


def test_the_index_on_symbol_and_status_serves_the_live_orders() -> None:
    assert indexes_of("default", "live_orders")["idx_symbol_status"] == "symbol, status, created_at DESC"
    assert indexes_of("default", "trades")["trades_idx_symbol"] == "symbol, executed_at DESC"


@pytest.mark.parametrize("name", CANDLES)
def test_the_candles_that_were_asked_for_are_there(name: str) -> None:
    assert set(CANDLES[name]) <= set(columns_of("marketdata", name))


def test_every_cut_table_has_its_days_and_its_default() -> None:
    today = utc_now().date()
    for home in homes():
        database = "default" if home.alias == "owner" else "marketdata"
        found = dict(
            rows_of(
                database,
                "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
                "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(%s)",
                home.table.name,
            )
        )
        assert found[home.default_name] == "DEFAULT"
        for ahead in range(-1, 8):
            day = today + timedelta(days=ahead)
            bound = found[partition_name(home.table.name, day)]
            if home.table.by == "id":
                low, high = day_bounds(day)
                assert bound == f"FOR VALUES FROM ('{low}') TO ('{high}')"
            else:
                assert bound.startswith(f"FOR VALUES FROM ('{day} 00:00:00+00')")


def test_the_id_function_puts_the_time_in_the_high_bits() -> None:
    ids = [row[0] for row in rows_of("default", "SELECT next_id() FROM generate_series(1, 1000)")]
    assert len(set(ids)) == 1000
    low, high = day_bounds(utc_now().date())
    assert all(low - (1 << 40) < number < high + (1 << 40) for number in ids)


@pytest.mark.parametrize(
    "table",
    [
        "events",
        "event_blocks",
        "transactions",
        "matching_journal",
        "share_issues",
        "trades",
        "settlement_steps",
    ],
)
def test_what_is_append_only_has_its_triggers_on_the_table_and_its_days(table: str) -> None:
    sql = "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgenabled = 'O'"
    names = {row[0] for row in rows_of("default", sql, table)}
    assert {f"{table}_append_only", f"{table}_no_truncate"} <= names
    today = partition_name(table, utc_now().date())
    if rows_of("default", "SELECT to_regclass(%s)", today)[0][0] is not None:
        assert {f"{table}_append_only"} <= {row[0] for row in rows_of("default", sql, today)}


NUMERIC_SQL = """
SELECT c.relname, a.attname, coalesce(array_agg(pg_get_expr(k.conbin, k.conrelid)) FILTER (
           WHERE k.oid IS NOT NULL), '{}'),
       (SELECT string_agg(format('%%s AS %%I', CASE
            WHEN o.attnum = a.attnum THEN '''NaN''::numeric'
            WHEN o.atttypid IN ('numeric'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype)
                THEN '1::' || format_type(o.atttypid, NULL)
            ELSE 'NULL::' || format_type(o.atttypid, NULL) END, o.attname), ', ')
        FROM pg_attribute o WHERE o.attrelid = c.oid AND o.attnum > 0 AND NOT o.attisdropped)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'c' AND a.attnum = ANY(k.conkey)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.atttypid = 'numeric'::regtype
GROUP BY c.oid, c.relname, a.attnum, a.attname ORDER BY 1, 2
"""


def refuses_not_a_number(database: str, checks: list[str], row: str) -> bool:
    """Ask the checks themselves what they say to a row that is sound but for one NaN."""
    return any(
        rows_of(database, f"SELECT ({check}) FROM (SELECT {row}) AS r")[0][0] is False for check in checks
    )


def test_no_figure_can_be_not_a_number() -> None:
    found = {
        f"{table}.{column}"
        for database in ("default", "marketdata")
        for table, column, checks, row in rows_of(database, NUMERIC_SQL)
        if not refuses_not_a_number(database, checks, row)
    }
    assert found == NOT_A_NUMBER_KEPT


def test_money_and_prices_are_exact_everywhere() -> None:
    sql = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type IN ('real', 'double precision', 'money')
    """
    assert rows_of("default", sql) + rows_of("marketdata", sql) == []
