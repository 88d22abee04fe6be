"""The bytes that verifying makes of a row are those that sealing made of it, whatever the row says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.audit.lines import COPY_SQL, line_split, line_value
from apps.audit.services.verification import dsn_text
from apps.audit.units import session_open
from apps.events.records import event_record
from tests.support.chain import EVENTS_SQL, events_list

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]

# PostgreSQL keeps neither NUL nor half of a surrogate pair.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
NUMBERS = st.integers(-(2**53), 2**53) | st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
BIG = st.none() | st.integers(-(2**63), 2**63 - 1)
FIRST = datetime(1990, 1, 1, tzinfo=UTC)
TIMES = st.timedeltas(timedelta(0), timedelta(days=60_000)).map(lambda since: FIRST + since)
WHOLE_TIMES = st.integers(0, 4 * 10**12).map(lambda ms: FIRST + timedelta(milliseconds=ms))
ROWS = st.tuples(
    st.integers(0, 2**63 - 1),
    TIMES | WHOLE_TIMES,
    TEXT,
    TEXT,
    st.integers(-(2**63), 2**63 - 1),
    BIG,
    BIG,
    st.dictionaries(TEXT, JSON, max_size=4),
    st.dictionaries(TEXT, JSON, max_size=3),
)


def row_write(session: Any, row: tuple[Any, ...]) -> None:
    number, at, topic, event_type, user_id, account_id, account_seq, data, metadata = row
    session.execute(
        'INSERT INTO events (id, "timestamp", topic, event_type, user_id, account_id, account_seq, data, '
        "metadata) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb)",
        (
            number,
            at,
            topic,
            event_type,
            user_id,
            account_id,
            account_seq,
            orjson.dumps(data).decode(),
            orjson.dumps(metadata).decode(),
        ),
    )


@pytest.fixture
def session() -> "Iterator[psycopg.Connection[Any]]":
    with session_open(dsn_text()) as opened:
        opened.execute("SET default_transaction_read_only = off")
        yield opened


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, min_size=1, max_size=4, unique_by=lambda row: row[0]))
def test_both_ways_to_the_bytes_of_an_event_agree(
    session: "psycopg.Connection[Any]", rows: list[tuple[Any, ...]]
) -> None:
    with session.transaction(force_rollback=True):
        for row in rows:
            row_write(session, row)
        records = [event_record(row) for row in session.execute(EVENTS_SQL).fetchall()]
        sql = COPY_SQL.format(low=-(2**63), high=2**63 - 1, order="")
        with session.cursor() as cursor, cursor.copy(sql) as copy:
            read = {int(fields[0]): line_value(fields) for fields in map(line_split, map(bytes, copy))}
    assert read == {record.id: record.value() for record in records}
    assert len(read) == len(rows)


def test_the_server_says_nothing_in_the_way_of_the_session_that_asks() -> None:
    """A date style or a zone of the role's own must not change a byte."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (topic, event_type, user_id, data, metadata) VALUES ('a', 'b', 1, '{}', '{}')"
        )
        cursor.execute("ALTER ROLE CURRENT_USER SET datestyle = 'German, DMY'")
    try:
        with (
            session_open(dsn_text()) as session,
            session.cursor() as cursor,
            cursor.copy(COPY_SQL.format(low=0, high=2**63 - 1, order="")) as copy,
        ):
            (line,) = [bytes(line) for line in copy]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER ROLE CURRENT_USER RESET datestyle")
    assert line_value(line_split(line)) == events_list()[0].value()
