"""Facts that are written while more are told: all of them in the order told, or none."""

from dataclasses import replace

import psycopg
import pytest

from apps.events.facts import SYSTEM, EventRow, Origin
from apps.events.models import Event
from apps.events.services import EventStream, event_append
from apps.events.types import EventType
from tests.support.databases import DATABASES
from tests.support.matching import matching_url

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

AT = "2026-01-08T10:00:00.000000Z"


def fact(number: int) -> EventRow:
    return EventRow(EventType.SIGN_IN_FAILED, 0, {"username": str(number), "door": "web", "at": AT})


def written() -> list[int]:
    return [int(data["username"]) for data in Event.objects.order_by("id").values_list("data", flat=True)]


@pytest.mark.parametrize("count", [0, 3, 199, 200, 450])
def test_what_is_told_while_it_streams_and_after_is_written_once_and_in_order(count: int) -> None:
    stream = EventStream()
    with psycopg.connect(matching_url()) as connection, connection.cursor() as cursor:
        with stream.streaming(cursor):
            for number in range(count):
                stream.append(fact(number))
            assert len(stream.rows) < 200, "the server has what was told before"
        for number in range(count, count + 5):
            stream.append(fact(number))
        event_append(cursor, stream.rows)
    assert written() == list(range(count + 5))


def test_a_failure_while_it_streams_leaves_nothing_and_a_session_that_goes_on() -> None:
    with psycopg.connect(matching_url()) as connection, connection.cursor() as cursor:
        stream = EventStream()
        with pytest.raises(ZeroDivisionError), stream.streaming(cursor):
            for number in range(450):
                stream.append(fact(number))
            raise ZeroDivisionError
        connection.rollback()
        event_append(cursor, [fact(7)])
    assert written() == [7]


def test_what_the_system_does_bears_its_origin_whichever_way_it_is_written() -> None:
    """A COPY leaves the system's metadata to the column; what somebody else did says so itself."""
    someone = Origin(ip_address="10.0.0.1", user_agent="shell \t 1", session_id="a\\b", actor_id=5).metadata()
    by_someone = replace(fact(0), metadata=someone)
    with psycopg.connect(matching_url()) as connection, connection.cursor() as cursor:
        for rows in ([fact(1)], [fact(2)] * 9, [*[fact(3)] * 9, by_someone], [by_someone]):
            event_append(cursor, rows)
    found = list(Event.objects.order_by("id").values_list("metadata", flat=True))
    assert found == [*[SYSTEM.metadata()] * 19, someone, someone]


def test_what_somebody_else_did_is_not_streamed_as_the_systems() -> None:
    with psycopg.connect(matching_url()) as connection, connection.cursor() as cursor:
        stream = EventStream()
        with pytest.raises(AssertionError, match="somebody else"), stream.streaming(cursor):
            for _ in range(200):
                stream.append(replace(fact(0), metadata=Origin().metadata()))
