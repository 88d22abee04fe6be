"""``manage.py subscription_reset``: let a subscription go on that lost its place in Kafka."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.events.models import SubscriptionPosition

NOTHING_TO_DO, CANNOT = 1, 2


class Command(BaseCommand):
    help = (
        "Kafka has thrown away what a subscription had not read, or lost what it had: the subscription "
        "has stopped and says so. This lets it go on, in those topic partitions alone, with the nearest "
        "event that Kafka has; the database has what is left out. Exits 0 when it may go on, 1 when "
        "nothing was wrong, 2 for an unknown name."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subscription", help="its name, as in the log")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["subscription"]
        positions = SubscriptionPosition.objects.filter(subscription=name)
        if not positions.exists():
            self.stderr.write(f"There is no subscription {name!r}.")
            sys.exit(CANNOT)
        problems = positions.exclude(problem="").order_by("topic", "topic_partition")
        told = [position.problem for position in problems]
        if not told:
            self.stdout.write(f"Nothing is wrong with where {name} stands.")
            sys.exit(NOTHING_TO_DO)
        problems.order_by().update(may_jump=True, problem="", tries=0)
        for problem in told:
            self.stdout.write(f"{problem}: may jump")
