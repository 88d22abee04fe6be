"""A command that ends every leader who takes it: found by taking one at a time, then refused untried."""

import logging
from collections.abc import Sequence
from typing import Any

from apps.events.facts import EventRow
from apps.events.services import event_append
from apps.events.types import EventType
from apps.matching.leader import Fenced, Leadership
from apps.matching.messages import Command

logger = logging.getLogger(__name__)

CALM_BATCHES = 50
"""After so many commands taken one by one without harm a leader takes them in batches again."""

REFUSED_KIND = 0
"""The kind in the record of a quarantined command: the engine refuses it before it looks at anything else."""

ATTEMPT_SQL = """
UPDATE matching_leader SET attempting = %s
WHERE matching_partition = %s AND epoch = %s AND seq = %s
"""


class Care:
    """How carefully one leader takes commands: in batches, or one by one and each named before it is tried.

    A command that its leader had named and did not survive is condemned. A crash of the engine and an
    exception of the booking are the same: both end the process.
    """

    def __init__(self, leadership: Leadership, stuck_epochs: int) -> None:
        self.left = CALM_BATCHES if leadership.stuck >= stuck_epochs else 0
        is_proven = leadership.stuck > stuck_epochs
        self.condemned_id = leadership.attempting if is_proven else None
        if self.left:
            logger.error(
                "partition %s: %s leaders in a row ended after seq %s; commands are taken one by one",
                leadership.matching_partition,
                leadership.stuck,
                leadership.seq,
            )

    def portion(self, cursor: Any, leadership: Leadership, commands: Sequence[Command]) -> list[Command]:
        """Return what to take of the commands that wait; a single one is named durably first."""
        if not self.left or not commands:
            return list(commands)
        command = commands[0]
        if not self.condemns(command):
            partition, epoch, seq = leadership.matching_partition, leadership.epoch, leadership.seq
            cursor.execute(ATTEMPT_SQL, (command.command_id, partition, epoch, seq))
            if cursor.rowcount != 1:
                raise Fenced(f"partition {partition}: epoch {epoch} does not lead any more")
        return [command]

    def condemns(self, command: Command) -> bool:
        """Return whether this command must be refused without being tried."""
        return command.command_id == self.condemned_id

    def survived(self) -> None:
        """Count a batch that has been committed."""
        self.left = max(self.left - 1, 0)


def quarantine_append(cursor: Any, matching_partition: int, seq: int, command: Command) -> None:
    """Append the event, and log, that a command was refused because it ended its leaders."""
    data = {
        "matching_partition": matching_partition,
        "seq": seq,
        "command_id": str(command.command_id),
        "kind": command.kind,
        "symbol": command.symbol,
        "order_id": str(command.order_id or command.orig_order_id),
    }
    account_id = command.account_id or None
    event_append(
        cursor, [EventRow(EventType.COMMAND_QUARANTINED, command.user_id, data, account_id=account_id)]
    )
    logger.critical("a command is quarantined, it ended every leader that took it: %s", data)
