"""Acts on the queue: append a command in the caller's transaction, and wake the runner after it commits."""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from django_redis import get_redis_connection
from redis.exceptions import RedisError

from apps.matching.messages import Command
from apps.primitives.appending import AppendTable, rows_append

logger = logging.getLogger(__name__)

WARNING_INTERVAL_S = 60.0
_warned_at = float("-inf")
_due: set[int] = set()
"""Partitions whose runner is to be woken: at most one ring each, however many ask."""

_rung = threading.Event()
_starting = threading.Lock()
_ringer: threading.Thread | None = None

_DRAWN = ("command_id", "created_at")
"""By the database."""

_COMMANDS = AppendTable(
    "order_commands",
    {"matching_partition": "bigint"}
    | {
        name: "text" if kind is str else "bigint"
        for name, kind in Command.__annotations__.items()
        if name not in _DRAWN
    },
)


def wake_channel(matching_partition: int) -> str:
    """Return the Redis channel that wakes the runner of a matching partition."""
    return f"matching:wake:{matching_partition}"


def command_append(cursor: Any, matching_partition: int, commands: Sequence[Command]) -> None:
    """Queue commands in the transaction that ``cursor`` is in; ids and times are drawn by the database."""
    rows_append(cursor, _COMMANDS, [(matching_partition, *c[: -len(_DRAWN)]) for c in commands])


def matching_wake(matching_partition: int) -> None:
    """Wake the runner: a hint, never the truth. A lost one costs at most one poll interval.

    A thread of its own rings, so that nobody's answer waits for Redis; a ring that is due stands for all that
    are asked for meanwhile.
    """
    _due.add(matching_partition)
    _ringer_ensure()
    _rung.set()


def _ringer_ensure() -> None:
    """Start the thread at the first ring of a process; a fork does not inherit it."""
    global _ringer
    if _ringer is not None and _ringer.is_alive():
        return
    with _starting:
        if _ringer is None or not _ringer.is_alive():
            _ringer = threading.Thread(target=_ring, name="matching-wake", daemon=True)
            _ringer.start()


def _ring() -> None:
    while True:
        _rung.wait()
        _rung.clear()
        while _due:
            _publish(_due.pop())


def _publish(matching_partition: int) -> None:
    global _warned_at
    try:
        get_redis_connection("default").publish(wake_channel(matching_partition), b"1")
    except RedisError as error:
        if time.monotonic() - _warned_at > WARNING_INTERVAL_S:
            _warned_at = time.monotonic()
            logger.warning("wake-ups of matching partition %s are lost: %s", matching_partition, error)
