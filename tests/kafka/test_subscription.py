"""A subscription handles each event exactly once and in order, whoever dies, repeats or sends rubbish."""

import json
import logging
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from apps.events import subscription as subscription_module
from apps.events.kafka import membership
from apps.events.kafka.sink import KafkaSink
from apps.events.messages import EventMessage
from apps.events.models import QuarantinedMessage, SubscriptionEvent, SubscriptionPosition
from apps.events.selectors import subscription_lag_list
from apps.events.subscription import (
    PositionLost,
    Subscriber,
    Subscription,
    TemporaryTrouble,
    TooManyQuarantined,
    subscription_run,
)
from apps.events.topics import event_key
from apps.events.types import EventType, Topic
from brokerage.supervisor.kafka import EmbeddedKafka
from tests.kafka.stories import events_write, relay_drain, relay_make
from tests.support.chain import events_list

pytestmark = [pytest.mark.usefixtures("database", "kafka", "effects"), pytest.mark.made_up_events]
_names = count(1)
NEVER = threading.Event()


@pytest.fixture
def effects(database: None) -> Iterator[None]:
    """A table of a subscriber's own, in which every handled event leaves a row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE effects (place bigserial, user_id bigint, n int, event_id bigint, by text)"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE effects")


def effect_write(cursor: Any, events: Sequence[EventMessage], by: str = "") -> None:
    for event in events:
        cursor.execute(
            "INSERT INTO effects (user_id, n, event_id, by) VALUES (%s, %s, %s, %s)",
            (event.user_id, event.data.get("n"), event.id, by),
        )


def effect_list() -> list[tuple[int, int]]:
    """Return (user, number) of every effect in the order in which they were written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT user_id, n FROM effects ORDER BY place")
        return cursor.fetchall()


def by_user(pairs: Sequence[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for user_id, n in pairs:
        found[user_id].append(n)
    return dict(found)


def everything() -> dict[int, list[int]]:
    return by_user([(r.user_id, r.data["n"]) for r in events_list() if "n" in r.data])


def subscription(handle: Callable[..., None] = effect_write, **more: Any) -> Subscription:
    """Return a new one that begins where the log ends now."""
    options = {"topics": (Topic.AUDIT,), "begin": "latest", **more}
    return Subscription(name=f"test-{next(_names)}-{os.getpid()}", handle=handle, **options)


def begun(one: Subscription, partitions: int = 100) -> Subscriber:
    subscriber = Subscriber(one)
    deadline = time.monotonic() + 30
    try:
        while len(subscriber._offsets) < partitions and time.monotonic() < deadline:
            subscriber.step(NEVER)
        assert len(subscriber._offsets) >= partitions
    except BaseException:
        subscriber.close()
        raise
    return subscriber


def steps(subscriber: Subscriber, messages: int) -> None:
    """Step until so many messages were handled."""
    done, deadline = 0, time.monotonic() + 30
    while done < messages and time.monotonic() < deadline:
        done += subscriber.step(NEVER)
    assert done == messages


def sent(number: int, **more: Any) -> None:
    """Write events and relay them into Kafka."""
    events_write(number, **more)
    relay_drain(relay_make(), number)


def test_each_event_is_handled_once_and_in_its_users_order() -> None:
    subscriber = begun(subscription())
    sent(300)
    steps(subscriber, 300)
    subscriber.close()
    assert by_user(effect_list()) == everything()


def test_next_process_goes_on_where_the_last_one_committed() -> None:
    one = subscription()
    first = begun(one)
    sent(50)
    steps(first, 50)
    first.close()
    relay = relay_make()
    events_write(30)
    relay_drain(relay, 30)
    second = begun(one)
    deadline = time.monotonic() + 20
    while len(effect_list()) < 80 and time.monotonic() < deadline:
        second.step(NEVER)
    second.close()
    assert by_user(effect_list()) == everything()


def test_what_the_relay_repeats_has_no_second_effect() -> None:
    subscriber = begun(subscription())
    sent(100)
    steps(subscriber, 100)
    KafkaSink()(events_list()[40:])
    events_write(5)
    steps(subscriber, 60)
    subscriber.close()
    assert len(effect_list()) == 100, "offsets are new, event ids are not"


def test_only_the_wanted_types_arrive_and_the_others_are_passed() -> None:
    subscriber = begun(subscription(types=frozenset({EventType.ORDER_FILLED})))
    sent(40)
    steps(subscriber, 40)
    subscriber.close()
    assert [n for _, n in sorted(effect_list(), key=lambda pair: pair[1])] == list(range(3, 40, 4))


def test_group_that_does_not_answer_is_joined_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a client that forgot its join shows: everything was taken from it, and nothing comes any more."""
    monkeypatch.setattr(membership, "ANSWER_S", 0.5)
    subscriber = begun(subscription())
    subscriber.membership.on_partitions_revoked(subscriber.membership.owned.copy())
    subscriber.step(NEVER)
    assert not subscriber._offsets
    deadline = time.monotonic() + 30
    while not subscriber._offsets and time.monotonic() < deadline:
        subscriber.step(NEVER)
    assert "joining again" in caplog.text
    sent(20)
    steps(subscriber, 20)
    subscriber.close()
    assert by_user(effect_list()) == everything()


def test_log_of_everything_is_not_read_beside_what_it_repeats() -> None:
    with pytest.raises(ValueError, match="all topics"):
        subscription(topics=(Topic.AUDIT, Topic.ORDERS))


def test_event_that_cannot_be_handled_is_put_aside_whole_and_told(caplog: pytest.LogCaptureFixture) -> None:
    def handle(cursor: Any, events: Sequence[EventMessage]) -> None:
        effect_write(cursor, events)
        if any(event.data["n"] == 13 for event in events):
            raise ArithmeticError("thirteen")

    subscriber = begun(subscription(handle))
    sent(40, users=4)
    steps(subscriber, 40)
    subscriber.close()
    expected = everything()
    expected[1 + 13 % 4].remove(13)
    assert by_user(effect_list()) == expected, "the others were handled, once and in order"
    [kept] = QuarantinedMessage.objects.all()
    assert json.loads(bytes(kept.value))["data"]["n"] == 13
    assert (kept.tries, kept.problem) == (5, "ArithmeticError: thirteen")
    assert "put audit-log partition" in caplog.text


def test_bytes_that_are_no_event_are_put_aside(kafka: EmbeddedKafka) -> None:
    subscriber = begun(subscription())
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap.split(","))
    producer.send(Topic.AUDIT.value, value=b"rubbish", key=event_key(1)).get(10)
    producer.send(Topic.AUDIT.value, value=None, key=event_key(1)).get(10)
    producer.close()
    steps(subscriber, 2)
    subscriber.close()
    assert [bytes(row.value) for row in QuarantinedMessage.objects.order_by("topic_offset")] == [
        b"rubbish",
        b"",
    ]


def test_function_that_fails_for_everything_stops_the_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription_module, "QUARANTINE_MAX", 3)
    monkeypatch.setattr(subscription_module, "TRY_AGAIN_S", 0.001)

    def handle(cursor: Any, events: Sequence[EventMessage]) -> None:
        raise ArithmeticError("always")

    subscriber = begun(subscription(handle))
    sent(10, users=1)
    with pytest.raises(TooManyQuarantined, match="always"):
        steps(subscriber, 10)
    subscriber.close()
    assert QuarantinedMessage.objects.count() == 3


def test_trouble_that_passes_costs_no_event(caplog: pytest.LogCaptureFixture) -> None:
    failures = iter([TemporaryTrouble("not now")] * 3)

    def handle(cursor: Any, events: Sequence[EventMessage]) -> None:
        effect_write(cursor, events)
        for failure in failures:
            raise failure

    with running(subscription(handle)):
        sent(60)
        effects_wait(60)
    assert by_user(effect_list()) == everything()
    assert not QuarantinedMessage.objects.exists()
    assert caplog.text.count("waits: not now") == 1


def test_lost_database_session_costs_no_event() -> None:
    killed = threading.Event()

    def handle(cursor: Any, events: Sequence[EventMessage]) -> None:
        effect_write(cursor, events)
        if not killed.is_set():
            killed.set()
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with running(subscription(handle)):
        sent(60)
        effects_wait(60)
    assert by_user(effect_list()) == everything()


def test_process_that_lost_its_topic_partitions_cannot_write(caplog: pytest.LogCaptureFixture) -> None:
    """The zombie has read the events and is about to handle them when another process has done so."""
    one = subscription()
    zombie = begun(one)
    sent(80)
    polled: dict[TopicPartition, list[Any]] = {}
    deadline = time.monotonic() + 20
    while sum(map(len, polled.values())) < 80 and time.monotonic() < deadline:
        for tp, messages in zombie.consumer.poll(timeout_ms=200).items():
            polled.setdefault(tp, []).extend(messages)
        if zombie.membership.fresh:
            # The group may give everything out anew, which holds it until its places were read.
            zombie._places_take()
    assert sum(map(len, polled.values())) == 80
    other = Subscriber(one)
    other._offsets = dict(zombie._offsets)
    other.membership.owned = set(zombie.membership.owned)
    other._take(polled)
    other.close()
    zombie.consumer.poll = lambda **_: polled  # type: ignore[method-assign]
    assert zombie.step(NEVER) == 0
    zombie.close()
    assert by_user(effect_list()) == everything()
    assert "it reads where it stands" in caplog.text


def test_two_processes_share_the_work_and_hand_it_over() -> None:
    name = f"shared-{next(_names)}"
    seen: dict[str, int] = defaultdict(int)

    def handle(cursor: Any, events: Sequence[EventMessage]) -> None:
        seen[threading.current_thread().name] += len(events)
        effect_write(cursor, events)

    one = Subscription(name=name, topics=(Topic.AUDIT,), handle=handle, begin="latest")
    begun(one).close()
    with running(one):
        with running(one, wait_for=2):
            sent(200, users=200)
            effects_wait(200)
        sent(200, users=200)
        effects_wait(400)
    assert len(seen) == 2 and min(seen.values()) > 20, seen
    assert by_user(effect_list()) == everything()


def test_what_kafka_threw_away_unread_stops_it_until_a_person_decides(
    kafka: EmbeddedKafka, capsys: pytest.CaptureFixture[str]
) -> None:
    one = subscription()
    first = begun(one)
    sent(10, users=1)
    steps(first, 10)
    first.close()
    relay = relay_make()
    events_write(10, users=1)
    relay_drain(relay, 10)
    [moved] = SubscriptionPosition.objects.filter(newest_id__gt=0)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap.split(","))
    admin.delete_records({TopicPartition(moved.topic, moved.topic_partition): moved.next_offset + 4})
    admin.close()
    with pytest.raises(PositionLost, match="without leaving something out"):
        begun(one)
    with pytest.raises(PositionLost):
        begun(one)
    assert effect_list() == [(1, n) for n in range(10)]
    call_command("subscription_reset", one.name)
    assert "may jump" in capsys.readouterr().out
    again = begun(one)
    steps(again, 6)
    again.close()
    assert effect_list()[10:] == [(1, n) for n in range(4, 10)]
    with pytest.raises(SystemExit) as nothing:
        call_command("subscription_reset", one.name)
    assert nothing.value.code == 1
    with pytest.raises(SystemExit) as unknown:
        call_command("subscription_reset", "nobody")
    assert unknown.value.code == 2


def test_event_older_than_what_is_remembered_is_not_handled_unseen() -> None:
    one = subscription()
    subscriber = begun(one)
    sent(5, users=1)
    steps(subscriber, 5)
    subscriber.close()
    SubscriptionPosition.objects.filter(newest_id__gt=0).update(
        newest_id=events_list()[-1].id + (2 * 3_600_000 << 21)
    )
    sent_before = events_list()
    again = begun(one)
    again._forgot_at = 0
    events_write(1, users=1)
    relay_drain(relay_make(), 1)
    steps(again, 1)
    again.close()
    assert len(effect_list()) == len(sent_before) == 5
    assert QuarantinedMessage.objects.get().problem == "older than what is remembered"
    assert not SubscriptionEvent.objects.exists(), "what is out of reach is forgotten"


def test_lag_is_known_from_outside() -> None:
    one = subscription()
    subscriber = begun(one)
    sent(70)
    subscriber._looked_at = 0
    assert subscriber.look()
    [lag] = [lag for lag in subscription_lag_list() if lag.subscription == one.name]
    assert (lag.waiting, lag.quarantined, lag.failing) == (70, 0, 0)
    steps(subscriber, 70)
    subscriber.close()
    [lag] = [lag for lag in subscription_lag_list() if lag.subscription == one.name]
    assert lag.waiting == 0


def test_kafka_may_go_away_and_come_back(kafka: EmbeddedKafka, caplog: pytest.LogCaptureFixture) -> None:
    with running(subscription()):
        sent(40)
        effects_wait(40)
        kafka.nodes[0].kill()
        time.sleep(8)
        kafka.nodes[0].start()
        kafka.nodes[0].ready_wait()
        sent(40)
        effects_wait(80)
    assert by_user(effect_list()) == everything()
    told = [r for r in caplog.records if r.levelno >= logging.WARNING and "subscription" in r.getMessage()]
    assert 1 <= len(told) <= 4, [r.getMessage() for r in told]


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_kill_at_any_moment_leaves_one_effect_of_each_event(moment: str) -> None:
    """Each life of the process handles some batches and is killed in the next, before or after the commit."""
    one = subscription()
    begun(one).close()
    sent(400, users=8)
    lives = 0
    while len(effect_list()) < 400 and lives < 40:
        lives += 1
        connections.close_all()
        child = os.fork()
        if not child:
            _live(one, moment)
        os.waitpid(child, 0)
    assert lives > 2, "it was hardly killed"
    assert by_user(effect_list()) == everything()


def _live(one: Subscription, moment: str) -> None:
    """Be the process that is killed in its second batch."""
    batches = 0

    def handle(cursor: Any, events: Sequence[EventMessage]) -> None:
        nonlocal batches
        batches += 1
        effect_write(cursor, events)
        if batches == 2 and moment == "before_commit":
            os.kill(os.getpid(), signal.SIGKILL)
        if batches == 2:
            transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))

    try:
        subscription_module.BATCH_MESSAGES_MAX = 60
        membership.SESSION_TIMEOUT_MS = 6_000
        stopping = threading.Event()
        threading.Timer(20, stopping.set).start()
        subscription_run(Subscription(one.name, one.topics, handle, one.types, one.begin), stopping)
    finally:
        os._exit(1)


class running:
    """The subscription in a thread of its own, with a database session of its own."""

    def __init__(self, one: Subscription, wait_for: int = 1) -> None:
        self.one, self.wait_for = one, wait_for
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"subscriber-{next(_names)}")
        self.failure: BaseException | None = None

    def _run(self) -> None:
        try:
            subscription_run(self.one, self.stopping)
        except BaseException as error:
            self.failure = error
        finally:
            connections.close_all()

    def __enter__(self) -> "running":
        self.thread.start()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            rows = SubscriptionPosition.objects.filter(subscription=self.one.name, next_offset__isnull=False)
            if rows.count() == 100:
                break
            time.sleep(0.1)
        if self.wait_for > 1:
            time.sleep(8)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join(20)
        assert not self.thread.is_alive()
        assert self.failure is None, self.failure


def effects_wait(number: int) -> None:
    deadline = time.monotonic() + 40
    while len(effect_list()) < number and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(effect_list()) == number
