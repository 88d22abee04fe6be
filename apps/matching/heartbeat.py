"""The leader's heart and the standby's ear, and who listens where; the only importer of the native module."""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from openbell_engine import heartbeat as native

from apps.matching import ports

HEARING_S = 10
"""A standby that was not seen for so many seconds is not beaten for."""

BEAT_US = 1_000
"""A standby notices that a beat is missing within two: each millisecond here is one of every takeover."""

STANDBY_SEEN_SQL = """
INSERT INTO matching_standbys AS s (matching_partition, host, port, backend_pid, seq, seen_at)
VALUES (%(part)s, %(host)s, %(port)s, pg_backend_pid(), %(seq)s, clock_timestamp())
ON CONFLICT (matching_partition, host, port) DO UPDATE SET
    backend_pid = pg_backend_pid(), seq = excluded.seq, seen_at = clock_timestamp()
"""

STANDBYS_SQL = f"""
SELECT host, port FROM matching_standbys
WHERE matching_partition = %s AND seen_at > clock_timestamp() - interval '{HEARING_S} s'
ORDER BY seen_at DESC LIMIT 64
"""

STANDBYS_OLD_SQL = f"""
DELETE FROM matching_standbys
WHERE matching_partition = %(part)s AND seen_at < clock_timestamp() - interval '{HEARING_S * 3} s'
"""

STANDBY_GONE_SQL = """
DELETE FROM matching_standbys WHERE matching_partition = %(part)s AND host = %(host)s AND port = %(port)s
"""

_beating: ContextVar["ports.Heart | None"] = ContextVar("beating", default=None)


def beating(heart: "ports.Heart | None") -> None:
    """Let ``tick`` reach this heart from now on in this thread."""
    _beating.set(heart)


def tick() -> None:
    """Say that the leader's thread moves, from within work that may take seconds; no leader, no effect."""
    heart = _beating.get()
    if heart is not None:
        heart.tick()


def heart_start(matching_partition: int, epoch: int, backend_pid: int) -> ports.Heart:
    """Return a heart that beats every millisecond for nobody yet."""
    return native.Heart(matching_partition, epoch, backend_pid, BEAT_US)


class Ear:
    """Hears one partition's leader on a free port of ``host``."""

    def __init__(self, matching_partition: int, host: str) -> None:
        self.host = host
        self._ear = native.Ear(matching_partition, host)
        self.port = self._ear.port()
        self.listen = self._ear.listen

    def last(self) -> ports.Beat | None:
        """Return the newest beat of the newest leader heard."""
        beat = self._ear.last()
        return None if beat is None else ports.Beat(*beat)


def standby_seen(cursor: Any, matching_partition: int, ear: ports.Ear, seq: int) -> None:
    """Write where this standby listens and how far it has followed; forget those that have fallen silent."""
    cursor.execute(STANDBYS_OLD_SQL, {"part": matching_partition})
    cursor.execute(
        STANDBY_SEEN_SQL, {"part": matching_partition, "host": ear.host, "port": ear.port, "seq": seq}
    )


def standby_gone(cursor: Any, matching_partition: int, ear: ports.Ear) -> None:
    """Forget this standby."""
    cursor.execute(STANDBY_GONE_SQL, {"part": matching_partition, "host": ear.host, "port": ear.port})


def standbys_heard(cursor: Any, matching_partition: int) -> Sequence[tuple[str, int]]:
    """Return where the partition's standbys listen, those seen last first."""
    cursor.execute(STANDBYS_SQL, (matching_partition,))
    return [(host, port) for host, port in cursor.fetchall()]
