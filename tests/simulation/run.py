"""One seed, one run: a house with its faults, then calm, then every check."""

import gc
import logging
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from apps.matching.leader import hash_text
from tests.simulation.checks import Watch, all_check
from tests.simulation.faults import Injector
from tests.simulation.house import Book, Client
from tests.simulation.machine import Machine
from tests.simulation.schema import server_make
from tests.simulation.session import Weather
from tests.simulation.sql_expressions import Unsupported
from tests.simulation.world import MS, SECOND, Violated, World

COMMANDS = 600
STORM_US_MAX = 120 * SECOND
CALM_US_MAX = 60 * SECOND
"""Within so much time after the last fault everything must be taken, booked and delivered."""


@dataclass(slots=True)
class Outcome:
    """What a run came to."""

    seed: int
    commands: int
    steps: int
    virtual_s: float
    faults: dict[str, int]
    crashes: dict[str, int]
    sources: dict[str, int]
    epochs: int
    repeats: int
    problem: str = ""
    trace: str = field(default="", repr=False)
    cpu_s: float = field(default=0.0, compare=False)


def weather_make(world: World) -> Weather:
    """Draw how rough this world is."""
    chance = world.random
    if chance.random() < 0.1:
        return Weather(latency_us=chance.choice((50, 150, 1_000)))
    return Weather(
        latency_us=chance.choice((50, 150, 150, 1_000)),
        slow=chance.choice((0.0, 0.0005, 0.003)),
        lost_before=chance.choice((0.0, 0.0005)),
        lost_after=chance.choice((0.0, 0.0005)),
        commit_lost=chance.choice((0.0, 0.01, 0.05)),
        commit_aborted=chance.choice((0.0, 0.05, 0.3)),
        deadlock=chance.choice((0.0, 0.003)),
    )


class Run:
    """Everything of one seed."""

    def __init__(self, seed: int, commands: int, folder: Path, often: str = "") -> None:
        self.world = world = World(seed)
        self._look_us = 0
        chance = world.random
        self.server = server_make(world, accounts=chance.choice((2, 5, 12)))
        self.watch = Watch(world, self.server)
        weather = weather_make(world)
        self.machine = Machine(world, self.server, weather, folder, is_native=chance.random() < 0.85)
        self.machine.wakes_lost = chance.choice((0.0, 0.1, 0.5))
        self.machine.consumer.failures = chance.choice((0.0, 0.01, 0.1))
        if not self.machine.is_native:
            commands = commands // 3
        self.book = Book(commands)
        self.clients: dict[str, Client] = {}
        self.injector = Injector(
            world, self.machine, self.clients, gap_us=int(chance.choice((0.05, 0.15, 0.5)) * SECOND),
            has_pooler=chance.random() < 0.25, often=often,
        )  # fmt: skip
        self._people(chance.choice((1, 2, 4)), weather, pause_s=chance.choice((0.05, 0.3, 1.2)))
        for number in range(chance.choice((1, 2, 2, 3))):
            self.machine.runner_start(f"runner-{number}")
        for number in range(chance.choice((1, 1, 1, 2))):
            self.machine.relay_start(f"relay-{number}")
        self.injector.begin()

    def _people(self, count: int, weather: Weather, pause_s: float) -> None:
        for number in range(count):
            name = f"client-{number}"
            self.clients[name] = Client(self.world, self.server, weather, self.book, name, pause_s)
            self.clients[name].wake = self.machine.runners_wake
            self._client_start(name)

    def _client_start(self, name: str) -> None:
        process = self.world.spawn(name, self.clients[name].run)
        self.injector.client_processes[name] = process
        process.on_end.append(lambda: self._client_again(name))

    def _client_again(self, name: str) -> None:
        if self.book.entered < self.book.wanted and not self.machine.stopping:
            self.world.at(self.world.random.randint(1_000, 100_000), lambda: self._client_start(name))

    def _is_quiet(self) -> bool:
        """Whether everything entered is taken and told, and every engine is at the journal's end."""
        return (
            not any(process.alive for process in self.injector.client_processes.values())
            and not self.server.tables["order_commands"].keys
            and len(self.machine.consumer.seen) == len(self.server.tables["events"].keys)
            and len(self.machine.engines) == len(self.machine.runners)
            and self._are_level()
        )

    def _are_level(self) -> bool:
        """Whether the leader's books and every standby's are the same, looked at every few milliseconds."""
        if self.world.now_us < self._look_us:
            return False
        self._look_us = self.world.now_us + 5 * MS
        return len({engine.state_hash() for engine in self.machine.engines.values()}) == 1

    def go(self) -> None:
        """Let the storm pass, then demand everything."""
        self.world.run_until(lambda: self.book.entered >= self.book.wanted, STORM_US_MAX)
        self.injector.calm()
        self.book.wanted = 0
        self.world.note("world", "calm")
        if not self.world.run_until(self._is_quiet, self.world.now_us + CALM_US_MAX):
            raise Violated(
                f"not everything is done {CALM_US_MAX // SECOND} s after the last fault: {self._rest()}"
            )
        all_check(self.machine, self.book, with_reference=self.world.chance(0.25))

    def _rest(self) -> str:
        engines = {name: hash_text(engine.state_hash()) for name, engine in self.machine.engines.items()}
        return (
            f"{len(self.server.tables['order_commands'].keys)} commands wait, the journal is at "
            f"{self.watch.seq}, engines at {engines}, {len(self.machine.consumer.seen)} of "
            f"{len(self.server.tables['events'].keys)} events delivered"
        )

    def close(self) -> None:
        self.machine.stopping = True
        self.world.close()

    def outcome(self, problem: str, *, with_trace: bool = False) -> Outcome:
        world = self.world
        return Outcome(
            world.seed, self.watch.seq, world.steps, world.now_us / SECOND, dict(world.faults),
            dict(world.crashes), dict(self.machine.sources), self.watch.epoch,
            self.machine.consumer.repeats, problem, world.trace_text() if problem or with_trace else "",
        )  # fmt: skip


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the shipped modules' log lines about faults out of the way, and the collector out of the order."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    gc.disable()
    try:
        yield
    finally:
        # What a run leaves behind is all young: the collector was off since it began.
        gc.collect(0)
        gc.enable()
        logging.disable(before)


def folder_make() -> Path:
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="openbell-simulation-", dir=memory if memory.is_dir() else None))


def seed_run(seed: int, commands: int = COMMANDS, *, with_trace: bool = False, often: str = "") -> Outcome:
    """Run one seed; the same seed runs the same way, to the last step. ``often`` is a fault to favour."""
    folder, started = folder_make(), time.process_time()
    try:
        with quiet():
            run = Run(seed, commands, folder, often)
            try:
                run.go()
                problem = ""
            except Violated as violation:
                problem = str(violation)
            except Unsupported:
                raise
            except Exception:
                problem = traceback.format_exc(limit=-6)
            outcome = run.outcome(problem, with_trace=with_trace)
            run.close()
        outcome.cpu_s = time.process_time() - started
        return outcome
    finally:
        shutil.rmtree(folder, ignore_errors=True)
