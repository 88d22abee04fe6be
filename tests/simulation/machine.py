"""The programs of the simulated house: the shipped runner and relay on ports of the simulation's making."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from apps.events.records import EventRecord
from apps.events.relay import Relay, relay_run
from apps.matching.messages import Batch, Booked, Command
from apps.matching.native import NativeEngine
from apps.matching.packing import commands_pack
from apps.matching.ports import Beat, Patience, RunnerPorts
from apps.matching.recovery import engine_recover
from apps.matching.reference import ReferenceEngine
from apps.matching.runner import Runner
from apps.matching.snapshots import Snapshotter
from tests.simulation.database import Server
from tests.simulation.house import batch_book, book_state_load
from tests.simulation.schema import PARTITION, SYMBOLS
from tests.simulation.session import Connection, Weather
from tests.simulation.world import SECOND, Killed, Process, Violated, World

ORDERS_MAX, BOOKS_MAX = 1 << 12, 4
BEAT_US = 2_000


class ProcessClock:
    """The virtual clock as one process sees it: its wall clock may be wrong, its seconds are not."""

    def __init__(self, process: Process) -> None:
        self.process, self.world = process, process.world

    def now(self) -> datetime:
        return self.world.utc(self.process.clock_skew_us)

    def monotonic(self) -> float:
        return self.world.now_us / SECOND

    def sleep(self, seconds: float) -> None:
        self.process.sleep(seconds)

    def sleep_between(self, shortest_s: float, longest_s: float) -> None:
        self.process.sleep(self.world.random.uniform(shortest_s, longest_s))


class Heart:
    """Beats as long as its process runs; a process that only hangs still beats, without progress."""

    def __init__(self, process: Process, partition: int, epoch: int, backend_pid: int) -> None:
        self.process, self.partition, self.epoch, self.backend_pid = process, partition, epoch, backend_pid
        self.ports: set[int] = set()
        self.progress_us = process.world.now_us
        self.progress = 0
        self.is_busy = False
        self.stopped_us: int | None = None

    def tick(self) -> None:
        self.progress += 1
        self.progress_us = self.process.world.now_us

    def busy(self, is_busy: bool) -> None:
        if is_busy != self.is_busy:
            self.progress_us = self.process.world.now_us
        self.is_busy = is_busy

    def send_to(self, addresses: Sequence[tuple[str, int]]) -> None:
        self.ports = {port for _, port in addresses}

    def stop(self) -> None:
        if self.stopped_us is None:
            self.stopped_us = self.process.world.now_us

    def last_us(self) -> int:
        """Return when it beat last."""
        now = self.process.world.now_us
        return min(self.stopped_us if self.stopped_us is not None else now, self.process.silent_since_us(now))


class Ear:
    """Hears the hearts that beat for its port, while the way between them is not cut."""

    host = "127.0.0.1"

    def __init__(self, machine: "Machine", process: Process, partition: int) -> None:
        self.machine, self.process, self.partition = machine, process, partition
        machine.ears += 1
        self.port = 20_000 + machine.ears % 40_000
        self.deaf_from_us = self.deaf_until_us = 0
        self.heard: Heart | None = None

    def listen(self, timeout_s: float, silence_s: float) -> bool:
        self.process.wait(min(timeout_s, 0.005) if timeout_s > silence_s else timeout_s)
        beat = self.last()
        return beat is not None and beat.silent_s > silence_s

    def last(self) -> Beat | None:
        now = self.process.world.now_us
        is_deaf = now < self.deaf_until_us
        for heart in self.machine.hearts:
            if self.port in heart.ports and (self.heard is None or heart.epoch >= self.heard.epoch):
                if not is_deaf:
                    self.heard = heart
        if self.heard is None:
            return None
        heart = self.heard
        last = min(heart.last_us(), self.deaf_from_us) if is_deaf else heart.last_us()
        silent = max(now - last - BEAT_US, 0) / SECOND
        still = (now - heart.progress_us) / SECOND
        return Beat(heart.epoch, heart.backend_pid, 0, heart.progress, heart.is_busy, True, silent, still)


class Found(NamedTuple):
    """What a recovery hands to a runner."""

    engine: Any
    seq: int
    source: str
    symbols: dict[int, str]


class PoisonableEngine(NativeEngine):
    """The compiled engine, with a defect that ends its process at certain orders."""

    machine: "Machine"

    def process(self, commands: np.ndarray) -> np.ndarray:
        poison = self.machine.poison
        if poison and any(o in poison and k for o, k in commands[["order_id", "kind"]].tolist()):
            self.machine.world.note(self.machine.world.me.name, "dies of a poisonous command")
            self.machine.world.me.end()
            raise Killed
        return super().process(commands)


class NoSnapshots:
    """Keeps none."""

    def due(self, now: float, seq: int) -> bool:
        return False

    def take(self, engine: Any, epoch: int, seq: int) -> None:
        raise NotImplementedError


class Machine:
    """Starts the programs, and again when they end; knows which engines they use."""

    def __init__(
        self, world: World, server: Server, weather: Weather, folder: Path, *, is_native: bool
    ) -> None:
        self.world, self.server, self.weather, self.is_native = world, server, weather, is_native
        self.folder = folder
        self.sources: Counter[str] = Counter()
        self.runners: dict[str, Process] = {}
        self.relays: dict[str, Process] = {}
        self.engines: dict[str, Any] = {}
        self.hearts: list[Heart] = []
        self.ears = 0
        self.ears_open: list[Ear] = []
        self.poison: set[int] = set()
        self.consumer = Consumer(world, server)
        self.wakes_lost = 0.0
        self.told_seq = 0
        self.stopping = False

    def engine_make(self) -> Any:
        """Make an engine, the newest of the process that asks."""
        limits = {"max_orders": ORDERS_MAX, "max_books": BOOKS_MAX}
        engine: Any
        if self.is_native:
            engine = PoisonableEngine(**limits)
            engine.machine = self
        else:
            engine = ReferenceEngine(**limits)
        self.engines[self.world.me.name] = engine
        return engine

    def foreign_engine(self, seq: int) -> NativeEngine:
        """Return an engine of other books that is at this sequence."""
        engine = NativeEngine(max_orders=ORDERS_MAX, max_books=BOOKS_MAX)
        order = Command(
            "NEW", SYMBOLS[1], 1, order_id=7, account_id=9, side="BUY", order_type="LIMIT",
            time_in_force="DAY", price_units=900_000, quantity=5,
        )  # fmt: skip
        engine.process(commands_pack([order], seq, 0))
        return engine

    # -- runners ---------------------------------------------------------------------------------------------

    def runner_start(self, name: str) -> None:
        """Start a would-be leader, and start it again whenever it ends, as a supervisor does."""
        process = self.world.spawn(name, lambda: Runner(PARTITION, self._ports()).run())
        self.runners[name] = process
        process.on_end.append(lambda: self._again(name, self.runner_start))

    def _again(self, name: str, start: Callable[[str], None]) -> None:
        self.engines.pop(name, None)
        if not self.stopping:
            self.world.at(self.world.random.randint(1_000, 400_000), lambda: start(name))

    def _ports(self) -> RunnerPorts:
        process = self.world.me
        return RunnerPorts(
            connect=lambda: Connection(self.world, self.server, self.weather),  # type: ignore[arg-type,return-value]
            rehearse=lambda connection: None,
            recover=self._recover,
            batch_book=batch_book,
            tell=self._tell,
            announce=lambda engine, symbols: None,
            wait=process.wait,
            stopping=lambda: self.stopping,
            clock=ProcessClock(process),
            heart_start=self._heart_start,
            ear_open=self._ear_open,
            # A lie that costs a leader, and may cost nothing else.
            is_ending=lambda *_: self.world.random.random() < 0.02,
            snapshots=self._snapshots(process),
            patience=Patience(),
        )

    def _heart_start(self, partition: int, epoch: int, backend_pid: int) -> Heart:
        heart = Heart(self.world.me, partition, epoch, backend_pid)
        self.hearts = [other for other in self.hearts if other.epoch > epoch - 4] + [heart]
        return heart

    def _ear_open(self, partition: int) -> Ear:
        ear = Ear(self, self.world.me, partition)
        self.ears_open = [other for other in self.ears_open if other.process.alive] + [ear]
        return ear

    def _recover(self, cursor: Any, partition: int) -> Found:
        found = engine_recover(cursor, partition, self.engine_make, book_state_load, self.folder)
        self.world.note(self.world.me.name, f"recovers at {found.seq} from {found.source}")
        self.sources[found.source] += 1
        return Found(found.engine, found.seq, found.source, dict(SYMBOLS))

    def _snapshots(self, process: Process) -> Any:
        if not self.is_native:
            return NoSnapshots()
        return Snapshotter(
            self.folder,
            PARTITION,
            clock=lambda: self.world.now_us / SECOND,
            run=lambda act: self._beside(process, act),
        )

    def _beside(self, process: Process, act: Callable[[], None]) -> Callable[[], None]:
        """Run something beside a process a little later, unless it dies before."""
        self.world.at(self.world.random.randint(1_000, 500_000), lambda: act() if process.alive else None)
        return lambda: None

    def _tell(self, engine: Any, symbols: dict[int, str], batch: Batch, booked: Booked) -> None:
        journal = self.server.tables["matching_journal"]
        if (batch.matching_partition, batch.last_seq) not in journal.heads:
            raise Violated(f"the tape is told of {batch.last_seq}, which is not committed")
        for relay in self.relays.values():
            self._wake(relay)

    def runners_wake(self) -> None:
        """Ring at every runner; the bell may be lost, or ring twice."""
        for process in self.runners.values():
            self._wake(process)

    def _wake(self, process: Process) -> None:
        draw = self.world.random.random() if self.wakes_lost else 1.0
        if draw < self.wakes_lost:
            self.world.fault("lost wake-up", process.name)
            return
        process.wake()
        if draw < self.wakes_lost * 1.5:
            self.world.fault("double wake-up", process.name)
            self.world.at(self.world.random.randint(1, 50_000), process.wake)

    # -- the relay -------------------------------------------------------------------------------------------

    def relay_start(self, name: str) -> None:
        process = self.world.spawn(name, self._relay_run)
        self.relays[name] = process
        process.on_end.append(lambda: self._again(name, self.relay_start))

    def _relay_run(self) -> None:
        process = self.world.me
        connection = Connection(self.world, self.server, self.weather)
        relay = Relay("live", self.consumer.take, cursor_open=connection.cursor)  # type: ignore[arg-type]
        relay_run(relay, process.wait, lambda: self.stopping)


class Consumer:
    """The other end of the relay: it must hear everything that was committed, in order, and nothing else."""

    def __init__(self, world: World, server: Server) -> None:
        self.world, self.server = world, server
        self.seen: set[int] = set()
        self.newest = (0, 0)
        self.account_seqs: dict[int, int] = {}
        self.repeats = 0
        self.failures = 0.0

    def take(self, events: Sequence[EventRecord]) -> None:
        """Take events with pauses between them, in which the relay may die."""
        chance = self.world.random
        cut = chance.randint(0, len(events))
        for event in events[:cut]:
            self._one(event)
        self.world.me.sleep(chance.random() * 0.002)
        if self.failures and chance.random() < self.failures:
            self.world.fault("sink fails", self.world.me.name)
            raise ConnectionError("the other end is away")
        for event in events[cut:]:
            self._one(event)

    def _one(self, event: EventRecord) -> None:
        if event.id in self.seen:
            self.repeats += 1
            return
        self.seen.add(event.id)
        place = (event.xact_id, event.id)
        if place not in self.server.tables["events"].heads:
            raise Violated(f"event {event.id} is delivered and was never committed")
        if place <= self.newest:
            raise Violated(f"event {event.id} comes after one that was committed later")
        self.newest = place
        if event.account_id is not None and event.account_seq is not None:
            expected = self.account_seqs.get(event.account_id, 0) + 1
            if event.account_seq != expected:
                raise Violated(
                    f"account {event.account_id} hears {event.account_seq} where {expected} is next"
                )
            self.account_seqs[event.account_id] = expected
