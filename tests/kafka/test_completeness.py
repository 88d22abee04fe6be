"""A Kafka that acknowledged and lost: what is missing is found by name, and sent again from the table."""

from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from apps.events.kafka.administration import topics_ensure
from apps.events.kafka.completeness import KafkaComparison, events_resend, kafka_compare
from apps.events.kafka.sink import KafkaSink
from apps.events.topics import topic_partition
from apps.primitives.ids import ID_MAX
from brokerage.supervisor.kafka import EmbeddedKafka
from tests.kafka.stories import events_write, relay_drain, relay_make
from tests.support.chain import events_list
from tests.support.kafka import KafkaReader

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]
COUNT = 400


@pytest.fixture
def sink(kafka: EmbeddedKafka, database: None) -> Iterator[KafkaSink]:
    """A sink that has delivered four hundred events, and waits for nothing more."""
    made = KafkaSink()
    events_write(COUNT)
    relay_drain(relay_make(made), COUNT)
    yield made
    made.close()


@pytest.fixture
def admin(kafka: EmbeddedKafka) -> Iterator[KafkaAdminClient]:
    made = KafkaAdminClient(bootstrap_servers=kafka.bootstrap.split(","))
    yield made
    made.close()


def compare() -> KafkaComparison:
    return kafka_compare(min(event.id for event in events_list()), ID_MAX)


def test_delivered_events_are_all_there_and_those_not_yet_delivered_are_not_missed(sink: KafkaSink) -> None:
    events_write(50)
    found = compare()
    assert found.is_equal, found
    assert (found.events, found.records, found.duplicates) == (COUNT + 50, 2 * COUNT, 0)


def test_truncated_partition_is_found_event_by_event_and_sent_again(
    sink: KafkaSink, admin: KafkaAdminClient, kafka_log: KafkaReader
) -> None:
    user_id = events_list()[0].user_id
    where = TopicPartition("audit-log", topic_partition(user_id))
    admin.delete_records({where: kafka_log.offsets[where]})
    lost = {event.id for event in events_list() if topic_partition(event.user_id) == where.partition}
    found = compare()
    assert {number for _, number in found.missing} == lost and {name for name, _ in found.missing} == {
        "audit-log"
    }
    assert events_resend(lost, sink) == len(lost)
    again = compare()
    assert again.is_equal and again.duplicates == len(lost), "their own topics had them already"


def test_topic_that_was_made_anew_is_filled_again(sink: KafkaSink, admin: KafkaAdminClient) -> None:
    admin.delete_topics(["trades-events"])
    topics_ensure(replication=1)
    found = compare()
    wanted = {event.id for event in events_list() if event.topic == "trades-events"}
    assert {number for _, number in found.missing} == wanted and len(wanted) == COUNT // 4
    sink.close()
    events_resend(wanted, sink)
    assert compare().is_equal


def test_changed_and_invented_records_are_named(sink: KafkaSink, kafka: EmbeddedKafka) -> None:
    event = events_list()[5]
    partition = topic_partition(event.user_id)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap.split(","))
    changed = event.value().replace(b"10.10", b"99.99")
    producer.send("audit-log", key=b"%d" % event.user_id, value=changed, partition=partition).get(20)
    producer.send("audit-log", key=b"1", value=b"no event at all", partition=partition).get(20)
    producer.close()
    found = compare()
    assert found.changed == [("audit-log", event.id)]
    assert [name for name, _ in found.unknown] == ["audit-log"]
    assert found.unknown[0][1].startswith(f"{partition}/")
