"""The durable path measured beside pgbench on the same server: taken, matched, booked, committed.

A server of its own with the production settings, fsync on, on the same processors as the runner. Commands are
queued by sets exactly as entry leaves them; then the production runner books until the queue is empty. Rounds
of the workloads and of pgbench take turns with each other, so that a noisy neighbour disturbs all alike.
``--history`` says how many finished orders the last of these figures have behind them.
The way in by HTTP follows, as in ``benchmarks.durable_entry``.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from benchmarks.durable_entry import EntryFigures, entry_measure
from benchmarks.durable_history import history_fill
from benchmarks.durable_load import cancels_queue, orders_queue
from benchmarks.durable_server import Server
from benchmarks.order_path import accounts_make
from benchmarks.report import percentile, report_write
from tests.support.platform import Platform

SEED = 0
"""Nothing is drawn at random."""

ROUNDS = 5
COMMANDS = 5_000
WAKES = 200
WAKE_PAUSE_S = 0.03
WORKLOADS = ("resting", "crossing", "maker", "cancels")
WAKE_CHANNEL = "matching:wake:0"

_ROWS_SQL = """
SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables
WHERE relname NOT LIKE 'pgbench%'
"""


class BenchRunner:
    """The runner's process, told by lines what to do."""

    def __init__(self, server: Server) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.durable_runner"],
            env=server.env("runner"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def tell(self, word: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def book(self) -> dict[str, Any]:
        """Book what is queued; returns what it took."""
        self.tell("book")
        return self.answer()

    def answer(self) -> dict[str, Any]:
        return dict(json.loads(self._read()))

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=60)


@contextmanager
def runner_started(server: Server) -> Iterator[BenchRunner]:
    """Have a leader for as long as the body runs."""
    runner = BenchRunner(server)
    try:
        yield runner
    finally:
        runner.end()


def _number(connection: Any, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


def round_run(connection: Any, runner: BenchRunner, workload: str, tag: str) -> dict[str, float]:
    """Queue one round and have it booked; returns what it took, for each command and for each trade."""
    if workload == "cancels":
        cancels_queue(connection, COMMANDS)
    else:
        orders_queue(connection, tag, COMMANDS, workload)
    # The rows that the load wrote are counted now, or they would be counted as the runner's.
    connection.execute("SELECT pg_stat_force_next_flush()")
    trades, rows = (_number(connection, sql) for sql in ("SELECT count(*) FROM trades", _ROWS_SQL))
    took = runner.book()
    trades = _number(connection, "SELECT count(*) FROM trades") - trades
    took["rows"] = (_number(connection, _ROWS_SQL) - rows) / (trades or COMMANDS)
    took["commands_per_s"], took["trades_per_s"] = COMMANDS / took["seconds"], trades / took["seconds"]
    took["python_us"] = took["python_s"] / (trades or COMMANDS) * 1e6
    took["backend_us"] = took["backend_s"] / (trades or COMMANDS) * 1e6
    took["statements"] /= took["batches"]
    return took


def rounds_run(
    connection: Any, runner: BenchRunner, name: str, beside: Mapping[str, Callable[[], float]]
) -> dict[str, dict[str, float]]:
    """Run all workloads in turn, several times, and after each its yardstick.

    Returns the median of everything by workload, the yardstick's rate as ``beside_per_s``.
    """
    seen: dict[str, list[dict[str, float]]] = {workload: [] for workload in WORKLOADS}
    for number in range(ROUNDS + 1):
        for workload in WORKLOADS:
            took = round_run(connection, runner, workload, f"{name}-{workload}-{number}")
            if workload in beside:
                took["beside_per_s"] = beside[workload]()
            if number:
                seen[workload].append(took)
    return {
        workload: {key: statistics.median([took[key] for took in rounds]) for key in rounds[0]}
        for workload, rounds in seen.items()
    }


def wakes_measure(server: Server, connection: Any, runner: BenchRunner) -> list[float]:
    """Return milliseconds from the wake-up of a queued pair until its fill is committed.

    Both ends are read from the one monotonic clock of the machine; nobody asks meanwhile, since whoever does
    takes a processor. A pair that the runner's own poll found before it was woken is left out.
    """
    bell, wakes = redis.Redis.from_url(server.valkey.url()), []
    runner.tell("serve")
    for number in range(WAKES):
        orders_queue(connection, f"wake-{number}", 2, "crossing")
        wakes.append(time.monotonic())
        bell.publish(WAKE_CHANNEL, b"1")
        time.sleep(WAKE_PAUSE_S)
        while _number(connection, "SELECT count(*) FROM order_commands"):
            time.sleep(WAKE_PAUSE_S)
    runner.tell("book")
    commits = runner.answer()["commits"]
    runner.answer()
    assert len(commits) == len(wakes), "each pair is one batch"
    return [(done - began) * 1000 for began, done in zip(wakes, commits, strict=True) if done > began]


def figures_of(prefix: str, seen: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return what is told of each workload: of the resting one by command, of the others by trade."""
    keys = ("python_us", "backend_us", "rows", "statements")
    return {f"{prefix}{workload}_{key}": seen[workload][key] for workload in WORKLOADS for key in keys}


def entry_seen() -> EntryFigures:
    """Measure the way in by HTTP on a platform of its own."""
    with Platform(demo=False) as platform:
        accounts = accounts_make(platform)
        platform.leader_pid()
        return entry_measure(platform, accounts)


def main() -> None:
    """Run everything and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=int, default=10_000_000)
    history = parser.parse_args().history
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    with Server() as server, server.connect() as connection:
        yardsticks = {"resting": server.pgbench_insert_rate, "crossing": server.pgbench_tpcb_rate}
        with runner_started(server) as runner:
            seen = rounds_run(connection, runner, "young", yardsticks)
            wakes = wakes_measure(server, connection, runner)
        # The orders of the past have neither commands nor client keys: the books are proved before they come.
        print(server.manage("reconcile"))
        if history:
            history_fill(connection, history)
            with runner_started(server) as runner:
                old = rounds_run(connection, runner, "old", {})
            ratios["ten_million_rows"] = old["resting"]["seconds"] / seen["resting"]["seconds"]
            ratios["ten_million_rows_trades"] = old["crossing"]["seconds"] / seen["crossing"]["seconds"]
            figures |= figures_of("old_", old)
    entry = entry_seen()
    inserts, tpcb = seen["resting"]["beside_per_s"], seen["crossing"]["beside_per_s"]
    orders, trades, hot = (
        seen["resting"]["commands_per_s"],
        seen["crossing"]["trades_per_s"],
        seen["maker"]["trades_per_s"],
    )
    figures = {
        "orders_per_s": orders,
        "trades_per_s": trades,
        "hot_account_trades_per_s": hot,
        "cancels_per_s": seen["cancels"]["commands_per_s"],
        "pgbench_insert32_per_s": inserts,
        "pgbench_tpcb8_scale10_per_s": tpcb,
        "wake_to_fill_p50_ms": statistics.median(wakes),
        "wake_to_fill_p99_ms": percentile(wakes, 0.99),
        "entry_p50_ms": entry.entry_p50_ms,
        "entry_p99_ms": entry.entry_p99_ms,
        "posts_per_s": entry.posts_per_s,
        "trivial_per_s": entry.trivial_per_s,
        **figures_of("", seen),
        **figures,
        "history_rows": history,
    }
    ratios |= {
        "orders_vs_pgbench_insert32": orders / inserts,
        "trades_vs_pgbench_tpcb8": trades / tpcb,
        "hot_account": hot / trades,
        "post_vs_trivial_view": entry.post_vs_trivial_view,
    }
    report_write("durable", seed=SEED, samples=ROUNDS, figures=figures, ratios=ratios)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
