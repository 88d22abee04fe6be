"""Whole record batches, as brokers keep them, made of events: one for each topic partition they go to.

The client library appends a record at a time, with a future for each and its numbers written byte by byte:
that is several times the cost of everything else the relay does. Here a batch is joined from parts, and
handed to the library's sender, whose idempotence, retries and metadata stay as they are (decision 0024).
"""

import struct
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import lz4.frame
from crc32c import crc32c
from kafka import TopicPartition

from apps.events.records import EventRecord
from apps.events.topics import event_key, event_topics, topic_partition
from apps.primitives.ids import EPOCH, SEQUENCE_BITS

BATCH_BYTES_MAX = 1_000_000
"""A topic partition's events beyond this go in a second batch, sent when the first is acknowledged."""

COMPRESSED_BYTES_MIN = 1_000
"""Smaller batches gain too little from being compressed."""

_EPOCH_MS = (EPOCH - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
_MAGIC = 2
_LZ4 = 3
# Base offset, length of the rest, leader epoch, magic, checksum of everything after it.
_HEAD = struct.Struct(">qiibI")
# Attributes, last offset, first and last timestamp, producer's id, epoch and sequence, number of records.
_BODY = struct.Struct(">hiqqqhii")
_LENGTH_FROM = struct.calcsize(">qi")
OVERHEAD_BYTES = _HEAD.size + _BODY.size


def _varint(number: int) -> bytes:
    zigzag = (number << 1) ^ (number >> 63)
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


_VARINTS = [_varint(number) for number in range(8_192)]
_STAMPS = [b"\0" + varint for varint in _VARINTS]
"""A record's attributes, of which there are none, and its time in milliseconds after the batch's first."""


def varint(number: int) -> bytes:
    """Return a number as record batches have them; the small ones are looked up."""
    return _VARINTS[number] if 0 <= number < 8_192 else _varint(number)


def _stamp(delta_ms: int) -> bytes:
    return _STAMPS[delta_ms] if 0 <= delta_ms < 8_192 else b"\0" + _varint(delta_ms)


@dataclass(slots=True)
class PackedRecords:
    """One batch's records, joined; when it is closed, with the producer's numbers, it becomes the bytes.

    It answers to what the library's sender asks of its own builder, and takes no further records.
    """

    records: bytes
    count: int
    first_ms: int
    last_ms: int
    attributes: int = 0
    producer_id: int = -1
    producer_epoch: int = -1
    base_sequence: int = -1
    _buffer: bytes | None = None

    def set_producer_state(
        self, producer_id: int, producer_epoch: int, base_sequence: int, is_transactional: bool
    ) -> None:
        """Take the numbers by which brokers know a repetition; never again once the bytes are made."""
        assert self._buffer is None, "a batch that may have been sent keeps its numbers"
        assert not is_transactional, "the relay uses no Kafka transactions"
        self.producer_id, self.producer_epoch = producer_id, producer_epoch
        self.base_sequence = base_sequence

    def close(self) -> None:
        """Make the bytes, once: what is sent again is the same."""
        if self._buffer is not None:
            return
        body = (
            _BODY.pack(
                self.attributes, self.count - 1, self.first_ms, self.last_ms,
                self.producer_id, self.producer_epoch, self.base_sequence, self.count,
            )
            + self.records
        )  # fmt: skip
        length = _HEAD.size - _LENGTH_FROM + len(body)
        self._buffer = _HEAD.pack(0, length, 0, _MAGIC, crc32c(body)) + body

    def buffer(self) -> bytes:
        """Return the bytes; it must have been closed."""
        assert self._buffer is not None, "not closed yet"
        return self._buffer

    def size_in_bytes(self) -> int:
        return OVERHEAD_BYTES + len(self.records)

    def next_offset(self) -> int:
        """Return how many records there are, by the name the library has for it."""
        return self.count

    def is_full(self) -> bool:
        return True

    def append(self, *record: object) -> None:
        """Take nothing more, as a full builder does."""


@dataclass(slots=True)
class _Growing:
    """The records of one topic partition on their way into batches."""

    parts: list[bytes] = field(default_factory=list)
    count: int = 0
    size: int = 0
    first_ms: int = 0
    last_ms: int = 0
    done: list[PackedRecords] = field(default_factory=list)

    def add(self, at_ms: int, body: bytes) -> None:
        size = len(body)
        if self.size + size > BATCH_BYTES_MAX and self.count:
            self.end()
        if not self.count:
            self.first_ms = self.last_ms = at_ms
        elif at_ms > self.last_ms:
            self.last_ms = at_ms
        head = _stamp(at_ms - self.first_ms) + varint(self.count)
        self.parts += (varint(len(head) + size), head, body)
        self.count += 1
        self.size += size

    def end(self) -> list[PackedRecords]:
        records, attributes = b"".join(self.parts), 0
        if len(records) >= COMPRESSED_BYTES_MIN:
            records, attributes = lz4.frame.compress(records, block_linked=False), _LZ4
        self.done.append(PackedRecords(records, self.count, self.first_ms, self.last_ms, attributes))
        self.parts, self.count, self.size = [], 0, 0
        return self.done


def _body(key: bytes, value: bytes) -> bytes:
    """Return what a record has after its place in the batch: key, value, and no headers."""
    return b"".join((varint(len(key)), key, varint(len(value)), value, b"\0"))


def message_pack(key: bytes, value: bytes, at_ms: int) -> PackedRecords:
    """Return a batch of one message that is in no row."""
    growing = _Growing()
    growing.add(at_ms, _body(key, value))
    return growing.end()[0]


def batches_pack(events: Iterable[EventRecord]) -> dict[TopicPartition, list[PackedRecords]]:
    """Return the batches for each topic partition, in the events' order; nearly always one.

    Every event goes to its own topic and to the log of everything, with the millisecond at which its id was
    drawn as its time.
    """
    growing: dict[tuple[str, int], _Growing] = defaultdict(_Growing)
    for event in events:
        body = _body(event_key(event.user_id), event.value())
        partition, at_ms = topic_partition(event.user_id), (event.id >> SEQUENCE_BITS) + _EPOCH_MS
        for topic in event_topics(event.topic):
            growing[topic, partition].add(at_ms, body)
    return {TopicPartition(*where): one.end() for where, one in growing.items()}
