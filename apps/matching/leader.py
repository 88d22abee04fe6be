"""Who may write for a matching partition: one session's advisory lock, fenced by an epoch in every batch."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

LOCK_CLASS = 0x0B_E11
"""First key of the advisory locks, so that they cannot meet anybody else's."""

LOCK_POLL_S = 0.02
"""How often a standby asks for the lock: the longest a killed leader's place stays empty because of us."""

_EPOCH_SQL = """
INSERT INTO matching_leader AS l (matching_partition, epoch, seq, host, pid, backend_pid, acquired_at)
VALUES (%(part)s, 1, 0, %(host)s, %(pid)s, pg_backend_pid(), clock_timestamp())
ON CONFLICT (matching_partition) DO UPDATE SET
    epoch = l.epoch + 1, host = %(host)s, pid = %(pid)s, backend_pid = pg_backend_pid(),
    acquired_at = clock_timestamp()
RETURNING epoch, seq
"""

_FENCE_SQL = """
UPDATE matching_leader SET seq = %s
WHERE matching_partition = %s AND epoch = %s AND seq = %s
"""


class Fenced(RuntimeError):
    """Another leader has taken over: this process must end without writing."""


@dataclass(slots=True)
class Leadership:
    """The epoch this session leads with, and the last sequence it has committed."""

    matching_partition: int
    epoch: int
    seq: int


def _lock_try(connection: "psycopg.Connection[Any]", matching_partition: int) -> bool:
    sql = "SELECT pg_try_advisory_lock(%s, %s)"
    row = connection.execute(sql, (LOCK_CLASS, matching_partition)).fetchone()
    return bool(row and row[0])


def leadership_acquire(
    connection: "psycopg.Connection[Any]", matching_partition: int, stopping: Callable[[], bool] = bool
) -> Leadership | None:
    """Wait for the partition's lock on this session, then commit a new epoch before anything else.

    PostgreSQL gives the lock only when the old leader's backend has ended, so all it will ever commit is
    visible. The lock is asked for again and again, not waited for: a waiting SELECT would hold its snapshot,
    and with it every dead row of the queue, for as long as the standby stands by.

    Returns None when ``stopping`` says so before the lock is ours.
    """
    assert connection.autocommit, "ask for the lock outside a transaction"
    while not _lock_try(connection, matching_partition):
        if stopping():
            return None
        time.sleep(LOCK_POLL_S)
    connection.execute("SET synchronous_commit = on")
    parameters = {"part": matching_partition, "host": socket.gethostname(), "pid": os.getpid()}
    row = connection.execute(_EPOCH_SQL, parameters).fetchone()
    assert row is not None
    return Leadership(matching_partition, epoch=row[0], seq=row[1])


def leadership_assert(cursor: "psycopg.Cursor[Any]", leadership: Leadership, last_seq: int) -> None:
    """Advance the sequence under our epoch in this transaction; raises ``Fenced`` when it leads no more."""
    cursor.execute(_FENCE_SQL, (last_seq, leadership.matching_partition, leadership.epoch, leadership.seq))
    if cursor.rowcount != 1:
        raise Fenced(
            f"partition {leadership.matching_partition}: epoch {leadership.epoch} does not lead any more"
        )
