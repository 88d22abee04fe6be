"""Who may write for a matching partition: one session's advisory lock, fenced by an epoch in every batch."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from apps.primitives.pipelining import rows_expect

LOCK_CLASS = 0x0B_E11
"""First key of the advisory locks, so that they cannot meet anybody else's."""

NOBODYS = -1
"""The number of no partition."""

PID_MAX = 4_194_304

SESSION_SQL = "SELECT pg_backend_pid()"

IDLE_SQL = "SELECT set_config('idle_session_timeout', %s, false)"

LOCK_TRY_SQL = "SELECT pg_try_advisory_lock(%s, %s)"

FULL_COMMIT_SQL = "SET synchronous_commit = on"

# A leader is stuck when it began where the one before it began, or died over one command that it had named,
# and commands wait: then something in them may be what ends leaders.
EPOCH_SQL = """
INSERT INTO matching_leader AS l
    (matching_partition, epoch, seq, host, pid, backend_pid, acquired_at)
SELECT %(part)s, 1, 0, %(host)s, %(pid)s, pg_backend_pid(), clock_timestamp() WHERE %(part)s >= 0
ON CONFLICT (matching_partition) DO UPDATE SET
    epoch = l.epoch + 1, host = %(host)s, pid = %(pid)s, backend_pid = pg_backend_pid(),
    acquired_at = clock_timestamp(), began_seq = l.seq,
    stuck = CASE WHEN (l.began_seq = l.seq OR l.attempting IS NOT NULL)
        AND EXISTS (SELECT 1 FROM order_commands WHERE matching_partition = %(part)s)
        THEN least(l.stuck + 1, 30000) ELSE 0 END
RETURNING epoch, seq, backend_pid, stuck, attempting, hash_seq, state_hash
"""

FENCE_SQL = """
UPDATE matching_leader SET seq = %s, attempting = NULL
WHERE matching_partition = %s AND epoch = %s AND seq = %s
"""

HASH_SQL = """
UPDATE matching_leader SET hash_seq = %s, state_hash = %s
WHERE matching_partition = %s AND epoch = %s AND seq = %s
"""

TERMINATE_SQL = """
SELECT pg_terminate_backend(l.backend_pid) FROM matching_leader l
WHERE l.matching_partition = %(part)s AND l.epoch = %(epoch)s AND l.backend_pid = %(backend_pid)s
  AND EXISTS (
    SELECT 1 FROM pg_locks k
    WHERE k.locktype = 'advisory' AND k.classid = %(class)s AND k.objid = %(part)s AND k.objsubid = 2
      AND k.granted AND k.pid = l.backend_pid
      AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""

AT_WORK_SQL = """
SELECT count(*) FROM pg_stat_activity
WHERE pid = %s AND state = 'active' AND wait_event IS DISTINCT FROM 'ClientRead'
"""


_PF_EXITING = 0x4
"""In the ninth field of /proc/<pid>/stat: the process has begun to end, and runs nothing of its own again."""


class Fenced(RuntimeError):
    """Another leader has taken over: this process must end without writing."""


class SessionUnfit(RuntimeError):
    """The session is not one backend of the server for as long as it lives: a pooler stands between."""


@dataclass(slots=True)
class Leadership:
    """The epoch this session leads with, the last sequence it has committed, and what it inherited.

    ``stuck`` counts the leaders in a row that ended at the same commands, ``attempting`` names the command
    that the last of them had before it. ``state_hash`` is the hash that a leader's books had at ``hash_seq``.
    """

    matching_partition: int
    epoch: int
    seq: int
    backend_pid: int = 0
    stuck: int = 0
    attempting: int | None = None
    hash_seq: int = 0
    state_hash: str = ""


def hash_text(state_hash: int) -> str:
    """Return a state hash as the leader's row keeps it."""
    return f"{state_hash:016x}"


def session_check(connection: "psycopg.Connection[Any]") -> None:
    """Raise ``SessionUnfit`` unless this session is one backend, and stays it."""
    for _ in range(2):
        row = connection.execute(SESSION_SQL).fetchone()
        if row is None or row[0] != connection.info.backend_pid:
            raise SessionUnfit("a runner needs a session of its own: its address must not be a pooler's")


def session_idle_limit(connection: "psycopg.Connection[Any]", idle_s: float) -> None:
    """Let the server end this session when it is idle for longer outside a transaction; 0 is for ever."""
    connection.execute(IDLE_SQL, (f"{round(idle_s * 1000)}ms",))


def takeover_rehearse(connection: "psycopg.Connection[Any]") -> None:
    """Have the server plan what a takeover asks of it, for a partition that cannot be: nothing comes of it.

    Planned for the first time in the moment in which it counts, each statement takes milliseconds. What is
    planned is kept for parameters of the same types, so these have the size of real ones.
    """
    connection.execute(EPOCH_SQL, {"part": NOBODYS, "host": "", "pid": PID_MAX}, prepare=True)
    nobody = {"part": NOBODYS, "epoch": 0, "backend_pid": PID_MAX, "class": LOCK_CLASS}
    connection.execute(TERMINATE_SQL, nobody, prepare=True)


def lock_try(connection: "psycopg.Connection[Any]", matching_partition: int) -> bool:
    """Ask for the partition's lock; returns at once.

    PostgreSQL gives the lock only when the old leader's backend has ended, so all it will ever commit is
    visible. The lock is asked for again and again, not waited for: a waiting SELECT would hold its snapshot,
    and with it every dead row of the queue, for as long as the standby stands by.
    """
    assert connection.autocommit, "ask for the lock outside a transaction"
    row = connection.execute(LOCK_TRY_SQL, (LOCK_CLASS, matching_partition)).fetchone()
    return bool(row and row[0])


def epoch_begin(connection: "psycopg.Connection[Any]", matching_partition: int) -> Leadership:
    """Commit a new epoch under the lock, in full durability, before anything else is done or told.

    When it returns, what the last leader committed is as durable as this row: the write-ahead log is ordered.
    Raises ``SessionUnfit`` when the lock is not this backend's.
    """
    # Whoever holds the lock is given it once more; behind a pooler the next statement is another backend's.
    if not lock_try(connection, matching_partition):
        raise SessionUnfit("the lock is not held by this session's own backend")
    connection.execute(FULL_COMMIT_SQL)
    parameters = {"part": matching_partition, "host": machine_name(), "pid": os.getpid()}
    row = connection.execute(EPOCH_SQL, parameters).fetchone()
    assert row is not None
    return Leadership(matching_partition, *row)


def leadership_assert(cursor: Any, leadership: Leadership, last_seq: int) -> None:
    """Advance the sequence under our epoch in this transaction; raises ``Fenced`` when it leads no more.

    In a pipeline it is raised by a later call, before anything can be committed.
    """
    cursor.execute(FENCE_SQL, (last_seq, leadership.matching_partition, leadership.epoch, leadership.seq))
    _one_row(cursor, leadership)


def leadership_hash(cursor: "psycopg.Cursor[Any]", leadership: Leadership, state_hash: int) -> None:
    """Write what our books' hash is at the last sequence committed, for the standbys to compare with."""
    text = hash_text(state_hash)
    partition, epoch, seq = leadership.matching_partition, leadership.epoch, leadership.seq
    cursor.execute(HASH_SQL, (seq, text, partition, epoch, seq))
    _one_row(cursor, leadership)
    leadership.hash_seq, leadership.state_hash = seq, text


def _one_row(cursor: Any, leadership: Leadership) -> None:
    partition, epoch = leadership.matching_partition, leadership.epoch
    rows_expect(cursor, 1, Fenced(f"partition {partition}: epoch {epoch} does not lead any more"))


def leader_is_at_work(connection: "psycopg.Connection[Any]", backend_pid: int) -> bool:
    """Return whether the server itself is busy with a statement of this session.

    Then it is the server, a lock or its disk, that the leader waits for: another leader would wait as long.
    """
    row = connection.execute(AT_WORK_SQL, (backend_pid,)).fetchone()
    return bool(row and row[0])


def process_is_ending(host: str, pid: int) -> bool:
    """Return whether a process of this machine has been killed and is being taken apart.

    The kernel closes its session only when its memory is gone, some ten milliseconds later. Of a process of
    another machine nothing is known.
    """
    if host != machine_name():
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    # The second field is the program's name in brackets and may hold anything.
    return bool(int(stat.rpartition(b")")[2].split()[6]) & _PF_EXITING)


def machine_name() -> str:
    """Return where this process runs: the host and, since containers may share its name, the pids' space."""
    try:
        return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return socket.gethostname()


def leader_terminate(
    connection: "psycopg.Connection[Any]", matching_partition: int, epoch: int, backend_pid: int
) -> bool:
    """End the session of the leader of this epoch, if it still leads with this backend; returns whether.

    One statement asks and acts: a backend that was given the same number since is never ended.
    """
    parameters = {
        "part": matching_partition,
        "epoch": epoch,
        "backend_pid": backend_pid,
        "class": LOCK_CLASS,
    }
    row = connection.execute(TERMINATE_SQL, parameters).fetchone()
    return bool(row and row[0])
