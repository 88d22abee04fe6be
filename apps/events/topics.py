"""The Kafka topics: their names, shape and settings, and the topic partition of a user's events."""

from functools import lru_cache

from kafka.partitioner.default import murmur2

from apps.events.types import Topic

TOPIC_PARTITIONS = 100
REPLICATION = 3

_DAY_MS = 24 * 60 * 60 * 1000
RETENTION_DAYS = 7 * 365 + 2
"""Seven years, whichever two of them are leap years."""

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
"""The largest batch of records a broker takes; one event is far smaller."""

TOPIC_SETTINGS = {
    "cleanup.policy": "delete",
    "retention.ms": str(RETENTION_DAYS * _DAY_MS),
    "retention.bytes": "-1",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    "message.timestamp.type": "CreateTime",
    "max.message.bytes": str(MESSAGE_BYTES_MAX),
    # What the relay compresses stays so: nobody unpacks on the way to the disk.
    "compression.type": "producer",
    # A file a month, not one a week: seven years of a hundred partitions are many open files.
    "segment.bytes": str(1024**3),
    "segment.ms": str(30 * _DAY_MS),
}
"""What every topic is set to, by the broker's names; all values are text, as brokers tell them."""

TOPICS = tuple(topic.value for topic in Topic)


def event_topics(topic: str) -> tuple[str, ...]:
    """Return the topics that an event of ``topic`` goes to: its own, and the log of everything."""
    return (topic,) if topic == Topic.AUDIT else (topic, Topic.AUDIT.value)


def event_key(user_id: int) -> bytes:
    """Return the key of a user's events: the id in decimal digits."""
    return b"%d" % user_id


@lru_cache(maxsize=100_000)
def topic_partition(user_id: int) -> int:
    """Return the topic partition of a user's events, as every Kafka client's own partitioner finds it."""
    return (murmur2(event_key(user_id)) & 0x7FFFFFFF) % TOPIC_PARTITIONS
