"""The queue of record: which commands have arrived, in id order."""

from collections.abc import Collection
from typing import Any

import psycopg

from apps.matching.messages import COMMAND_COLUMNS, Command
from apps.primitives.clock import utc_now
from apps.primitives.ids import id_floor

BATCH_COMMANDS_MAX = 200
"""Commands in one booking transaction: where the durable path's throughput levels off."""

LOOK_BACK_S = 60
"""How old an id can be when its row becomes visible: far beyond the longest allowed transaction."""

SWEEP_INTERVAL_S = 10.0
"""How often the whole queue is read, whatever the ids say."""

_TAKE_SQL = f"""
SELECT {COMMAND_COLUMNS} FROM order_commands
WHERE matching_partition = %s AND command_id >= %s
ORDER BY command_id LIMIT {BATCH_COMMANDS_MAX}
"""


_REQUEUE_SQL = """
UPDATE order_commands AS c SET command_id = k.fresh
FROM (SELECT command_id, next_id() AS fresh FROM unnest(%s::bigint[]) AS k (command_id)) AS k
WHERE c.command_id = k.command_id
"""


def kept_requeue(cursor: "psycopg.Cursor[Any]", command_ids: Collection[int]) -> None:
    """Send commands whose order is still to come to the end of the queue, in their order.

    At its head, two hundred of them would be taken for ever, and what they wait for never.
    """
    if command_ids:
        cursor.execute(_REQUEUE_SQL, (sorted(command_ids),))


class CommandQueue:
    """Reads one matching partition's commands; rows stay until the batch that took them commits."""

    def __init__(self, matching_partition: int) -> None:
        self.matching_partition = matching_partition
        self._swept_at = float("-inf")

    def take(self, cursor: "psycopg.Cursor[Any]", monotonic_s: float) -> list[Command]:
        """Return up to 200 waiting commands in id order, from a minute back or, now and then, from the start.

        Never from the last id taken: a smaller id may commit later.
        """
        floor = 0
        if monotonic_s - self._swept_at < SWEEP_INTERVAL_S:
            now = utc_now()
            floor = id_floor(now) - (LOOK_BACK_S * 1000 << 21)
        else:
            self._swept_at = monotonic_s
        cursor.execute(_TAKE_SQL, (self.matching_partition, floor))
        return [Command(*row) for row in cursor.fetchall()]
