"""A real Kafka for tests: one broker a test process with the five topics, and what a test wrote into it."""

import contextlib
import functools
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from apps.events.kafka.administration import topics_ensure
from apps.events.topics import TOPIC_PARTITIONS, TOPICS
from brokerage.supervisor.kafka import EmbeddedKafka, jars_ensure, kafka_problem


@functools.cache
def kafka_missing() -> str:
    """Return why this machine cannot run a broker, an empty text when it can."""
    return kafka_problem()


BRIEF_LIFE = ("-XX:TieredStopAtLevel=1",)
"""What makes Java start in two thirds of the time, and run slower afterwards."""


def kafka_start(
    node_count: int = 1, settings: dict[str, str] | None = None, java_options: tuple[str, ...] = BRIEF_LIFE
) -> EmbeddedKafka:
    """Start a cluster of a test's own in a new folder; ``kafka_end`` stops it and removes the folder."""
    jars_ensure()
    folder = Path(tempfile.mkdtemp(prefix="openbell-kafka-"))
    cluster = EmbeddedKafka(folder, node_count=node_count, settings=settings, java_options=java_options)
    try:
        cluster.start()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return cluster


def kafka_end(cluster: EmbeddedKafka) -> None:
    """Kill the cluster, whose data nobody wants, and remove its folder."""
    cluster.kill()
    shutil.rmtree(cluster.folder, ignore_errors=True)


class Message(NamedTuple):
    """One record as a subscriber gets it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    timestamp_ms: int


class KafkaReader:
    """Reads what was written since it was made; every test has its own, so that no topic need be emptied."""

    def __init__(self, bootstrap: str, topics: tuple[str, ...] = TOPICS) -> None:
        self.bootstrap = bootstrap
        self.partitions = [TopicPartition(topic, n) for topic in topics for n in range(TOPIC_PARTITIONS)]
        with self._open() as consumer:
            self.offsets: dict[TopicPartition, int] = consumer.end_offsets(self.partitions)

    def read(self) -> list[Message]:
        """Return everything between the last reading and the present ends, in order in each partition."""
        return list(self.messages())

    def messages(self) -> Iterator[Message]:
        """Yield the same, however much it is; fails when nothing more comes for a minute."""
        with self._open() as consumer:
            wanted = {
                tp: end for tp, end in consumer.end_offsets(self.partitions).items() if end > self.offsets[tp]
            }
            consumer.assign(list(wanted))
            for tp in wanted:
                consumer.seek(tp, self.offsets[tp])
            deadline = time.monotonic() + 60
            while wanted and time.monotonic() < deadline:
                for tp, records in consumer.poll(timeout_ms=200, max_records=5_000).items():
                    for r in records:
                        yield Message(tp.topic, tp.partition, r.offset, r.key, r.value, r.timestamp)
                    self.offsets[tp] = records[-1].offset + 1
                    deadline = time.monotonic() + 60
                    if self.offsets[tp] >= wanted.get(tp, 0):
                        wanted.pop(tp, None)
        assert not wanted, f"not everything could be read: {wanted}"

    @contextlib.contextmanager
    def _open(self) -> Iterator[KafkaConsumer]:
        """A new client each time: brokers come and go between two readings."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap.split(","),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False)


def topics_empty(bootstrap: str) -> None:
    """Delete what earlier tests have written: subscribers begin with the oldest."""
    servers = bootstrap.split(",")
    partitions = [TopicPartition(topic, n) for topic in TOPICS for n in range(TOPIC_PARTITIONS)]
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    ends, begins = consumer.end_offsets(partitions), consumer.beginning_offsets(partitions)
    consumer.close(autocommit=False)
    full = {where: end for where, end in ends.items() if end > begins[where]}
    if full:
        admin = KafkaAdminClient(bootstrap_servers=servers)
        admin.delete_records(full)
        admin.close()


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[EmbeddedKafka]:
    """One broker for all tests of this process, with the topics."""
    if kafka_missing():
        pytest.skip(kafka_missing())
    cluster = kafka_start()
    try:
        yield cluster
    finally:
        kafka_end(cluster)


@pytest.fixture(scope="session")
def _topics_made() -> set[str]:
    return set()


@pytest.fixture
def kafka(kafka_cluster: EmbeddedKafka, _topics_made: set[str], settings: Any) -> EmbeddedKafka:
    """The broker, as the settings know it, running and with its topics, in which nothing is."""
    settings.KAFKA_BOOTSTRAP_SERVERS = kafka_cluster.bootstrap.split(",")
    if kafka_cluster.bootstrap not in _topics_made:
        topics_ensure(replication=1)
        _topics_made.add(kafka_cluster.bootstrap)
    topics_empty(kafka_cluster.bootstrap)
    return kafka_cluster


@pytest.fixture
def kafka_log(kafka: EmbeddedKafka) -> KafkaReader:
    """Reads what this test has written: ``kafka_log.read()``."""
    return KafkaReader(kafka.bootstrap)
