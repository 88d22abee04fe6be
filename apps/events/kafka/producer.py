"""A producer that takes whole record batches and says when all of them are acknowledged.

It is the library's own producer, idempotent and with ``acks=all``, entered below the point where it makes
batches of single records. What is used of its insides is listed in decision 0024, and a test fails when a new
version changes it.
"""

import time
from collections.abc import Iterable, Mapping

from kafka import KafkaProducer, TopicPartition
from kafka.errors import IllegalStateError, KafkaError
from kafka.producer.producer_batch import ProducerBatch

from apps.events.kafka.batches import PackedRecords
from apps.events.kafka.connection import client_open
from apps.events.topics import MESSAGE_BYTES_MAX

REQUEST_BYTES_MAX = 16 * 1024 * 1024
DELIVERY_TIMEOUT_MS = 60_000
METADATA_TIMEOUT_MS = 5_000
CLOSE_TIMEOUT_S = 5.0


class NotAcknowledged(RuntimeError):
    """Not every batch was acknowledged in time; which were written nobody knows."""


class BatchRefused(RuntimeError):
    """A broker does not take a batch, and will not take it later either; says which, and why."""

    def __init__(self, where: TopicPartition, error: BaseException) -> None:
        super().__init__(f"{where.topic} partition {where.partition}: {type(error).__name__}: {error}")
        self.where = where
        self.error = error


class BatchProducer:
    """Sends batches to their topic partitions, in the order given in each, one at a time in each."""

    def __init__(self) -> None:
        self._producer = client_open(
            KafkaProducer,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_block_ms=METADATA_TIMEOUT_MS,
            delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
            max_request_size=REQUEST_BYTES_MAX,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        # At the end of the process it would wait for what nobody acknowledges, and complain.
        self._producer._unregister_cleanup()
        # Halves of a batch that is too large would be sent on their own, one possibly without the other.
        self._producer._sender._can_split = lambda batch, error: False

    def topics_learn(self, topics: Iterable[str]) -> None:
        """Ask who leads the partitions of topics, before anything is sent; raises ``KafkaError``."""
        for topic in topics:
            self._producer.partitions_for(topic)

    def send(self, batches: Mapping[TopicPartition, Iterable[PackedRecords]], timeout_s: float) -> None:
        """Return when every batch is acknowledged by all brokers that keep it.

        Raises ``NotAcknowledged`` and ``BatchRefused``; then this producer has to be closed.
        """
        deadline = time.monotonic() + timeout_s
        waiting = {where: iter(its) for where, its in batches.items()}
        while waiting:
            # The second batch of a topic partition goes when the first is safe: never a later one alone.
            sent = {where: batch for where, its in waiting.items() if (batch := next(its, None)) is not None}
            self._round(sent, deadline)
            waiting = {where: waiting[where] for where in sent}

    def close(self) -> None:
        """End it without sending anything more."""
        sender = self._producer._sender
        sender.force_close()
        sender.join(CLOSE_TIMEOUT_S)
        try:
            self._producer.close(timeout=0)
        except (KafkaError, RuntimeError):
            # It may still wait for what nobody acknowledges; its thread is a daemon and ends by itself.
            pass

    def _round(self, batches: Mapping[TopicPartition, PackedRecords], deadline: float) -> None:
        accumulator = self._producer._accumulator
        sent = []
        for where, records in batches.items():
            if len(records.records) > MESSAGE_BYTES_MAX:
                raise BatchRefused(where, ValueError(f"{len(records.records)} bytes in one event"))
            sent.append(ProducerBatch(where, records))
        for batch in sent:
            with accumulator._tp_lock(batch.topic_partition):
                if accumulator._closed:
                    raise IllegalStateError("the producer is closed")
                accumulator._batches[batch.topic_partition].append(batch)
            accumulator._incomplete.add(batch)
        self._producer._sender.wakeup()
        for batch in sent:
            self._acknowledged_wait(batch, deadline)

    def _acknowledged_wait(self, batch: ProducerBatch, deadline: float) -> None:
        future, where = batch.produce_future, batch.topic_partition
        if not future.wait(max(deadline - time.monotonic(), 0)):
            raise NotAcknowledged(f"{where.topic} partition {where.partition} has not acknowledged in time")
        _, _, error_of = future.value
        if error_of is not None:
            raise BatchRefused(where, error_of(0))
