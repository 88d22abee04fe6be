"""The simulated machine: one thread, a virtual clock, one source of chance, processes that take turns."""

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from greenlet import getcurrent, greenlet

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
"""The instant at which every simulated day begins."""

TRACE_LINES_MAX = 400
EXPECTED = {
    "AdminShutdown", "OperationalError", "ConnectionError", "CursorMoved", "JournalBroken", "Fenced",
    "SessionUnfit", "DeadlockDetected", "SerializationFailure",
}  # fmt: skip
"""The errors by which a program may end itself; any other is a defect."""

MS = 1_000
SECOND = 1_000_000


class Killed(BaseException):
    """Thrown into a process that is killed: whatever it still tries while it unwinds has no effect."""


class Violated(AssertionError):
    """An invariant does not hold."""


class Process:
    """One program with its own stack; it runs until it asks the world for something."""

    def __init__(self, world: "World", name: str, main: Callable[[], None]) -> None:
        self.world, self.name = world, name
        self.alive = True
        self.stopped = False
        self.silent_us: int | None = None
        self.clock_skew_us = 0
        self.on_end: list[Callable[[], None]] = []
        self._turn = 0
        self._pending: Any = None
        self._waiting = False
        self._woken = False
        self._greenlet = greenlet(lambda _: self._run(main), parent=world.hub)

    def _run(self, main: Callable[[], None]) -> None:
        try:
            main()
            self.world.note(self.name, "ends")
        except Killed:
            pass
        except Violated:
            raise
        except Exception as error:
            if type(error).__name__ not in EXPECTED:
                raise
            self.world.crashes[type(error).__name__] += 1
            self.world.note(self.name, f"crashes: {type(error).__name__}: {error}")
        self.end()

    def end(self) -> None:
        """Let the machine clear up after the process, once."""
        if self.alive:
            self.alive = False
            self.silent_us = self.world.now_us if self.silent_us is None else self.silent_us
            for act in self.on_end:
                act()

    def kill(self) -> None:
        """End it where it is, as SIGKILL does; nothing it does afterwards has an effect."""
        if not self.alive:
            return
        self.end()
        if self._greenlet and self._greenlet is not getcurrent():
            self._greenlet.throw(Killed)

    def stop(self, *, is_hung: bool = False) -> None:
        """Stop it where it is; one that only hangs in its main thread goes on beating."""
        self.stopped = True
        if not is_hung:
            self.silent_us = self.world.now_us

    def go_on(self) -> None:
        """Wake a stopped process; what it waited for meanwhile has happened to it."""
        if not self.alive:
            return
        self.stopped, self.silent_us = False, None
        pending, self._pending = self._pending, None
        if pending is not None:
            self.world.at(0, lambda: self._resume(*pending))

    def silent_since_us(self, now_us: int) -> int:
        """Return when anything of it last moved."""
        return now_us if self.silent_us is None else self.silent_us

    def park(self) -> Any:
        """Give up the turn until somebody calls the function that ``resumer`` returned."""
        answer = self.world.hub.switch()
        if not self.alive:
            raise Killed
        return answer

    def resumer(self) -> Callable[[Any], None]:
        """Return a function that ends the coming ``park``; only its first call counts."""
        self._turn += 1
        turn = self._turn
        return lambda answer: self._resume(turn, answer)

    def _resume(self, turn: int, answer: Any) -> None:
        if not self.alive or turn != self._turn:
            return
        if self.stopped:
            self._pending = (turn, answer)
            return
        self._turn += 1
        self.world.me = self
        self._greenlet.switch(answer)

    def begin(self) -> None:
        resume = self.resumer()
        self.world.at(0, lambda: resume(None))

    def sleep(self, seconds: float) -> None:
        """Sleep on the virtual clock."""
        resume = self.resumer()
        self.world.at(max(int(seconds * SECOND), 1), lambda: resume(None))
        self.park()

    def wait(self, seconds: float) -> None:
        """Sleep, but return at once when woken."""
        if self._woken:
            self._woken = False
            seconds = 0.0
        self._waiting = True
        resume = self._wake = self.resumer()
        self.world.at(max(int(seconds * SECOND), 1), lambda: resume(None))
        self.park()
        self._waiting = False

    def wake(self) -> None:
        """End the present wait, or the next."""
        if self._waiting:
            resume = self._wake
            self.world.at(0, lambda: resume(None))
        else:
            self._woken = True

    _wake: Callable[[Any], None]


class World:
    """Everything that happens, in the order of the virtual clock; equal seeds make equal worlds."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now_us = 0
        self.hub = getcurrent()
        self.steps = 0
        self.faults: Counter[str] = Counter()
        self.crashes: Counter[str] = Counter()
        self.processes: list[Process] = []
        self.trace: deque[tuple[int, str, str]] = deque(maxlen=TRACE_LINES_MAX)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    me: Process
    """The process whose turn it is."""

    def spawn(self, name: str, main: Callable[[], None]) -> Process:
        process = Process(self, name, main)
        self.processes = [other for other in self.processes if other.alive]
        self.processes.append(process)
        process.begin()
        return process

    def at(self, delay_us: int, act: Callable[[], None]) -> None:
        """Do something later; what is due at the same instant happens in the order it was asked for."""
        self._count += 1
        heapq.heappush(self._events, (self.now_us + delay_us, self._count, act))

    def run_until(self, done: Callable[[], bool], deadline_us: int) -> bool:
        """Let things happen until ``done`` or the deadline of the virtual clock; return whether done."""
        while not done():
            if not self._events or self._events[0][0] > deadline_us:
                self.now_us = deadline_us
                return False
            self.now_us, _, act = heapq.heappop(self._events)
            self.steps += 1
            act()
        return True

    def close(self) -> None:
        """End all processes: the run is over."""
        for process in self.processes:
            process.kill()
        self._events.clear()

    def note(self, who: str, what: str) -> None:
        """Keep a line of the trace."""
        self.trace.append((self.now_us, who, what))

    def fault(self, kind: str, about: str) -> None:
        """Count a fault and keep it in the trace."""
        self.faults[kind] += 1
        self.note("fault", f"{kind}: {about}")

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def utc(self, skew_us: int = 0) -> datetime:
        return START + timedelta(microseconds=self.now_us + skew_us)

    def trace_text(self, lines: int = 80) -> str:
        """Return the last steps before now, readable."""
        told = list(self.trace)[-lines:]
        return "\n".join(f"{at / 1000:>12.3f} ms  {who:<12} {what}" for at, who, what in told)
