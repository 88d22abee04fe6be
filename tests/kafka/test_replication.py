"""Three brokers: one may die and nothing waits; with two gone events wait, and none is lost."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from apps.events.kafka import sink as sink_module
from apps.events.kafka.administration import topics_check, topics_ensure
from apps.events.kafka.sink import KafkaSink
from apps.events.relay import SinkUnavailable
from brokerage.supervisor.kafka import EmbeddedKafka
from tests.kafka.stories import events_write, relay_drain, relay_make, streams_once, streams_wanted
from tests.support.kafka import KafkaReader, kafka_end, kafka_missing, kafka_start

pytestmark = [
    pytest.mark.made_up_events,
    pytest.mark.skipif(
        not os.environ.get("OPENBELL_TEST_KAFKA_WHOLE"), reason="three brokers take a minute: make test-kafka"
    ),
]


@pytest.fixture
def three(settings: Any) -> Iterator[EmbeddedKafka]:
    if kafka_missing():
        pytest.skip(kafka_missing())
    # A dead broker is given up soon, so that the test need not wait the production's nine seconds.
    cluster = kafka_start(3, {"broker.session.timeout.ms": "4000", "broker.heartbeat.interval.ms": "500"})
    settings.KAFKA_BOOTSTRAP_SERVERS = cluster.bootstrap.split(",")
    try:
        yield cluster
    finally:
        kafka_end(cluster)


def test_acknowledged_events_outlive_any_one_broker(
    three: EmbeddedKafka, database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics_ensure()
    assert topics_check() == [], "three copies, two of which acknowledge"
    reader = KafkaReader(three.bootstrap)
    relay = relay_make(KafkaSink())
    events_write(200)
    relay_drain(relay, 200)
    first, second, third = three.nodes
    first.kill()
    events_write(200)
    relay_drain(relay, 200)
    second.kill()
    monkeypatch.setattr(sink_module, "ACKNOWLEDGED_TIMEOUT_S", 5.0)
    events_write(200)
    with pytest.raises(SinkUnavailable):
        relay.step()
    for node in (first, second):
        node.start()
    for node in (first, second):
        node.ready_wait()
    relay_drain(relay, 200)
    assert streams_once(reader.read()) == streams_wanted()
    relay.sink.close()  # type: ignore[attr-defined]
