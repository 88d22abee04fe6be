"""All that a runner and its standby need from the storeys above and from the machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import psycopg

from apps.matching.messages import BatchBook, Tell


class Wait(Protocol):
    """Returns when woken or after the time given, in seconds."""

    def __call__(self, timeout_s: float) -> None: ...


class Clock(Protocol):
    """The time, and the only ways to let some pass."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    def sleep_between(self, shortest_s: float, longest_s: float) -> None: ...


class Heart(Protocol):
    """Beats for the standbys while its process runs, and tells them whether the leader's thread moves."""

    def tick(self) -> None: ...

    def busy(self, is_busy: bool) -> None: ...

    def send_to(self, addresses: Sequence[tuple[str, int]]) -> None: ...

    def stop(self) -> None: ...


class Beat(NamedTuple):
    """The newest beat heard, and for how long there was none, or no progress in it."""

    epoch: int
    backend_pid: int
    number: int
    progress: int
    is_busy: bool
    is_realtime: bool
    silent_s: float
    still_s: float


class Ear(Protocol):
    """Hears the leader's heart at an address."""

    host: str
    port: int

    def listen(self, timeout_s: float, silence_s: float) -> bool:
        """Take in beats until the time is over, or sooner until it is silent; returns whether it is."""

    def last(self) -> Beat | None: ...


class Snapshots(Protocol):
    """Keeps what the next leader may begin from; a failure of it never stops trading."""

    def due(self, now_s: float, seq: int) -> bool: ...

    def take(self, engine: Any, epoch: int, seq: int) -> int | None:
        """Keep the engine as it is; returns the hash of its state, if that is known now."""


class Recovered(Protocol):
    """An engine at the end of the journal, and where that was."""

    @property
    def engine(self) -> Any: ...

    @property
    def seq(self) -> int: ...

    @property
    def source(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long a leader may be silent or still before a standby ends its session, in seconds.

    Silence is judged more sharply of a heart that the machine lets beat at real-time priority. ``idle_s`` is
    what the server itself allows a silent session: the last resort when no standby lives. After
    ``stuck_epochs`` leaders in a row that ended at the same command, commands are taken one by one.
    """

    silence_realtime_s: float = 0.1
    silence_s: float = 0.15
    progress_s: float = 1.0
    idle_s: float = 2.5
    stuck_epochs: int = 3


@dataclass(frozen=True, slots=True)
class RunnerPorts:
    """All that a runner needs from the storeys above and from the machine."""

    connect: Callable[[], "psycopg.Connection[Any]"]
    rehearse: Callable[["psycopg.Connection[Any]"], None]
    recover: Callable[[Any, int], Recovered]
    batch_book: BatchBook
    tell: Tell
    announce: Callable[[Any, dict[int, str]], None]
    wait: Wait
    stopping: Callable[[], bool]
    clock: Clock
    heart_start: Callable[[int, int, int], Heart]
    ear_open: Callable[[int], Ear]
    is_ending: Callable[[str, int], bool]
    snapshots: Snapshots
    patience: Patience = Patience()
