"""``manage.py audit_at``: an order's or an account's state at any instant, from events alone."""

import json
from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from apps.audit.archives import ArchiveDamaged
from apps.audit.presenting import account_facts, account_lines, story_facts, story_lines
from apps.audit.selectors import account_at, order_named_at
from apps.primitives.errors import BrokerageError

UNABLE = 2


def instant_argument(text: str) -> datetime:
    """Return the instant that a text with its offset from UTC names, such as 2026-01-08T15:30:00Z."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no instant of the form 2026-01-08T15:30:00.123456Z") from None
    if instant.tzinfo is None:
        raise ArgumentTypeError(
            f"{text!r} says no time zone: end it with Z, or with an offset such as -05:00"
        )
    return instant


class Command(BaseCommand):
    help = "Tell an order's or an account's state at an instant from the audit log, archived days included."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("instant", type=instant_argument, help="such as 2026-01-08T15:30:00.123456Z")
        parser.add_argument("--order", help="order id, public id or, with --account, client order id")
        parser.add_argument("--account", type=int, help="account id")
        parser.add_argument("--json", action="store_true", help="for programs: ids and amounts are text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["order"] is None and options["account"] is None:
            raise CommandError("Name an order with --order or an account with --account.", returncode=UNABLE)
        try:
            facts, lines = self._found(options)
        except BrokerageError as error:
            raise CommandError(error.message, returncode=UNABLE) from None
        except (DatabaseError, OSError, ArchiveDamaged) as error:
            raise CommandError(f"The events cannot be read: {error}", returncode=UNABLE) from None
        if options["json"]:
            self.stdout.write(json.dumps(facts, indent=2))
        else:
            self.stdout.write("\n".join(lines))

    def _found(self, options: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        if options["order"] is None:
            found = account_at(options["account"], options["instant"])
            return account_facts(found), account_lines(found)
        story = order_named_at(options["order"], options["instant"], options["account"])
        return story_facts(story), story_lines(story)
