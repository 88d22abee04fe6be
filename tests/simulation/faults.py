"""What goes wrong: kills, stops, lost sessions and lines, deaf ears, wrong clocks, damaged disks, poison."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps.matching.native import snapshot_facts
from apps.matching.snapshots import SnapshotHeader, snapshot_write, snapshots_list
from tests.simulation.database import Row, Transaction
from tests.simulation.house import Client
from tests.simulation.machine import Machine
from tests.simulation.schema import PARTITION
from tests.simulation.world import MS, SECOND, Process, World

ASYNC_US = 600 * MS
"""How much of what was committed without waiting for the disk a crash of the server can take away."""

POISON_MAX = 2
RELAY_TABLES = ("relay_cursors", "relay_days")


class Injector:
    """Chooses what goes wrong next, and does it."""

    def __init__(
        self,
        world: World,
        machine: Machine,
        clients: dict[str, Client],
        gap_us: int,
        *,
        has_pooler: bool,
        often: str = "",
    ) -> None:
        self.world, self.machine, self.clients, self.gap_us = world, machine, clients, gap_us
        self.server, self.chance = machine.server, world.random
        self.is_over = False
        self.client_start: Callable[[str], None] = lambda name: None
        self.client_processes: dict[str, Process] = {}
        self.relay_history: deque[tuple[int, dict[str, list[Row]]]] = deque(maxlen=50)
        self.server.committed.append(self._relay_keep)
        kinds: list[tuple[int, Callable[[], None]]] = [
            (14, self.runner_kill),
            (8, self.runner_stop),
            (5, self.runner_hang),
            (8, self.session_end),
            (5, self.line_cut),
            (6, self.ear_deafen),
            (4, self.clock_set),
            (10, self.relay_kill),
            (4, self.relay_stop),
            (8, self.client_kill),
            (1, self.server_crash),
            (9, self.snapshot_damage),
            (5, self.journal_misread),
            (1, self.poison_add),
            *([(12, self.lock_lose)] if has_pooler else []),
        ]
        self.weights = [weight * (10 if act.__name__ == often else 1) for weight, act in kinds]
        self.kinds = [act for _, act in kinds]

    def begin(self) -> None:
        self.world.at(int(self.chance.expovariate(1) * self.gap_us), self._next)

    def _next(self) -> None:
        if not self.is_over:
            self.chance.choices(self.kinds, self.weights)[0]()
            self.begin()

    def calm(self) -> None:
        """End all that is wrong; what was stopped goes on, and what is down comes up by itself."""
        self.is_over = True
        self.machine.weather.calm()
        self.machine.wakes_lost = self.machine.consumer.failures = 0.0
        self.machine.poison.clear()
        for process in self.world.processes:
            process.clock_skew_us = 0
            if process.stopped:
                process.go_on()

    # -- processes -------------------------------------------------------------------------------------------

    def _runner(self) -> Process | None:
        """Choose a runner, mostly the one that leads."""
        holder = next(iter(self.server.advisory.values()), None)
        alive = [process for process in self.machine.runners.values() if process.alive]
        if holder is not None and self.chance.random() < 0.7:
            alive = [process for process in alive if process.name == holder.name] or alive
        return self.chance.choice(alive) if alive else None

    def runner_kill(self) -> None:
        self._kill("killed runner", self._runner())

    def relay_kill(self) -> None:
        self._kill("killed relay", self.chance.choice(list(self.machine.relays.values())))

    def client_kill(self) -> None:
        if self.client_processes:
            self._kill("killed client", self.chance.choice(list(self.client_processes.values())))

    def _kill(self, kind: str, process: Process | None) -> None:
        if process is not None and process.alive:
            self.world.fault(kind, process.name)
            process.kill()

    def runner_stop(self) -> None:
        self._stop("stopped runner", self._runner(), (1, 20, 50, 200, 1_000, 4_000), is_hung=False)

    def runner_hang(self) -> None:
        self._stop("hung runner", self._runner(), (200, 1_500, 3_000), is_hung=True)

    def relay_stop(self) -> None:
        relay = self.chance.choice(list(self.machine.relays.values()))
        self._stop("stopped relay", relay, (1, 50, 1_000, 4_000), is_hung=False)

    def _stop(self, kind: str, process: Process | None, spans_ms: tuple[int, ...], *, is_hung: bool) -> None:
        if process is not None and process.alive and not process.stopped:
            span = self.chance.randint(1, self.chance.choice(spans_ms) * MS)
            self.world.fault(kind, f"{process.name} for {span / 1000:.1f} ms")
            process.stop(is_hung=is_hung)
            self.world.at(span, process.go_on)

    def clock_set(self) -> None:
        process = self._runner()
        if process is not None:
            skew = self.chance.choice((0, 1, -1, 90, -90, 3600, -3600)) * SECOND
            self.world.fault("wrong clock", f"{process.name} by {skew // SECOND} s")
            process.clock_skew_us = skew

    def ear_deafen(self) -> None:
        open_ears = [ear for ear in self.machine.ears_open if ear.process.alive]
        if open_ears:
            ear, span = self.chance.choice(open_ears), self.chance.choice((3, 20, 60, 500, 3_000)) * MS
            self.world.fault("lost beats", f"{ear.process.name} for {span // MS} ms")
            ear.deaf_from_us, ear.deaf_until_us = self.world.now_us, self.world.now_us + span

    # -- the server ------------------------------------------------------------------------------------------

    def _session(self) -> Any:
        sessions = list(self.server.sessions.values())
        return self.chance.choice(sessions) if sessions else None

    def session_end(self) -> None:
        session = self._session()
        if session is not None:
            self.world.fault("ended session", session.name)
            session.end()

    def line_cut(self) -> None:
        """Let the next message of somebody, or the answer to it, be lost."""
        weather, before = self.machine.weather, self.chance.random() < 0.5
        name = "lost_before" if before else "commit_lost"
        old = getattr(weather, name)
        setattr(weather, name, 1.0)

        def mend() -> None:
            if not self.is_over:
                setattr(weather, name, old)

        self.world.at(self.chance.randint(200, 3_000), mend)

    def lock_lose(self) -> None:
        """Take the lock from a session that lives on, as a pooler does between two transactions."""
        for key, holder in list(self.server.advisory.items()):
            self.world.fault("lost lock", holder.name)
            del self.server.advisory[key]

    def _relay_keep(self, transaction: Transaction) -> None:
        if "relay_cursors" in transaction.writes:
            rows = {name: list(self.server.tables[name].newest()) for name in RELAY_TABLES}
            self.relay_history.append((self.world.now_us, rows))

    def server_crash(self) -> None:
        """End every session at once; what did not wait for the disk may be lost."""
        self.world.fault("crashed server", f"{len(self.server.sessions)} sessions")
        for session in list(self.server.sessions.values()):
            session.end()
        kept = [rows for at, rows in self.relay_history if at >= self.world.now_us - ASYNC_US]
        if kept and self.chance.random() < 0.7:
            self.world.fault("lost asynchronous commits", "the relay's cursor")
            for name, rows in self.chance.choice(kept).items():
                table = self.server.tables[name]
                for key in list(table.keys):
                    table.forget(key)
                for row in rows:
                    table.install(table.key_of(row), row, self.server.commits, keep=False)

    # -- what is kept ----------------------------------------------------------------------------------------

    def journal_misread(self) -> None:
        """Let the next long reading of the journal come back wrong."""
        self.machine.weather.misread_journal = self.chance.choice(("gap", "twice", "swapped"))

    def poison_add(self) -> None:
        """Make one waiting order one that ends every engine that takes it."""
        queued = [row for row in self.server.tables["order_commands"].newest() if row[2] == "NEW"]
        if self.machine.is_native and queued and self.world.faults["poison"] < POISON_MAX:
            commands = self.server.tables["order_commands"]
            order_id = self.chance.choice(queued)[commands.at["order_id"]]
            self.world.fault("poison", f"order {order_id}")
            self.machine.poison.add(order_id)

    def snapshot_damage(self) -> None:
        """Tear, flip, lose, misname or forge one of the newest snapshots."""
        paths = snapshots_list(self.machine.folder, PARTITION)
        if not paths:
            return
        path = self.chance.choice(paths)
        damage = self.chance.choice((self._tear, self._flip, self._lose, self._misname, self._forge))
        self.world.fault(f"snapshot {damage.__name__[1:]}", path.name)
        damage(path)

    def _tear(self, path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: self.chance.randint(0, len(content) - 1)])

    def _flip(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        if content:
            content[self.chance.randrange(len(content))] ^= 1 << self.chance.randrange(8)
            path.write_bytes(content)

    def _lose(self, path: Path) -> None:
        path.unlink()

    def _misname(self, path: Path) -> None:
        epoch, seq = (int(part) for part in path.stem.split("-"))
        path.rename(path.with_name(f"{epoch + self.chance.choice((-1, 0, 1))}-{seq + 7}.snapshot"))

    def _forge(self, path: Path) -> None:
        """Put a whole snapshot of other books in its place: that of a database with another history."""
        epoch, seq = (int(part) for part in path.stem.split("-"))
        other = self.machine.foreign_engine(seq)
        content = other.snapshot()
        facts = snapshot_facts(content)
        header = SnapshotHeader(PARTITION, epoch, seq, facts.order_count, facts.state_hash, len(content))
        path.unlink()
        snapshot_write(self.machine.folder, header, content)
