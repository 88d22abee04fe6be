"""The topics on the brokers: made as they should be, and compared with that, difference by difference."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from apps.events.kafka.connection import KafkaAway, admin_open, away_text
from apps.events.topics import REPLICATION, TOPIC_PARTITIONS, TOPIC_SETTINGS, TOPICS

CREATE_TIMEOUT_MS = 60_000
CHANGE_TIMEOUT_S = 10.0
MIN_INSYNC = "min.insync.replicas"


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """One thing about a topic that is not as it should be; ``found`` is None where there is nothing."""

    topic: str
    setting: str
    wanted: str
    found: str | None

    def __str__(self) -> str:
        found = "nothing" if self.found is None else self.found
        return f"{self.topic}: {self.setting} should be {self.wanted}, and is {found}"


class TooFewBrokers(RuntimeError):
    """The cluster has fewer brokers than every event is to be kept by."""


def topic_settings(replication: int = REPLICATION) -> dict[str, str]:
    """Return what topics are set to when so many brokers keep each event.

    Fewer copies than three need as many acknowledgements as still let one broker be away.
    """
    insync = min(int(TOPIC_SETTINGS[MIN_INSYNC]), max(replication - 1, 1))
    return {**TOPIC_SETTINGS, MIN_INSYNC: str(insync)}


def topics_check(replication: int = REPLICATION) -> list[TopicDifference]:
    """Return every difference between the topics and what they should be; raises ``KafkaAway``."""
    with _admin() as admin:
        return _differences(admin, replication)


def partition_counts() -> dict[str, int]:
    """Return how many partitions each of our topics has, as far as they exist; raises ``KafkaAway``."""
    with _admin() as admin:
        return {topic["name"]: len(topic["partitions"]) for topic in _present(admin)}


def topics_ensure(replication: int = REPLICATION) -> list[str]:
    """Create the topics that are missing and correct the settings of the others; return what was done.

    Partitions and replication of a topic that exists are left alone: another number of partitions would
    move users to other ones, and copies are moved by the cluster's own tools. Raises ``KafkaAway`` and
    ``TooFewBrokers``.
    """
    with _admin() as admin:
        brokers = len(admin.describe_cluster()["brokers"])
        if brokers < replication:
            raise TooFewBrokers(
                f"The cluster has {brokers} broker{'s'[: brokers != 1]}, and every event is to be kept by "
                f"{replication}."
            )
        missing = [name for name in TOPICS if name not in set(admin.list_topics())]
        if missing:
            _create(admin, missing, replication)
        wrong = _wrong_settings(admin, replication)
        for topic in sorted({difference.topic for difference in wrong}):
            changed = {d.setting: d.wanted for d in wrong if d.topic == topic}
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, changed)])
        deadline = time.monotonic() + CHANGE_TIMEOUT_S
        while wrong and _wrong_settings(admin, replication) and time.monotonic() < deadline:
            # What the controller has accepted reaches the brokers a moment later.
            time.sleep(0.1)
        return [f"{name}: created" for name in missing] + [
            f"{d.topic}: {d.setting} set to {d.wanted}, was {d.found}" for d in wrong
        ]


class _admin:
    """An administrating client; what goes wrong in it is told as ``KafkaAway``."""

    def __enter__(self) -> KafkaAdminClient:
        self.client = admin_open()
        return self.client

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.client.close()
        if isinstance(error, KafkaError | OSError):
            raise KafkaAway(away_text(error)) from error


def _create(admin: KafkaAdminClient, names: Iterable[str], replication: int) -> None:
    shape = {
        "num_partitions": TOPIC_PARTITIONS,
        "replication_factor": replication,
        "configs": topic_settings(replication),
    }
    names = list(names)
    try:
        admin.create_topics({name: shape for name in names}, timeout_ms=CREATE_TIMEOUT_MS)
    except TopicAlreadyExistsError:
        # Somebody else makes them at the same moment; what he made is compared like any other.
        pass
    admin.wait_for_topics(names, timeout_ms=CREATE_TIMEOUT_MS)


def _wrong_settings(admin: KafkaAdminClient, replication: int) -> list[TopicDifference]:
    return [one for one in _differences(admin, replication) if one.setting in TOPIC_SETTINGS]


def _present(admin: KafkaAdminClient) -> list[Any]:
    return [topic for topic in admin.describe_topics() if topic["name"] in TOPICS]


def _differences(admin: KafkaAdminClient, replication: int) -> list[TopicDifference]:
    present = {topic["name"]: topic for topic in _present(admin)}
    found: list[TopicDifference] = []
    for name in TOPICS:
        if name not in present:
            found.append(TopicDifference(name, "topic", "there", None))
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in present]
    settings = admin.describe_configs(resources, config_filter="all")["topic"] if resources else {}
    for name, topic in present.items():
        found += _shape_differences(name, topic["partitions"], replication)
        found += _setting_differences(name, settings[name], replication)
    return found


def _shape_differences(name: str, partitions: list[Any], replication: int) -> list[TopicDifference]:
    found = []
    if len(partitions) != TOPIC_PARTITIONS:
        found.append(TopicDifference(name, "partitions", str(TOPIC_PARTITIONS), str(len(partitions))))
    copies = {len(partition["replica_nodes"]) for partition in partitions}
    if copies - {replication}:
        text = " and ".join(str(count) for count in sorted(copies))
        found.append(TopicDifference(name, "replication", str(replication), text))
    return found


def _setting_differences(name: str, settings: dict[str, Any], replication: int) -> list[TopicDifference]:
    return [
        TopicDifference(name, setting, wanted, settings[setting]["value"] if setting in settings else None)
        for setting, wanted in topic_settings(replication).items()
        if setting not in settings or settings[setting]["value"] != wanted
    ]
