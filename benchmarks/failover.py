"""Failover under load: how soon another leads after the leader is killed or hangs, and what is lost: nothing.

A leader and a standby as real processes on a server with production settings, each with 500 MB resident in an
engine's arenas, orders always waiting. For each kill: SIGKILL, then the time until the lock was the standby's
(its epoch's own row says when, by the same machine's clock) and until its first batch was committed. The same
for SIGSTOP. Then a soak at full load, in which every change of leader would be spurious.
"""

import os
import random
import signal
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings.development")

SEED = 20261123
KILLS = int(os.environ.get("KILLS", "200"))
STOPS = int(os.environ.get("STOPS", "50"))
SOAK_S = float(os.environ.get("SOAK_S", "600"))
RESIDENT_BYTES = 500 << 20
WAITING_MIN = 300
"""Fewer than this many commands queued, and the load queues more."""

CHUNK = 40
"""Orders queued at once: few, so that there is never long nothing that a new leader could commit."""

PAUSE_S = 0.008
GIVE_UP_S = 30.0

NOW_SQL = """
SELECT epoch, pid, backend_pid, seq > began_seq, extract(epoch FROM acquired_at)::float8 FROM matching_leader
"""

# A standby that can take over at once: seen, level with the leader, and old enough to be beaten for.
READY_SQL = """
SELECT count(*) FROM matching_standbys s JOIN matching_leader l USING (matching_partition)
WHERE s.seen_at > clock_timestamp() - interval '3 s' AND s.backend_pid IN (SELECT pid FROM pg_stat_activity)
  AND s.backend_pid <> l.backend_pid AND s.seq > l.seq - 5000
"""

LOST_SQL = """
SELECT count(*) FROM orders o WHERE o.status = 'PENDING'
  AND NOT EXISTS (SELECT 1 FROM order_commands c WHERE c.order_id = o.order_id)
"""
TWICE_SQL = """
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM trades GROUP BY matching_partition, match_seq, match_n HAVING count(*) > 1) AS t)
     + (SELECT count(*) FROM (
            SELECT 1 FROM matching_journal WHERE kind = 'NEW' GROUP BY order_id HAVING count(*) > 1) AS j)
     + (SELECT count(*) FROM orders WHERE filled_quantity > quantity)
"""

STALE_SQL = """
SELECT count(*) FROM (
    SELECT seq, epoch, lag(seq) OVER (ORDER BY seq) AS last_seq, lag(epoch) OVER (ORDER BY seq) AS last_epoch
    FROM matching_journal WHERE matching_partition = 0) AS j
WHERE seq <> last_seq + 1 OR epoch < last_epoch
"""


def resident_runner() -> None:
    """Live as a matching worker does, with the memory of one whose books are large."""
    import numpy as np

    from apps.matching import codes
    from apps.matching.native import NativeEngine
    from tests.support.processes import runner_main

    ballast = NativeEngine(max_orders=1 << 23, max_books=10)
    number = 1
    while _resident_bytes() < RESIDENT_BYTES:
        records = np.zeros(100_000, dtype=codes.COMMAND_DTYPE)
        records["kind"], records["side"], records["ord_type"] = (
            codes.CommandKind.RESTORE,
            codes.Side.BUY,
            codes.OrdType.LIMIT,
        )
        records["tif"], records["symbol_id"], records["quantity"] = codes.TimeInForce.GTC, 1, 1
        records["order_id"] = np.arange(number, number + len(records))
        records["price"] = 10_000 + records["order_id"] % 5_000
        ballast.process(records)
        number += len(records)
    runner_main()
    del ballast


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Trials:
    """Milliseconds from the fault to the lock, and to the first batch of the new leader."""

    moved_ms: list[float] = field(default_factory=list)
    commit_ms: list[float] = field(default_factory=list)

    def note(self, moved_ms: float, commit_ms: float) -> None:
        self.moved_ms.append(moved_ms)
        self.commit_ms.append(commit_ms)


class Load:
    """Keeps orders waiting, as entry leaves them, from a thread of its own."""

    def __init__(self, server: Any) -> None:
        self.server, self.queued, self.began = server, 0, time.monotonic()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Load":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join()
        self.ended = time.monotonic()

    def _run(self) -> None:
        from benchmarks.durable_load import orders_queue

        with self.server.connect() as connection:
            while not self.stopping.wait(PAUSE_S):
                waiting = connection.execute("SELECT count(*) FROM order_commands").fetchone()[0]
                if waiting < WAITING_MIN:
                    orders_queue(connection, f"f{self.queued}", CHUNK, "crossing")
                    self.queued += CHUNK


class Pair:
    """One leader and one standby; whoever falls is replaced."""

    def __init__(self, house: Any, connection: Any) -> None:
        self.house, self.connection = house, connection
        self.children = [house.child(resident_runner) for _ in range(2)]

    def now(self) -> tuple[int, int, int, bool, float]:
        row = self.connection.execute(NOW_SQL).fetchone()
        return row or (0, 0, 0, False, 0.0)

    def leader(self) -> Any:
        """Wait until somebody leads, books, and has a warm standby; return the leading process."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            _, pid, backend_pid, has_booked, _ = self.now()
            leader = next((child for child in self.children if child.pid == pid and child.is_alive), None)
            ready = self.connection.execute(READY_SQL).fetchone()[0]
            if leader and has_booked and ready and self._beaten_for():
                return leader
            time.sleep(0.05)
        raise TimeoutError(
            "there is no leader with a standby\n" + "\n".join(c.log[-2000:] for c in self.children)
        )

    def _beaten_for(self) -> bool:
        """Tell whether the leader has read the table of standbys since the newest was first seen."""
        return all(time.monotonic() - child.born > 2.5 for child in self.children)

    def replace(self, fallen: Any) -> None:
        fallen.kill()
        self.children.remove(fallen)
        self.children.append(self.house.child(resident_runner))

    def fail(self, trials: Trials, number: int) -> None:
        """Send the leader a signal and time what follows."""
        leader = self.leader()
        epoch = self.now()[0]
        began = time.time()
        leader.signal(number)
        while True:
            now_epoch, _, _, has_booked, acquired_at = self.now()
            if now_epoch > epoch and has_booked:
                break
            assert time.time() - began < GIVE_UP_S, "nobody took over"
            time.sleep(0.002)
        trials.note((acquired_at - began) * 1000, (time.time() - began) * 1000)
        if number == signal.SIGSTOP:
            leader.signal(signal.SIGCONT)
            assert leader.exit_code() == 70, "it woke up and did not end"
        self.replace(leader)


def _soak(pair: Pair, seconds: float) -> int:
    pair.leader()
    epoch = pair.now()[0]
    time.sleep(seconds)
    return pair.now()[0] - epoch


def _drained(connection: Any) -> None:
    deadline = time.monotonic() + 120
    while connection.execute("SELECT count(*) FROM order_commands").fetchone()[0]:
        assert time.monotonic() < deadline, "the queue does not drain"
        time.sleep(0.1)


def main() -> None:
    """Measure and report."""
    import django

    django.setup()
    from benchmarks.durable_server import Server
    from benchmarks.recovery import figures_measure
    from benchmarks.report import percentile, report_write
    from tests.support.house import House
    from tests.support.processes import Place

    chance = random.Random(SEED)
    killed, hung = Trials(), Trials()
    with Server() as server, House(Place(server.env())) as house, server.connect() as connection:
        pair = Pair(house, connection)
        with Load(server) as load:
            for trial in range(KILLS):
                pair.leader()
                time.sleep(chance.random() * 0.2)
                pair.fail(killed, signal.SIGKILL)
                if trial % 10 == 9:
                    print(f"{trial + 1} kills, lock {statistics.median(killed.moved_ms):.1f} ms", flush=True)
            for _ in range(STOPS):
                pair.fail(hung, signal.SIGSTOP)
            spurious = _soak(pair, SOAK_S)
        _drained(connection)
        lost, twice, stale = (
            connection.execute(sql).fetchone()[0] for sql in (LOST_SQL, TWICE_SQL, STALE_SQL)
        )
        print(server.manage("reconcile"))
    rate = load.queued / (load.ended - load.began)
    figures = {
        "kills": len(killed.moved_ms),
        "load_orders_per_s": rate,
        "killed_lock_moved_p50_ms": statistics.median(killed.moved_ms),
        "killed_lock_moved_p99_ms": percentile(killed.moved_ms, 0.99),
        "killed_lock_moved_max_ms": max(killed.moved_ms),
        "killed_first_commit_p50_ms": statistics.median(killed.commit_ms),
        "killed_first_commit_p99_ms": percentile(killed.commit_ms, 0.99),
        "hung": len(hung.moved_ms),
        "hung_p50_ms": statistics.median(hung.moved_ms),
        "hung_p99_ms": percentile(hung.moved_ms, 0.99),
        "hung_first_commit_p99_ms": percentile(hung.commit_ms, 0.99),
        "soak_s": SOAK_S,
        "spurious": spurious,
        "acknowledged_lost": lost,
        "duplicate_fills": twice,
        "stale_epoch_rows": stale,
        **{name: value for name, value in figures_measure().items() if name.startswith("recovery_")},
    }
    report_write("failover", seed=SEED, samples=KILLS, figures=figures, ratios={})


if __name__ == "__main__":
    main()
