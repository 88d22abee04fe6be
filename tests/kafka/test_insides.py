"""What the relay uses of the client library's insides: an upgrade that changes them must fail here."""

import inspect
import threading
from collections import defaultdict, deque
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.producer import kafka as kafka_producer
from kafka.producer.producer_batch import ProducerBatch
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.producer.sender import Sender
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from apps.events.kafka import connection
from apps.events.kafka.batches import PackedRecords, batches_pack, varint
from apps.events.records import EventRecord
from apps.primitives.clock import utc_now
from apps.primitives.ids import id_floor

ASKED_OF_RECORDS = {
    "append", "base_sequence", "buffer", "close", "is_full", "next_offset", "producer_epoch", "producer_id",
    "set_producer_state", "size_in_bytes",
}  # fmt: skip
"""What the library asks of a batch's records, as far as the relay's way through it goes."""

NEVER_ASKED = {"records", "skip", "compression_rate"}
"""Of their own builder's, what only tests and the library's metrics ask, which are off."""


def event(number: int, user_id: int, text: str = "{}") -> EventRecord:
    now = utc_now()
    return EventRecord(
        id_floor(now) + number, "orders-events", "ORDER_PLACED", user_id, None, None, now, text, "{}", 7
    )


def library_batch(records: list[EventRecord], compression: int) -> bytes:
    """Return the same records as the library's own builder writes them."""
    builder = MemoryRecordsBuilder(magic=2, compression_type=compression, batch_size=2**20)
    builder.set_producer_state(77, 3, 40, False)
    for record in records:
        at_ms = (record.id >> 21) + 1_577_836_800_000
        assert builder.append(at_ms, b"%d" % record.user_id, record.value(), [])
    builder.close()
    return bytes(builder.buffer())


def test_batch_is_byte_for_byte_the_librarys_own() -> None:
    records = [event(number, 5, f'{{"n": {number}}}') for number in range(3)]
    packed = batches_pack(records)
    assert {where.topic for where in packed} == {"orders-events", "audit-log"}
    for batches in packed.values():
        [batch] = batches
        batch.set_producer_state(77, 3, 40, False)
        size = batch.size_in_bytes()
        batch.close()
        assert bytes(batch.buffer()) == library_batch(records, compression=0)
        assert size == len(batch.buffer()) == batch.size_in_bytes()


def test_compressed_batch_reads_as_what_was_put_in() -> None:
    records = [event(number, 5, '{"text": "%s"}' % ("word " * 300)) for number in range(40)]
    [batch] = batches_pack(records).popitem()[1]
    batch.set_producer_state(77, 3, 40, False)
    batch.close()
    [read] = MemoryRecords(batch.buffer())
    assert read.validate_crc() and read.compression_type == 3
    assert [record.value for record in read] == [record.value() for record in records]
    assert len(batch.buffer()) < sum(len(record.value()) for record in records) // 4


def test_numbers_of_every_length_are_written_as_the_library_writes_them() -> None:
    from kafka.record.util import encode_varint

    for number in (0, 1, -1, 63, 64, 127, 128, 8_191, 8_192, 16_384, 2**20, 2**34, -(2**40)):
        wanted = bytearray()
        encode_varint(number, wanted.append)
        assert varint(number) == bytes(wanted), number


def test_library_asks_nothing_else_of_a_batchs_records() -> None:
    known = {name for name in dir(MemoryRecordsBuilder) if not name.startswith("_")}
    assert known - NEVER_ASKED == ASKED_OF_RECORDS
    assert all(hasattr(PackedRecords(b"", 0, 0, 0), name) for name in ASKED_OF_RECORDS)


def test_accumulator_and_sender_are_built_as_the_relay_enters_them() -> None:
    accumulator = RecordAccumulator()
    assert isinstance(accumulator._batches, defaultdict) and accumulator._batches.default_factory is deque
    assert isinstance(accumulator._tp_lock("any"), type(threading.Lock()))
    assert not accumulator._closed and callable(accumulator._incomplete.add)
    assert list(inspect.signature(ProducerBatch).parameters) == ["tp", "records", "now"]
    assert list(inspect.signature(Sender._can_split).parameters) == ["self", "batch", "error"]
    assert "self._can_split(batch" in inspect.getsource(Sender._dispatch_error)
    # One batch of a topic partition is on its way at a time, so that none overtakes another.
    made = inspect.getsource(kafka_producer.KafkaProducer.__init__)
    assert "guarantee_message_order = True" in made and "enable_idempotence" in made
    for name in ("force_close", "wakeup", "join"):
        assert callable(getattr(Sender, name))


def test_a_client_that_finds_no_broker_leaves_no_thread_behind(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BOOTSTRAP_TIMEOUT_MS", 100)
    settings.KAFKA_BOOTSTRAP_SERVERS = ["127.0.0.1:1"]
    before = set(threading.enumerate())
    for kind in (KafkaAdminClient, KafkaConsumer, KafkaProducer):
        with pytest.raises(KafkaError):
            connection.client_open(kind)
    assert set(threading.enumerate()) <= before
