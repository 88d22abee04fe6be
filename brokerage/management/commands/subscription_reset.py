"""``manage.py subscription_reset``: let a subscription go on that stopped, and empty its quarantine."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, transaction

from apps.events.models import QuarantinedMessage, SubscriptionPosition
from apps.events.origins import operator_row
from apps.events.services import event_append
from apps.events.subscription import QUARANTINE_MAX, UNTRIED_MAX
from apps.events.types import EventType

NOTHING_TO_DO, CANNOT = 1, 2


class Command(BaseCommand):
    help = (
        "A subscription has stopped and says so: Kafka has thrown away what it had not read, or lost what it "
        "had, or its quarantine is full. This lets it go on, in those topic partitions alone, with the "
        "nearest event that Kafka has; the database has what is left out. Exits 0 when it may go on, 1 when "
        "nothing was wrong, 2 for an unknown name."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subscription", help="its name, as in the log")
        parser.add_argument(
            "--forget-quarantine",
            action="store_true",
            help="delete what it has put aside: the events themselves stay in the database",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["subscription"]
        if not SubscriptionPosition.objects.filter(subscription=name).exists():
            self.stderr.write(f"There is no subscription {name!r}.")
            sys.exit(CANNOT)
        told, forgotten = _reset(name, is_to_forget=options["forget_quarantine"])
        for problem in told:
            self.stdout.write(f"{problem}: may jump")
        if options["forget_quarantine"]:
            self.stdout.write(f"{forgotten} quarantined messages of {name} are forgotten.")
        else:
            self._full_tell(name)
        if not (told or forgotten):
            self.stdout.write(f"Nothing is wrong with where {name} stands.")
            sys.exit(NOTHING_TO_DO)

    def _full_tell(self, name: str) -> None:
        kept = QuarantinedMessage.objects.filter(subscription=name)
        failures = kept.filter(tries__gt=0).count()
        if failures >= QUARANTINE_MAX or kept.count() - failures >= UNTRIED_MAX:
            self.stdout.write(
                f"The quarantine of {name} is full: it stops at the next message that it has to put aside. "
                "--forget-quarantine empties it."
            )


def _reset(name: str, *, is_to_forget: bool) -> tuple[list[str], int]:
    """Let the subscription go on and put that on record; returns its problems, and how much was forgotten."""
    positions = SubscriptionPosition.objects.filter(subscription=name).exclude(problem="")
    kept = QuarantinedMessage.objects.filter(subscription=name)
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # Locked in the order in which a running process locks them.
        stopped = list(positions.order_by("pk").select_for_update(no_key=True))
        problems = [position.problem for position in stopped]
        failed = kept.filter(tries__gt=0).order_by("-pk").values_list("event_id", flat=True)
        event_ids = [str(number) for number in failed[:QUARANTINE_MAX] if number] if is_to_forget else []
        forgotten = kept.delete()[0] if is_to_forget else 0
        if problems or forgotten:
            SubscriptionPosition.objects.filter(pk__in=[position.pk for position in stopped]).update(
                may_jump=True, problem="", tries=0
            )
            data = {
                "subscription": name,
                "problems": problems,
                "forgotten": forgotten,
                "event_ids": event_ids,
            }
            event_append(cursor, [operator_row(EventType.SUBSCRIPTION_RESET, data)])
    return problems, forgotten
