"""The relay delivers what committed, in commit order, at least once, whatever crashes in between."""

import json
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import connection, transaction

from apps.events import relay as relay_module
from apps.events.facts import EventRow
from apps.events.models import RelayCursor, RelayDay, RelayState
from apps.events.records import EventRecord
from apps.events.relay import (
    CursorMoved,
    Relay,
    ServerChanged,
    SinkUnavailable,
    relay_run,
)
from apps.events.selectors import relay_lag_list
from apps.events.services import event_append
from apps.events.types import EventType
from apps.primitives.clock import utc_now
from apps.primitives.failpoints import FailpointHit, failpoints_arm
from apps.primitives.ids import id_floor
from tests.support.house import until
from tests.support.matching import matching_url

AT = "2026-01-08T10:00:00.000000Z"


def rows(*names: str) -> list[EventRow]:
    return [
        EventRow(EventType.SIGN_IN_FAILED, 1, {"username": name, "door": "web", "at": AT}) for name in names
    ]


def append(session: "psycopg.Connection", *names: str) -> None:
    with session.cursor() as cursor:
        event_append(cursor, rows(*names))


def delivered(relay: Relay, wanted: int) -> int:
    """Step until so many events came: an open transaction on the server, anybody's, delays them."""
    count, deadline = 0, time.monotonic() + 10
    while count < wanted and time.monotonic() < deadline:
        count += relay.step()
    return count


@pytest.fixture
def sessions(database: None) -> Callable[[], "psycopg.Connection"]:
    return lambda: psycopg.connect(matching_url())


def test_events_are_delivered_once_in_order(sessions: Callable[[], "psycopg.Connection"]) -> None:
    seen: list[str] = []
    relay = Relay("test", lambda events: seen.extend(e.data["username"] for e in events))
    with sessions() as session:
        append(session, "A", "B", "C", "D", "E", "F")
    assert delivered(relay, 6) == 6
    assert seen == ["A", "B", "C", "D", "E", "F"]
    assert relay.step() == 0


def test_event_with_smaller_id_that_commits_later_is_not_lost(
    sessions: Callable[[], "psycopg.Connection"],
) -> None:
    seen: list[str] = []
    relay = Relay("test", lambda events: seen.extend(e.data["username"] for e in events))
    with sessions() as slow, sessions() as quick:
        append(slow, "SLOW")
        append(quick, "QUICK")
        quick.commit()
        assert relay.step() == 0, "an older transaction is still open, so nothing newer may be told"
        slow.commit()
    delivered(relay, 2)
    assert seen == ["SLOW", "QUICK"]


def test_what_was_rolled_back_is_never_told(sessions: Callable[[], "psycopg.Connection"]) -> None:
    seen: list[str] = []
    relay = Relay("test", lambda events: seen.extend(e.data["username"] for e in events))
    with sessions() as session:
        append(session, "NEVER")
        session.rollback()
        append(session, "ALWAYS")
    delivered(relay, 1)
    assert seen == ["ALWAYS"]


def test_failing_sink_gets_the_same_events_again(sessions: Callable[[], "psycopg.Connection"]) -> None:
    tries: list[list[int]] = []

    def sink(events: list[EventRecord]) -> None:
        tries.append([e.id for e in events])
        if len(tries) == 1:
            raise ConnectionError("the sink is away")

    relay = Relay("test", sink)
    with sessions() as session:
        append(session, "A", "B")
    with pytest.raises(ConnectionError):
        delivered(relay, 2)
    assert delivered(Relay("test", sink), 2) == 2
    assert tries[0] == tries[1]


def test_relay_refuses_a_restored_older_database_until_it_is_rebased(database: None) -> None:
    relay = Relay("test", lambda events: None)
    relay.start()
    RelayCursor.objects.filter(pk="test").update(xact_id=2**60)
    with pytest.raises(ServerChanged, match="events_rebase"):
        Relay("test", lambda events: None).start()
    again = Relay("test", lambda events: None)
    again.rebase()
    assert again.position.stream_epoch == 2
    Relay("test", lambda events: None).start()


def test_event_message_is_the_specifications(database: None) -> None:
    seen: list[EventRecord] = []
    with transaction.atomic(), connection.cursor() as cursor:
        event_append(cursor, rows("ada"))
    delivered(Relay("test", seen.extend), 1)
    message = seen[0].message()
    wanted = {"event_id", "timestamp", "event_type", "user_id", "data", "metadata"}
    assert wanted <= set(message)
    assert set(message["metadata"]) == {"ip_address", "user_agent", "session_id"}
    assert message["timestamp"].endswith("Z") and len(message["timestamp"]) == 27
    assert json.loads(seen[0].value(), parse_float=Decimal) == {**message, "topic": seen[0].topic}


def test_crash_between_sink_and_cursor_repeats_the_events_and_counts_them_once(
    sessions: Callable[[], "psycopg.Connection"],
) -> None:
    seen: list[str] = []
    with sessions() as session:
        append(session, "A", "B")
    failpoints_arm("relay.after_send=raise")
    try:
        with pytest.raises(FailpointHit):
            delivered(Relay("test", lambda events: seen.extend(e.data["username"] for e in events)), 2)
    finally:
        failpoints_arm("")
    again = Relay("test", lambda events: seen.extend(e.data["username"] for e in events))
    assert delivered(again, 2) == 2
    assert seen == ["A", "B", "A", "B"]
    assert [day.delivered for day in RelayDay.objects.filter(sink="test")] == [2]


def test_crash_before_the_sink_tells_nothing(sessions: Callable[[], "psycopg.Connection"]) -> None:
    seen: list[EventRecord] = []
    with sessions() as session:
        append(session, "A")
    failpoints_arm("relay.before_send=raise")
    try:
        with pytest.raises(FailpointHit):
            delivered(Relay("test", seen.extend), 1)
    finally:
        failpoints_arm("")
    assert not seen and not RelayDay.objects.exists()


def test_second_relay_of_a_sink_ends_itself(sessions: Callable[[], "psycopg.Connection"]) -> None:
    first, second = Relay("test", lambda events: None), Relay("test", lambda events: None)
    with sessions() as session:
        append(session, "A")
    assert delivered(first, 1) == 1
    with pytest.raises(CursorMoved):
        delivered(second, 1)


def test_events_wait_while_the_sinks_other_end_is_away(
    sessions: Callable[[], "psycopg.Connection"],
) -> None:
    seen: list[str] = []
    away = iter([True, True, False])

    def sink(events: list[EventRecord]) -> None:
        if next(away):
            raise SinkUnavailable("nobody answers")
        seen.extend(event.data["username"] for event in events)

    with sessions() as session:
        append(session, "A", "B")
    deadline = time.monotonic() + 10
    relay_run(Relay("test", sink), lambda _: None, lambda: bool(seen) or time.monotonic() > deadline)
    assert seen == ["A", "B"]


def test_alarm_names_the_process_that_holds_the_relay_back(
    sessions: Callable[[], "psycopg.Connection"],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(relay_module, "HELD_BACK_S", 0)
    relay = Relay("test", lambda events: None)
    assert not relay.held_back_tell()
    with sessions() as slow, sessions() as quick:
        append(slow, "SLOW")
        append(quick, "QUICK")
        quick.commit()
        assert relay.step() == 0
        # Whoever else works on this server for a moment, such as its autovacuum, may be the oldest.
        named = f"process {slow.info.backend_pid})"
        until(lambda: relay.held_back_tell() and named in caplog.text, "the slow session is named")
        [lag] = relay_lag_list()
        assert (lag.sink, lag.waiting) == ("test", 1)
        slow.commit()
    delivered(relay, 2)
    [lag] = relay_lag_list()
    assert (lag.waiting, lag.oldest_at) == (0, None)


@pytest.mark.made_up_events
def test_an_event_of_the_future_hides_none_of_the_present(
    sessions: Callable[[], "psycopg.Connection"],
) -> None:
    """As after a clock that was half an hour ahead and has been put right."""
    seen: list[str] = []
    relay = Relay("test", lambda events: seen.extend(e.data["username"] for e in events))
    with sessions() as session:
        session.execute(
            "INSERT INTO events (id, topic, event_type, user_id, data, metadata) VALUES (%s, 'audit-log', "
            "'SIGN_IN_FAILED', 1, '{\"username\": \"AHEAD\"}', '{}')",
            (id_floor(utc_now() + timedelta(minutes=30)),),
        )
    delivered(relay, 1)
    with sessions() as session:
        append(session, "NOW")
    [lag] = relay_lag_list()
    assert lag.waiting == 1
    delivered(relay, 1)
    assert seen == ["AHEAD", "NOW"]


def test_the_end_of_an_outage_is_said_once_and_written_down(
    sessions: Callable[[], "psycopg.Connection"], caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([SinkUnavailable("nobody answers"), None])
    taken: list[str] = []

    def sink(events: Sequence[EventRecord]) -> None:
        if error := next(answers, None):
            raise error
        taken.extend(event.data["username"] for event in events)

    with sessions() as session:
        append(session, "A")
    deadline = time.monotonic() + 10
    relay_run(Relay("test", sink), lambda _: None, lambda: bool(taken) or time.monotonic() > deadline)
    assert taken == ["A"] and caplog.text.count("the sink test goes on") == 1
    assert RelayState.objects.get().problem == ""


@pytest.mark.made_up_events
def test_rebase_delivers_what_the_former_server_wrote_under_later_transactions(
    sessions: Callable[[], "psycopg.Connection"],
) -> None:
    seen: list[str] = []
    relay = Relay("test", lambda events: seen.extend(e.data["username"] for e in events))
    with sessions() as session:
        append(session, "SEEN")
    delivered(relay, 1)
    with sessions() as session:
        session.execute(
            "INSERT INTO events (topic, event_type, user_id, data, metadata, xact_id) "
            "VALUES ('audit-log', 'SIGN_IN_FAILED', 1, '{\"username\": \"RESTORED\"}', '{}', '999999999999')"
        )
    assert relay.step() == 0
    relay.rebase()
    assert seen == ["SEEN", "RESTORED"]
    delivered(relay, 1)
    assert seen == ["SEEN", "RESTORED", "SEEN"], "the last minutes come again"
    assert {day.stream_epoch: day.delivered for day in RelayDay.objects.all()} == {1: 1, 2: 1}


def test_backlog_is_read_along_the_index_however_long_it_is(database: None) -> None:
    parameters = {"floor": 0, "xact_id": "5", "event_id": 5, "limit": 500}
    with transaction.atomic(), connection.cursor() as cursor:
        # Where the index gives the order nothing has to be sorted, however the planner is discouraged.
        cursor.execute("SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + relay_module.EVENTS_READ_SQL, parameters)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Merge Append" in plan and "Sort  " not in plan, plan
