"""Many values as one text: PostgreSQL must read back what was meant, whatever is in it."""

from datetime import UTC, datetime
from decimal import Decimal

from django.db import connection

from apps.primitives.literals import array_text

AWKWARD = [
    "",
    "NULL",
    "null",
    "a,b",
    '"quoted"',
    "back\\slash",
    "{braces}",
    "tab\tnew\nline\r",
    "\\N",
    "é – 雪",
    "'; --",
]


def test_texts_come_back_from_an_array_as_they_were(database: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[]", [array_text([*AWKWARD, None])])
        assert cursor.fetchone() == ([*AWKWARD, None],)


def test_numbers_instants_and_truths_come_back_from_an_array(database: None) -> None:
    prices, at = [Decimal("95.1200"), None, Decimal("1E+3")], datetime(2026, 11, 22, 23, 59, 59, 999999, UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT %s::numeric[], %s::bigint[], %s::timestamptz[], %s::boolean[]",
            [array_text(prices), array_text([2**63 - 1, -1]), array_text([at]), array_text([True, False])],
        )
        assert cursor.fetchone() == (prices, [2**63 - 1, -1], [at], [True, False])
