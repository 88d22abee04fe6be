"""Instants come from the database as they are: to the microsecond, in UTC, whatever their text looks like."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.datetime import TimestamptzLoader

pytestmark = pytest.mark.usefixtures("database")


def fetched(sql: str, *parameters: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()[0]


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.datetimes(timezones=st.just(UTC)))
def test_every_instant_comes_back_as_it_was_stored(database: None, instant: datetime) -> None:
    found = fetched("SELECT %s::timestamptz", instant)
    assert found == instant
    assert found.tzinfo is UTC


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_instants_are_read_as_the_driver_reads_them(zone: str) -> None:
    sql = "SELECT '2026-03-08 06:59:59+00'::timestamptz + n * interval '0.1 s' FROM generate_series(0, 20) n"
    with connection.cursor() as cursor:
        cursor.execute(f"SET TIME ZONE '{zone}'")
        ours = cursor.execute(sql).fetchall()
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        cursor.execute(sql)
        theirs = cursor.fetchall()
        cursor.execute("SET TIME ZONE 'UTC'")
    assert len(ours) == 21
    assert ours == theirs


@pytest.mark.parametrize("text", ["infinity", "-infinity", "0044-03-15 BC", "10000-01-01"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="timestamp too"):
        fetched("SELECT %s::timestamptz", text)
