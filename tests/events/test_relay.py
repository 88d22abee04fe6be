"""The relay delivers what committed, in commit order, at least once, whatever crashes in between."""

import time
from collections.abc import Callable

import psycopg
import pytest
from django.db import connection, transaction
from django_redis import get_redis_connection

from apps.events.facts import EventRow, Topic
from apps.events.models import Event, RelayCursor
from apps.events.relay import EventRecord, Relay, ServerChanged
from apps.events.services import event_append
from apps.orders.subscribers import orders_view_write
from tests.support.builders import trader_open
from tests.support.matching import Exchange, matching_url


def rows(*names: str) -> list[EventRow]:
    return [EventRow(Topic.AUDIT, name, 1, {"name": name}) for name in names]


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
    relay = Relay("test", lambda events: seen.extend(e.event_type for e in events))
    with sessions() as session:
        append(session, "A", "B", "C", "D", "E", "F")
    assert delivered(relay, 6) == 6
    assert seen == ["A", "B", "C", "D", "E", "F"]
    assert relay.step() == 0


def test_event_with_smaller_id_that_commits_later_is_not_lost(
    sessions: Callable[[], "psycopg.Connection"],
) -> None:
    seen: list[str] = []
    relay = Relay("test", lambda events: seen.extend(e.event_type for e in events))
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
    relay = Relay("test", lambda events: seen.extend(e.event_type for e in events))
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
    assert again.cursor.stream_epoch == 2
    Relay("test", lambda events: None).start()


def test_event_message_is_the_specifications(database: None) -> None:
    seen: list[EventRecord] = []
    with transaction.atomic(), connection.cursor() as cursor:
        event_append(cursor, rows("ORDER_PLACED"))
    delivered(Relay("test", seen.extend), 1)
    message = seen[0].message()
    wanted = {"event_id", "timestamp", "event_type", "user_id", "data", "metadata"}
    assert wanted <= set(message)
    assert set(message["metadata"]) == {"ip_address", "user_agent", "session_id"}
    assert message["timestamp"].endswith("Z") and len(message["timestamp"]) == 27


def test_active_order_view_follows_the_order_until_it_ends(exchange: Exchange) -> None:
    ada, redis = trader_open(cash="1000.00"), get_redis_connection("default")
    relay = Relay("view", orders_view_write)
    order = ada.buy(5, "100.00")
    delivered(relay, Event.objects.count())
    key = f"order:{order.order_id}"
    assert redis.hget(key, "status") == b"PENDING"
    exchange.run()
    delivered(relay, 1)
    assert redis.hget(key, "status") == b"NEW"
    assert redis.ttl(key) > 86_000
    assert redis.zrange(f"user:{ada.user_id}:orders", 0, -1) == [str(order.order_id).encode()]
    assert redis.zrange("symbol:AAPL:orders", 0, -1) == [str(order.order_id).encode()]
    ada.cancel(order)
    exchange.run()
    delivered(relay, 2)
    assert not redis.exists(key)
    assert not redis.zcard(f"user:{ada.user_id}:orders")
    assert Event.objects.filter(event_type="ORDER_CANCELLED").count() == 1
