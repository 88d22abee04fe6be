"""Statements under way while the client goes on: in order, all of them or none, and every refusal heard."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from apps.primitives.pipelining import PipelinedCursor, rows_ask, rows_expect
from tests.support.matching import matching_url

Session = psycopg.Connection[Any]


class Missed(Exception):
    """A statement touched other rows than were expected."""


@pytest.fixture
def session(database: None) -> Iterator[Session]:
    with psycopg.connect(matching_url(), autocommit=True) as session:
        session.execute("CREATE TABLE IF NOT EXISTS told (n integer PRIMARY KEY, word text)")
        yield session
    with psycopg.connect(matching_url(), autocommit=True) as after:
        after.execute("DROP TABLE told")


@pytest.fixture
def other(session: Session) -> Iterator[Session]:
    with psycopg.connect(matching_url()) as other:
        yield other


def told(session: Session) -> list[tuple[int, str]]:
    return session.execute("SELECT n, word FROM told ORDER BY n").fetchall()


def told_copy(cursor: PipelinedCursor, *lines: str) -> None:
    with cursor.copy("COPY told FROM STDIN") as copy:
        copy.write("".join(lines))


def begin(cursor: PipelinedCursor) -> None:
    cursor.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")


def test_statements_and_copies_take_effect_in_the_order_in_which_they_are_sent(session: Session) -> None:
    with PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("INSERT INTO told VALUES (%s, %s)", (1, "one"))
        told_copy(cursor, "2\ttwo\n", "3\tthree\n")
        cursor.execute("UPDATE told SET word = word || '!'")
        told_copy(cursor, "4\tfour\n")
        told_copy(cursor, "5\tfive\n")
        cursor.execute("SELECT n, word FROM told ORDER BY n")
        assert cursor.fetchone() == (1, "one!")
        assert cursor.fetchall() == [(2, "two!"), (3, "three!"), (4, "four"), (5, "five")]
    session.execute("COMMIT")
    assert len(told(session)) == 5


def test_the_client_goes_on_while_the_server_is_held_up_by_a_statement(
    session: Session, other: Session
) -> None:
    """Who waited for the statement would wait for ever: what it needs is let go only afterwards."""
    other.execute("SELECT pg_advisory_xact_lock(4711)")
    with PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("SELECT pg_advisory_xact_lock(4711)")
        cursor.execute("INSERT INTO told VALUES (1, 'one')")
        other.commit()
    session.execute("COMMIT")
    assert told(session) == [(1, "one")]


def test_the_client_goes_on_before_a_copy_has_ended(session: Session, other: Session) -> None:
    """At its end the server would wait for the other's row, which is taken back only afterwards."""
    other.execute("INSERT INTO told VALUES (1, 'mine')")
    with PipelinedCursor(session) as cursor:
        begin(cursor)
        told_copy(cursor, "1\tone\n")
        other.rollback()
        cursor.execute("UPDATE told SET word = 'once'")
    session.execute("COMMIT")
    assert told(session) == [(1, "once")]


def test_rows_that_were_missed_are_heard_of_before_anything_can_be_committed(session: Session) -> None:
    with pytest.raises(Missed), PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("INSERT INTO told VALUES (1, 'one')")
        rows_expect(cursor, 1, AssertionError("it was inserted"))
        cursor.execute("UPDATE told SET word = 'two' WHERE n = 2")
        rows_expect(cursor, 1, Missed())
        cursor.execute("UPDATE told SET word = 'uno' WHERE n = 1")
    session.execute("ROLLBACK")
    assert told(session) == []


def test_rows_that_were_missed_are_heard_of_at_once_on_a_cursor_that_waits(session: Session) -> None:
    with session.cursor() as cursor:
        cursor.execute("UPDATE told SET word = 'two' WHERE n = 2")
        rows_expect(cursor, 0, Missed())
        with pytest.raises(Missed):
            rows_expect(cursor, 1, Missed())


def test_a_missed_row_before_a_copy_is_heard_of_before_the_copy_begins(session: Session) -> None:
    with PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("DELETE FROM told")
        rows_expect(cursor, 1, Missed())
        with pytest.raises(Missed):
            told_copy(cursor, "1\tone\n")
    session.execute("COMMIT")
    assert told(session) == []


@pytest.mark.parametrize("then", ["", "fetch", "copy"])
def test_what_the_server_refuses_is_raised_as_itself_whatever_was_sent_after_it(
    session: Session, then: str
) -> None:
    with pytest.raises(errors.UniqueViolation), PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("INSERT INTO told VALUES (1, 'one')")
        cursor.execute("INSERT INTO told VALUES (1, 'again')")
        cursor.execute("INSERT INTO told VALUES (2, 'two')")
        rows_expect(cursor, 1, AssertionError("the server's refusal is the cause"))
        cursor.execute("SELECT n FROM told")
        if then == "fetch":
            cursor.fetchall()
        elif then == "copy":
            told_copy(cursor, "3\tthree\n")
    session.execute("ROLLBACK")
    assert told(session) == []


@pytest.mark.parametrize("later", ["the server", "the client"])
def test_of_two_things_that_go_wrong_the_first_is_raised(session: Session, later: str) -> None:
    with pytest.raises(Missed), PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("UPDATE told SET word = 'two' WHERE n = 2")
        rows_expect(cursor, 1, Missed())
        cursor.execute("INSERT INTO told VALUES (1, 'one')")
        if later == "the server":
            cursor.execute("INSERT INTO told VALUES (1, 'again')")
            rows_expect(cursor, 1, AssertionError("it was never answered"))
        else:
            cursor.execute("SELECT n FROM told")
            cursor.fetchall()
            raise ZeroDivisionError
    session.execute("ROLLBACK")
    assert told(session) == []


def test_a_copy_that_the_server_refuses_is_raised_by_what_comes_next(session: Session) -> None:
    with pytest.raises(errors.UniqueViolation), PipelinedCursor(session) as cursor:
        begin(cursor)
        told_copy(cursor, "1\tone\n", "1\tagain\n")
        cursor.execute("INSERT INTO told VALUES (2, 'two')")
    session.execute("ROLLBACK")
    assert told(session) == []


def test_two_that_cannot_be_put_in_order_are_told_so_and_the_session_goes_on(
    session: Session, other: Session
) -> None:
    session.execute("INSERT INTO told VALUES (1, 'one'), (2, 'two')")
    other.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    with pytest.raises(errors.SerializationFailure), PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("SELECT * FROM told")
        assert len(cursor.fetchall()) == 2
        other.execute("UPDATE told SET word = 'uno' WHERE n = 1")
        other.commit()
        cursor.execute("UPDATE told SET word = 'una' WHERE n = 1")
        cursor.execute("UPDATE told SET word = 'due' WHERE n = 2")
    session.execute("ROLLBACK")
    with PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("UPDATE told SET word = 'due' WHERE n = 2")
    session.execute("COMMIT")
    assert told(session) == [(1, "uno"), (2, "due")]


def test_half_of_a_copy_is_not_kept_by_who_goes_on_after_its_failure(session: Session) -> None:
    with pytest.raises(errors.InFailedSqlTransaction), PipelinedCursor(session) as cursor:
        begin(cursor)
        with pytest.raises(ZeroDivisionError), cursor.copy("COPY told FROM STDIN") as copy:
            copy.write("1\tone\n")
            raise ZeroDivisionError
        cursor.execute("INSERT INTO told VALUES (2, 'two')")
    session.execute("ROLLBACK")
    assert told(session) == []


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_rows_of_a_copy_are_counted_as_well(session: Session, rows: int) -> None:
    with pytest.raises(Missed), PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("INSERT INTO told VALUES (7, 'seven')")
        told_copy(cursor, *(f"{n}\tword\n" for n in range(rows)))
        rows_expect(cursor, rows, AssertionError("so many were copied"))
        cursor.execute("SELECT 1")
        rows_expect(cursor, 2, Missed())
    session.execute("ROLLBACK")


def test_what_an_aborted_pipeline_left_unprepared_is_prepared_when_it_is_tried_again(
    session: Session,
) -> None:
    """The driver counts a statement as prepared once it is sent, even behind one that was refused."""
    session.prepare_threshold = 2

    def tried(is_refused: bool) -> None:
        with PipelinedCursor(session) as cursor:
            begin(cursor)
            if is_refused:
                cursor.execute("SELECT 1 / 0")
            cursor.execute("INSERT INTO told VALUES (%s, 'word')", (next(numbers),))

    numbers = iter(range(100))
    outcomes = []
    for is_refused in (True, True, True, False, True, True, True, True, False, True, True, False, False):
        try:
            tried(is_refused)
            session.execute("COMMIT")
            outcomes.append(False)
        except errors.DivisionByZero:
            session.rollback()
            outcomes.append(True)
    assert outcomes == [True, True, True, False, True, True, True, True, False, True, True, False, False]
    assert len(told(session)) == 4


@pytest.mark.parametrize("within", ["statement", "copy", "after a copy"])
def test_a_client_that_fails_leaves_nothing_and_a_session_that_goes_on(session: Session, within: str) -> None:
    with pytest.raises(ZeroDivisionError), PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("INSERT INTO told VALUES (1, 'one')")
        if within != "statement":
            with cursor.copy("COPY told FROM STDIN") as copy:
                copy.write("2\ttwo\n")
                if within == "copy":
                    raise ZeroDivisionError
        raise ZeroDivisionError
    session.execute("ROLLBACK")
    assert told(session) == []


def test_a_session_that_the_server_has_ended_is_no_success(session: Session, other: Session) -> None:
    with pytest.raises(psycopg.OperationalError), PipelinedCursor(session) as cursor:
        begin(cursor)
        cursor.execute("INSERT INTO told VALUES (1, 'one')")
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (session.info.backend_pid,))
        cursor.execute("INSERT INTO told VALUES (2, 'two')")
    other.rollback()
    assert told(other) == []


def test_rows_asked_for_early_are_there_in_any_order_and_as_they_were(session: Session) -> None:
    with PipelinedCursor(session) as cursor:
        begin(cursor)
        told_copy(cursor, "1\tone\n")
        ones = rows_ask(cursor, "SELECT word FROM told")
        twos = rows_ask(cursor, "SELECT n * %s FROM told", (2,))
        cursor.execute("UPDATE told SET word = 'uno' RETURNING n")
        assert cursor.fetchall() == [(1,)]
        assert twos() == [(2,)]
        told_copy(cursor, "2\ttwo\n")
        assert ones() == [("one",)], "a COPY between question and answer changes nothing"
    session.execute("COMMIT")
    assert told(session) == [(1, "uno"), (2, "two")]


def test_rows_asked_for_in_vain_raise_what_the_server_said_of_them(session: Session) -> None:
    with pytest.raises(errors.DivisionByZero), PipelinedCursor(session) as cursor:
        begin(cursor)
        asked = rows_ask(cursor, "SELECT 1 / %s", (0,))
        cursor.execute("SELECT 1")
        asked()
    session.execute("ROLLBACK")


def test_without_a_pipeline_rows_asked_for_outlive_the_next_statement(session: Session) -> None:
    with session.cursor() as cursor:
        asked = rows_ask(cursor, "SELECT 1")
        cursor.execute("SELECT 2")
        assert (asked(), cursor.fetchall()) == ([(1,)], [(2,)])
