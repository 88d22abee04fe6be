"""The topics on a real broker: made as specified, compared setting by setting, not made worse by accident."""

from typing import Any

import pytest
from django.core.management import call_command
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.partitioner.default import DefaultPartitioner

from apps.events.kafka import connection as connection_module
from apps.events.kafka.administration import TopicDifference, topic_settings, topics_check, topics_ensure
from apps.events.topics import TOPIC_PARTITIONS, TOPIC_SETTINGS, TOPICS, event_key, topic_partition
from brokerage.supervisor.kafka import EmbeddedKafka
from tests.support.house import until

LOWERED = ("--replication=1", "--i-know-that-fewer-copies-can-be-lost")


class OneTopic:
    """A cluster as a client's partitioner asks it."""

    def topics(self) -> list[str]:
        return ["audit-log"]

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(TOPIC_PARTITIONS))

    def available_partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(TOPIC_PARTITIONS))


def command(capsys: Any, *arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and all it said."""
    code = 0
    try:
        call_command("kafka_topics", *arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out + said.err


@pytest.mark.parametrize("user_id", [0, 1, 9, 10, 99, 12345, 2**31, 2**62])
def test_topic_partition_is_the_one_every_client_chooses(user_id: int) -> None:
    key = event_key(user_id)
    chosen = DefaultPartitioner().partition("audit-log", None, key, None, b"", OneTopic())
    assert topic_partition(user_id) == chosen


def test_specification_is_what_is_asked_of_brokers() -> None:
    assert topic_settings()["min.insync.replicas"] == "2"
    assert int(TOPIC_SETTINGS["retention.ms"]) >= 7 * 365.25 * 24 * 3600 * 1000
    assert TOPIC_SETTINGS["unclean.leader.election.enable"] == "false"
    assert (TOPIC_PARTITIONS, len(TOPICS)) == (100, 5)


def test_topics_that_are_as_they_should_be_are_left_alone(kafka: EmbeddedKafka, capsys: Any) -> None:
    assert topics_ensure(replication=1) == []
    code, said = command(capsys, "--check", *LOWERED)
    assert code == 0 and "5 topics are as they should be: 100 partitions, copies on 1 broker." in said


def test_every_difference_is_named_and_corrected(kafka: EmbeddedKafka, capsys: Any) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap.split(","))
    admin.delete_topics(["risk-events"])
    wrong = {"retention.ms": "1000000", "unclean.leader.election.enable": "true"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "audit-log", wrong)])
    admin.close()
    until(lambda: len(topics_check(replication=1)) == 3, "the broker knows of all three changes", 20)
    code, said = command(capsys, "--check", *LOWERED)
    assert code == 1
    assert "risk-events: topic should be there, and is nothing" in said
    assert "audit-log: retention.ms should be 220924800000, and is 1000000" in said
    assert "audit-log: unclean.leader.election.enable should be false, and is true" in said
    code, said = command(capsys, *LOWERED)
    assert code == 0 and "risk-events: created" in said and "was 1000000" in said
    assert topics_check(replication=1) == []


def test_other_partitions_are_told_and_never_changed(kafka: EmbeddedKafka) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap.split(","))
    admin.delete_topics(["risk-events"])
    admin.create_topics({"risk-events": {"num_partitions": 7, "replication_factor": 1}})
    admin.wait_for_topics(["risk-events"])
    try:
        topics_ensure(replication=1)
        assert topics_check(replication=1) == [TopicDifference("risk-events", "partitions", "100", "7")]
    finally:
        admin.delete_topics(["risk-events"])
        topics_ensure(replication=1)
        admin.close()


def test_fewer_copies_want_an_explicit_word(kafka: EmbeddedKafka, capsys: Any) -> None:
    code, said = command(capsys, "--replication=1")
    assert code == 2 and "--i-know-that-fewer-copies-can-be-lost" in said
    code, said = command(capsys)
    assert code == 2 and "has 1 broker, and every event is to be kept by 3" in said
    code, said = command(capsys, "--replication=0")
    assert code == 2 and "from 1 to 10" in said


def test_cluster_that_is_away_is_said_plainly(
    settings: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "BOOTSTRAP_TIMEOUT_MS", 300)
    settings.KAFKA_BOOTSTRAP_SERVERS = ["127.0.0.1:9"]
    code, said = command(capsys, "--check")
    assert code == 2 and "Kafka at 127.0.0.1:9 cannot be reached" in said
    settings.KAFKA_BOOTSTRAP_SERVERS = []
    code, said = command(capsys, "--check")
    assert code == 2 and "KAFKA_BOOTSTRAP_SERVERS is not set" in said
