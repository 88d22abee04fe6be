"""The queue of record: which commands have arrived, in id order."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import psycopg

from apps.matching.messages import COMMAND_COLUMNS, Command
from apps.primitives.ids import id_floor

BATCH_COMMANDS_MAX = 1_000
"""Commands in one booking transaction under a backlog: where the durable path's throughput levels off."""

FIRST_COMMANDS_MAX = 20
"""Commands in a leader's first batch: what waited for it is answered soon, whatever waits behind."""

LOOK_BACK_S = 60
"""How old an id can be when its row becomes visible: far beyond the longest allowed transaction."""

SWEEP_INTERVAL_S = 10.0
"""How often the whole queue is read, whatever the ids say."""

TAKE_SQL = f"""
SELECT {COMMAND_COLUMNS} FROM order_commands
WHERE matching_partition = %s AND command_id >= %s
ORDER BY command_id LIMIT %s
"""


PLANS_SQL = (
    "SET enable_seqscan = off; SET enable_sort = off; SET enable_mergejoin = off; SET enable_nestloop = off"
)
"""From the first take on, the session finds each row by its key: what the statistics say of a table that is
empty one moment and full the next must not make a batch read all of it. What an array names is joined by
hash, or looked up row by row where the statement says LATERAL: the planner expects ten of any array, and
would compare each of a thousand with each of a thousand."""

REQUEUE_SQL = """
UPDATE order_commands AS c SET command_id = k.fresh
FROM (SELECT command_id, next_id() AS fresh FROM unnest(%s::bigint[]) AS k (command_id)) AS k
WHERE c.command_id = k.command_id AND c.command_id = ANY(%s::bigint[])
"""


def kept_requeue(cursor: Any, command_ids: Collection[int]) -> None:
    """Send commands whose order is still to come to the end of the queue, in their order.

    At its head, a batch of them would be taken for ever, and what they wait for never.
    """
    if command_ids:
        kept = sorted(command_ids)
        cursor.execute(REQUEUE_SQL, (kept, kept))


class CommandQueue:
    """Reads one matching partition's commands; rows stay until the batch that took them commits."""

    def __init__(self, matching_partition: int) -> None:
        self.matching_partition = matching_partition
        self._swept_at = float("-inf")
        self._is_first = True

    def take(self, cursor: "psycopg.Cursor[Any]", monotonic_s: float, now: datetime) -> list[Command]:
        """Return up to 1,000 waiting commands in id order, from a minute back or, at times, from the start.

        Never from the last id taken: a smaller id may commit later. From the start again and again while
        there is more than one batch: what has waited through an outage comes before what is new.
        """
        floor, most = 0, BATCH_COMMANDS_MAX
        if self._is_first:
            most, self._is_first = FIRST_COMMANDS_MAX, False
            cursor.execute(PLANS_SQL)
        is_sweep = monotonic_s - self._swept_at >= SWEEP_INTERVAL_S
        if not is_sweep:
            floor = id_floor(now) - (LOOK_BACK_S * 1000 << 21)
        cursor.execute(TAKE_SQL, (self.matching_partition, floor, most))
        commands = [Command(*row) for row in cursor.fetchall()]
        if is_sweep and len(commands) < most:
            self._swept_at = monotonic_s
        return commands
