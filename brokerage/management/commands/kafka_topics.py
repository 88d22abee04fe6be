"""``manage.py kafka_topics``: make the Kafka topics as they should be, or say exactly how they differ."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.events.kafka.administration import TooFewBrokers, topics_check, topics_ensure
from apps.events.kafka.connection import KafkaAway
from apps.events.topics import REPLICATION, TOPIC_PARTITIONS, TOPICS

DIFFERS, CANNOT = 1, 2
LOWERED_FLAG = "--i-know-that-fewer-copies-can-be-lost"


class Command(BaseCommand):
    help = (
        "Create the topics that are missing, correct the settings of the others, and compare all of them "
        "with what they should be. Exits 0 when they are, 1 when not, 2 when it cannot be known."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing, only compare")
        parser.add_argument(
            "--replication", type=int, default=REPLICATION, help=f"copies of every event ({REPLICATION})"
        )
        parser.add_argument(
            LOWERED_FLAG, action="store_true", dest="is_lowered", help="needed for fewer copies than three"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        replication: int = options["replication"]
        if not 1 <= replication <= 10:
            self._refuse(f"--replication must be from 1 to 10, not {replication}.")
        if replication < REPLICATION and not options["is_lowered"]:
            self._refuse(
                f"With {replication} of {REPLICATION} copies an event can be lost with a disk. On a machine "
                f"where that does not matter, say so: {LOWERED_FLAG}."
            )
        try:
            for line in [] if options["check"] else topics_ensure(replication):
                self.stdout.write(line)
            differences = topics_check(replication)
        except (KafkaAway, TooFewBrokers) as error:
            self._refuse(str(error))
        for difference in differences:
            self.stdout.write(str(difference))
        if differences:
            sys.exit(DIFFERS)
        self.stdout.write(
            f"{len(TOPICS)} topics are as they should be: {TOPIC_PARTITIONS} partitions, "
            f"copies on {replication} broker{'s'[: replication != 1]}."
        )

    def _refuse(self, text: str) -> None:
        self.stderr.write(text)
        sys.exit(CANNOT)
