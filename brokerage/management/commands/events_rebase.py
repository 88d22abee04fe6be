"""``manage.py events_rebase``: let the relay go on after the database was restored."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from apps.events.anchors import anchor_newest, anchors_restart
from apps.events.facts import EventRow
from apps.events.relay import Relay
from apps.events.services import event_append
from apps.events.types import EventType
from apps.orders.services.view import view_forget
from apps.primitives.clock import iso, utc_now
from brokerage.wiring import relay_groups, relay_kafka


class Command(BaseCommand):
    help = (
        "Accept the present database server: every sink gets a new epoch and its last events again, and the "
        "Redis view is made anew. Stop the relay first."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        # Its marker names transactions of the former server; the relay rebuilds what has none.
        view_forget()
        kafka = relay_kafka()
        for relay in (*relay_groups(), *([kafka] if kafka else [])):
            self._rebase_tell(relay)
            relay.rebase()
            self.stdout.write(f"{relay.name}: epoch {relay.position.stream_epoch}")
        start = anchors_restart(settings.AUDIT_ANCHOR_DIR)
        if start is not None:
            self.stdout.write(
                "The anchors knew blocks that are not here any more: they begin a new start at block "
                f"{start.block_no}. audit_verify names what is gone until it is told --accept-restore "
                f"{start.block_no}."
            )
        if kafka:
            self._kafka_restart()

    def _kafka_restart(self) -> None:
        """Void what the anchors in Kafka say of blocks after the present tip."""
        from apps.events.kafka.anchors import KafkaAnchors

        anchor, anchors = anchor_newest(), KafkaAnchors()
        try:
            if anchor is not None:
                anchors(replace(anchor, is_new_start=True))
        except OSError as error:
            raise CommandError(
                f"The anchors in Kafka could not begin a new start, run this again: {error}"
            ) from error
        finally:
            anchors.close()

    def _rebase_tell(self, relay: Relay) -> None:
        """Put the act on record before it is done: a sink may get its last events again from here on."""
        before = relay.position
        data = {
            "sink": relay.name,
            "stream_epoch": before.stream_epoch,
            "xact_id": before.xact_id,
            "event_id": str(before.event_id),
            "at": iso(utc_now()),
        }
        with connection.cursor() as cursor:
            event_append(cursor, [EventRow(EventType.RELAY_REBASED, 0, data)])
