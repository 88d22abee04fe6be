"""One process's place in a consumer group of Kafka, which says what topic partitions the process reads."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from apps.events.kafka.connection import KafkaAway, away_text, client_open

logger = logging.getLogger(__name__)

POLL_MS = 200
# A first join is followed by a second as soon as the topics are known: both fit into one poll.
JOIN_POLL_MS = 600
SESSION_TIMEOUT_MS, METADATA_AGE_MS = 10_000, 30_000
ANSWER_S = SESSION_TIMEOUT_MS / 1_000


class Membership(ConsumerRebalanceListener):
    """What the group gives and takes. What is new (``fresh``) is held until its position has been read.

    The client's thread calls the two functions of the listener, so they note and do nothing else. Raises
    ``KafkaAway`` when there is no Kafka, or it does not have the topics.
    """

    def __init__(self, group_id: str, topics: Sequence[str]) -> None:
        self.group_id, self.topics = group_id, list(topics)
        self.fresh: set[TopicPartition] = set()
        self.owned: set[TopicPartition] = set()
        self._asked_at: float | None = None
        self.consumer = _consumer_open(group_id)
        try:
            missing = [topic for topic in self.topics if not self.consumer.partitions_for_topic(topic)]
            if missing:
                raise KafkaAway(f"there is no topic {', '.join(missing)}: run `manage.py kafka_topics`.")
            self.consumer.subscribe(self.topics, listener=self)
        except BaseException:
            self.consumer.close(autocommit=False)
            raise

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.owned -= set(revoked)
        self.fresh -= set(revoked)
        self._asked_at = time.monotonic()

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._asked_at = None
        self.consumer.pause(*assigned)
        self.fresh |= set(assigned)
        self.owned |= set(assigned)

    def poll(self, max_records: int) -> dict[TopicPartition, list[Any]]:
        """Return what has come within ``POLL_MS``, and keep the place in the group."""
        timeout_ms = POLL_MS if self.owned else JOIN_POLL_MS
        polled = self.consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        if self._asked_at and time.monotonic() - self._asked_at > ANSWER_S:
            self._ask_again()
        return polled

    def _ask_again(self) -> None:
        """Leave the group and come again.

        A client that has joined because of new metadata, and whose poll ended between the two answers of the
        broker, forgets that it waits (kafka-python 3.0.12; the Java client had it as KAFKA-9815): it reads
        nothing from then on, and sends no sign of life.
        """
        logger.warning("the group %s has not answered for %g s: joining again", self.group_id, ANSWER_S)
        self.consumer.unsubscribe()
        self.consumer.subscribe(self.topics, listener=self)
        self._asked_at = time.monotonic()

    def close(self) -> None:
        """Leave the group, so that others go on at once."""
        try:
            self.consumer.close(autocommit=False, timeout_ms=2_000)
        except (KafkaError, RuntimeError, OSError) as error:
            logger.warning("the group %s was left without a word: %s", self.group_id, error)


def _consumer_open(group_id: str) -> KafkaConsumer:
    try:
        return client_open(
            KafkaConsumer,
            group_id=group_id,
            enable_auto_commit=False,
            # Only for as long as a position has not been read; any jump is noticed.
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
            fetch_max_wait_ms=POLL_MS // 2,
            # Topics made after we came are noticed within this.
            metadata_max_age_ms=METADATA_AGE_MS,
            metrics_enabled=False,
        )
    except (KafkaError, OSError) as error:
        raise KafkaAway(away_text(error)) from error
