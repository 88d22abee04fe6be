"""Rows appended, few or many: the server must have read exactly what was meant."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.primitives.appending import COPY_ROWS_MIN, AppendTable, rows_append
from tests.support.matching import matching_url

AT = datetime(2026, 11, 22, 23, 59, 59, 999999, UTC)
COLUMNS = {
    "n": "bigint",
    "words": "text",
    "more": "text",
    "amount": "numeric",
    "day": "date",
    "at": "timestamptz",
    "facts": "jsonb",
    "bytes": "bytea",
}
TOLD = AppendTable("told", COLUMNS)
MAKE = f"CREATE TEMP TABLE told ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())}, m serial)"
AWKWARD = [
    *("", "NULL", "null", "a,b", '"quoted"', "back\\slash", "{braces}", "tab\tnew\nline\r", "\\N", "\\."),
    *("é – 雪", "'; --", "%s %(x)s %%", "\\t", "\\\\"),
]

words = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
rows_any = st.tuples(
    st.integers(-(2**63), 2**63 - 1),
    words,
    st.none() | words,
    st.none() | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15),
    st.none() | st.dates(date(1, 1, 1), date(9999, 1, 1)),
    st.none() | st.datetimes(timezones=st.just(UTC)),
)


def row(number: int, text: str) -> tuple[Any, ...]:
    return (number, text, text or None, Decimal("1E+3"), AT.date(), AT, '{"a":"\\\\ \\" \\t"}', "\\x00ff5c")


def told(cursor: Any) -> list[tuple[Any, ...]]:
    cursor.execute("SELECT n, words, more, amount, day, at, facts->>'a', bytes FROM told ORDER BY m")
    return [(*found[:7], bytes(found[7])) for found in cursor.fetchall()]


@pytest.mark.parametrize("times", [1, 2])
def test_awkward_rows_come_back_as_they_were_in_their_order(database: None, times: int) -> None:
    """Fifteen of them go by a statement, twice as many by a COPY."""
    texts = AWKWARD * times
    assert (len(texts) < COPY_ROWS_MIN) == (times == 1)
    with connection.cursor() as cursor:
        cursor.execute(MAKE)
        rows_append(cursor, TOLD, [row(n, text) for n, text in enumerate(texts)])
        found = told(cursor)
        cursor.execute("DROP TABLE told")
    wanted = ('\\ " \t', b"\x00\xff\\")
    assert found == [
        (n, text, text or None, Decimal(1000), AT.date(), AT, *wanted) for n, text in enumerate(texts)
    ]


@pytest.mark.parametrize("count", [0, 1, COPY_ROWS_MIN - 1, COPY_ROWS_MIN, 3 * COPY_ROWS_MIN])
def test_each_row_is_appended_once_whichever_way_it_goes(database: None, count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MAKE)
        rows_append(cursor, TOLD, [row(n, "word") for n in range(count)])
        assert [found[0] for found in told(cursor)] == list(range(count))
        cursor.execute("DROP TABLE told")


def test_both_ways_are_read_alike(database: None) -> None:
    """Whatever is in a row, its statement and its COPY leave the same."""
    some = AppendTable("told", {name: COLUMNS[name] for name in list(COLUMNS)[:6]})
    with psycopg.connect(matching_url(), autocommit=True) as session, session.cursor() as cursor:
        cursor.execute(MAKE)

        @settings(max_examples=60, deadline=None)
        @given(st.lists(rows_any, min_size=1, max_size=COPY_ROWS_MIN - 1))
        def alike(rows: list[tuple[Any, ...]]) -> None:
            cursor.execute("TRUNCATE told")
            rows_append(cursor, some, rows)
            repeats = COPY_ROWS_MIN // len(rows) + 1
            rows_append(cursor, some, rows * repeats)
            cursor.execute("SELECT n, words, more, amount, day, at FROM told ORDER BY m")
            assert cursor.fetchall() == rows * (repeats + 1)

        alike()
