"""``manage.py audit_archive``: move old, verified days of events from their table into files."""

from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from apps.audit.management.commands.audit_verify import FOUND, UNABLE, accept_restore_argument, day_argument
from apps.audit.services.archiving import KEEP_DAYS, events_archive
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError, Refused


class Command(BaseCommand):
    help = (
        "Write every day of events before a day to AUDIT_ARCHIVE_DIR, verified before and after, and drop it "
        f"from its table. The last {KEEP_DAYS} days always stay."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--before", type=day_argument, required=True, metavar="DAY", help="a UTC day")
        parser.add_argument(
            "--give-up",
            action="append",
            default=[],
            metavar="SINK",
            help="archive what this sink of the relay was not told, and never will be",
        )
        accept_restore_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        count, answered = 0, (options["give_up"], options["accept_restore"])
        try:
            for done in events_archive(options["before"], utc_now().date(), *answered):
                self.stdout.write(
                    f"{done.archive.path}: {done.events} events, verified, dropped from the table."
                )
                count += 1
        except Refused as error:
            raise CommandError(error.message, returncode=FOUND) from None
        except (BrokerageError, DatabaseError, psycopg.Error, OSError) as error:
            raise CommandError(f"cannot archive now: {error}", returncode=UNABLE) from None
        if not count:
            self.stdout.write("There is nothing to archive.")
