"""The relay into a real Kafka: every event in its topic and in the log, keyed, in order, whatever fails."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from apps.events.kafka import connection as connection_module
from apps.events.kafka import sink as sink_module
from apps.events.kafka.administration import topics_ensure
from apps.events.kafka.sink import KafkaSink
from apps.events.models import RelayState
from apps.events.relay import Relay, SinkRefuses, SinkUnavailable, relay_run
from apps.events.states import AWAY_SQL
from apps.events.topics import TOPIC_SETTINGS, topic_partition
from apps.primitives.failpoints import FailpointHit, failpoints_arm
from brokerage.supervisor.kafka import EmbeddedKafka
from tests.kafka.stories import (
    event_id,
    events_write,
    noise,
    relay_drain,
    relay_make,
    streams,
    streams_once,
    streams_wanted,
)
from tests.support.chain import events_list
from tests.support.kafka import KafkaReader

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]


@pytest.fixture
def relay(kafka: EmbeddedKafka, database: None) -> Iterator[Relay]:
    made = relay_make()
    yield made
    made.sink.close()  # type: ignore[attr-defined]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than three seconds for acknowledgements, nor half a second for an address."""
    monkeypatch.setattr(sink_module, "ACKNOWLEDGED_TIMEOUT_S", 3.0)
    monkeypatch.setattr(connection_module, "BOOTSTRAP_TIMEOUT_MS", 500)


@pytest.fixture
def topic_set(kafka: EmbeddedKafka) -> Iterator[Callable[[str, str, str], None]]:
    """Set a topic's setting for the length of a test: ``topic_set(topic, name, value)``."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap.split(","))
    changed: set[tuple[str, str]] = set()

    def set_one(topic: str, name: str, value: str) -> None:
        changed.add((topic, name))
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})])

    yield set_one
    for topic, name in tuple(changed):
        set_one(topic, name, TOPIC_SETTINGS[name])
    admin.close()


def test_every_event_is_in_its_topic_and_in_the_log_keyed_and_in_order(
    relay: Relay, kafka_log: KafkaReader
) -> None:
    events_write(1_200)
    relay_drain(relay, 1_200)
    messages = kafka_log.read()
    assert streams(messages) == streams_wanted()
    by_id = {event_id(event.value()): event for event in events_list()}
    for message in messages:
        event = by_id[event_id(message.value)]
        assert message.value == event.value()
        assert message.partition == topic_partition(event.user_id)
        assert abs(message.timestamp_ms - event.timestamp.timestamp() * 1000) < 1_000


def test_batches_larger_than_a_request_keep_their_order(
    relay: Relay, kafka_log: KafkaReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.events.kafka.batches.BATCH_BYTES_MAX", 2_000)
    events_write(300, users=2, note=noise(300))
    relay_drain(relay, 300)
    assert streams(kafka_log.read()) == streams_wanted()


def test_bounced_broker_gets_every_event_once_from_the_producer_that_waited(
    relay: Relay, kafka: EmbeddedKafka, kafka_log: KafkaReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_module, "ACKNOWLEDGED_TIMEOUT_S", 55.0)
    events_write(600)
    assert relay.step() == 500
    node = kafka.nodes[0]
    node.kill()
    node.start()
    # The broker is still starting: the producer asks until it answers.
    relay_drain(relay, 100)
    node.ready_wait()
    assert streams(kafka_log.read()) == streams_wanted()


def test_events_wait_while_no_broker_answers_and_come_in_order_when_one_does(
    relay: Relay, kafka: EmbeddedKafka, kafka_log: KafkaReader, impatient: None
) -> None:
    events_write(600)
    assert relay.step() == 500
    node = kafka.nodes[0]
    node.kill()
    with pytest.raises(SinkUnavailable):
        relay.step()
    with pytest.raises(SinkUnavailable, match="cannot be reached"):
        relay.step()
    events_write(600)
    node.start()
    node.ready_wait()
    relay_drain(relay, 700)
    messages = kafka_log.read()
    assert streams_once(messages) == streams_wanted()


def test_crash_after_the_acknowledgement_repeats_the_same_ids_and_nothing_else(
    relay: Relay, kafka_log: KafkaReader
) -> None:
    events_write(50)
    failpoints_arm("relay.after_send=raise")
    try:
        with pytest.raises(FailpointHit):
            relay_drain(relay, 50)
    finally:
        failpoints_arm("")
    relay_drain(relay_make(), 50)
    messages = kafka_log.read()
    assert streams_once(messages) == streams_wanted()
    assert streams(messages) == {where: ids * 2 for where, ids in streams_wanted().items()}


def test_too_large_an_event_stops_the_sink_and_is_named(
    relay: Relay, kafka_log: KafkaReader, topic_set: Callable[[str, str, str], None]
) -> None:
    topic_set("audit-log", "max.message.bytes", "5000")
    events_write(3, users=3)
    events_write(1, users=1, note=noise(9_000))
    large = events_list()[-1]
    with pytest.raises(SinkRefuses, match=f"{event_id(large.value())}.*max.message.bytes"):
        relay.step()
    assert relay.position.event_id == 0, "nothing is skipped"
    topic_set("audit-log", "max.message.bytes", TOPIC_SETTINGS["max.message.bytes"])
    relay_drain(relay, 4)
    assert streams_once(kafka_log.read()) == streams_wanted()


def test_missing_topic_stops_the_sink_until_it_is_made(
    relay: Relay, kafka: EmbeddedKafka, impatient: None
) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap.split(","))
    admin.delete_topics(["trades-events"])
    try:
        events_write(8)
        with pytest.raises(SinkRefuses, match="trades-events is missing.*kafka_topics"):
            relay.step()
        admin.create_topics({"trades-events": {"num_partitions": 5, "replication_factor": 1}})
        admin.wait_for_topics(["trades-events"])
        with pytest.raises(SinkRefuses, match="has 5 partitions, not 100"):
            relay.step()
    finally:
        admin.delete_topics(["trades-events"])
        topics_ensure(replication=1)
        admin.close()
    relay_drain(relay, 8)


def test_topic_that_goes_while_events_flow_is_said_and_nothing_is_skipped(
    relay: Relay, kafka: EmbeddedKafka, impatient: None
) -> None:
    events_write(8)
    relay_drain(relay, 8)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap.split(","))
    admin.delete_topics(["risk-events", "orders-events"])
    try:
        events_write(8)
        with pytest.raises(SinkUnavailable):
            relay.step()
        with pytest.raises(SinkRefuses, match="orders-events is missing"):
            relay.step()
    finally:
        topics_ensure(replication=1)
        admin.close()
    reader = KafkaReader(kafka.bootstrap)
    relay_drain(relay, 8)
    assert {event_id(message.value) for message in reader.read() if message.topic == "orders-events"} == {
        event_id(event.value()) for event in events_list()[8:] if event.topic == "orders-events"
    }


def test_outage_is_said_once_and_kept_where_monitoring_reads_it(
    impatient: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.KAFKA_BOOTSTRAP_SERVERS = ["127.0.0.1:9"]
    events_write(2)
    tries = iter(range(3))
    relay = Relay("kafka", KafkaSink())
    with caplog.at_level(logging.WARNING):
        relay_run(relay, lambda _: None, lambda: next(tries, None) is None)
    told = [record for record in caplog.records if record.name.startswith("apps.events")]
    assert [record.levelname for record in told] == ["WARNING"] and "127.0.0.1:9" in told[0].message
    state = RelayState.objects.get(sink="kafka")
    assert "cannot be reached" in state.problem and state.away_at is not None
    assert state.told_at > state.away_at, "the outage began when it was first told"


def test_new_outage_begins_anew_when_events_flowed_between(database: None) -> None:
    Relay("kafka", lambda events: None)
    with connection.cursor() as cursor:
        cursor.execute(AWAY_SQL, {"sink": "kafka", "problem": "one"})
        cursor.execute("UPDATE relay_cursors SET updated_at = clock_timestamp()")
        cursor.execute(AWAY_SQL, {"sink": "kafka", "problem": "two"})
    state = RelayState.objects.get(sink="kafka")
    assert state.problem == "two" and state.away_at == state.told_at
