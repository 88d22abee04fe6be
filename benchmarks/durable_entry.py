"""Entry over HTTP: how soon an order is durable at 50 a second, and how many a second 32 connections enter.

Beside it, in the same run and under the same server, requests a second of a view that does nothing. Orders
cross one another at random, as in ``benchmarks.order_path``, so the runner books them meanwhile on the same
processors; what an order costs the web process and its database sessions in processor time stands beside.
"""

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.http_load import Load, load_run, request_bytes
from benchmarks.order_path import SEED, accounts_make
from benchmarks.report import percentile, report_write
from brokerage.env import ROOT
from brokerage.supervisor.ports import port_choose
from brokerage.supervisor.processes import page_answers
from tests.support.platform import Platform

TRIVIAL_APPLICATION = "benchmarks.trivial_view:application"
TRIVIAL_PATH = "/v2/trivial"
CONNECTIONS = 32
REQUESTS_PER_CONNECTION = 64
"""Made beforehand; a connection begins again when it has sent them all."""

RATE_PER_S = 50.0
RATE_SECONDS = 20.0
FLOOD_SECONDS = 8.0
FLOOD_ROUNDS = 3
"""Orders and the trivial view take turns, so that a noisy neighbour disturbs both."""

WARM_UP_SECONDS = 2.0
START_TIMEOUT_S = 60.0

Account = tuple[int, str, str]
"""Account id, key id, secret."""


@dataclass(frozen=True, slots=True)
class EntryFigures:
    """What entry was seen to do; ``front`` is the public port, the others are the web server's own."""

    samples: int
    entry_p50_ms: float
    entry_p99_ms: float
    entry_front_p50_ms: float
    entry_front_p99_ms: float
    posts_per_s: float
    posts_front_per_s: float
    trivial_per_s: float
    post_vs_trivial_view: float
    post_front_vs_trivial_view: float
    post_web_cpu_ms: float
    post_backend_cpu_ms: float
    trivial_cpu_ms: float

    def figures(self) -> dict[str, float]:
        """Return everything but the ratios, by name."""
        return {name: value for name, value in asdict(self).items() if "_vs_" not in name}

    def ratios(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if "_vs_" in name}


def entry_measure(platform: Platform, accounts: list[Account]) -> EntryFigures:
    """Measure entry on a running platform; each of ``accounts`` owns money, shares and a key."""
    ports = json.loads((platform.var / "ports.json").read_text())
    web = _web_process(platform)
    posts = [_posts(account) for account in accounts[:CONNECTIONS]]
    load_run(ports["web"], posts, seconds=WARM_UP_SECONDS)
    paced = _orders_run(ports["web"], posts, per_s=RATE_PER_S)
    paced_front = _orders_run(platform.port, posts, per_s=RATE_PER_S)
    with _trivial_server(web) as trivial:
        floods = _Floods(platform, ports["web"], web, posts, trivial)
        for _ in range(FLOOD_ROUNDS):
            floods.round()
    return _figures(paced, paced_front, floods)


class _Floods:
    """Rounds in which orders, orders through the front, and the trivial view follow one another."""

    def __init__(
        self,
        platform: Platform,
        port: int,
        web: psutil.Process,
        posts: list[list[bytes]],
        trivial: tuple[int, psutil.Process],
    ) -> None:
        self._platform, self._port, self._web, self._posts = platform, port, web, posts
        self._trivial_port, self._trivial = trivial
        self.direct: list[float] = []
        self.front: list[float] = []
        self.trivial: list[float] = []
        self.web_cpu_ms: list[float] = []
        self.backend_cpu_ms: list[float] = []
        self.trivial_cpu_ms: list[float] = []
        self.orders = 0

    def round(self) -> None:
        """Load each once and note rate and processor time."""
        web_before, backends_before = _cpu_s(self._web), _backends_cpu_s(self._platform)
        load = _orders_run(self._port, self._posts)
        count = len(load.latencies_ms)
        self.orders += count
        self.direct.append(load.per_s)
        self.web_cpu_ms.append((_cpu_s(self._web) - web_before) * 1000 / count)
        self.backend_cpu_ms.append((_backends_cpu_s(self._platform) - backends_before) * 1000 / count)
        _booked_wait(self._platform)
        self.front.append(_orders_run(self._platform.port, self._posts).per_s)
        _booked_wait(self._platform)
        before = _cpu_s(self._trivial)
        gets = [[request_bytes("GET", TRIVIAL_PATH)]] * CONNECTIONS
        load = load_run(self._trivial_port, gets, seconds=FLOOD_SECONDS)
        assert load.all_were(200), load.statuses
        self.trivial.append(load.per_s)
        self.trivial_cpu_ms.append((_cpu_s(self._trivial) - before) * 1000 / len(load.latencies_ms))


def _figures(paced: Load, paced_front: Load, floods: _Floods) -> EntryFigures:
    trivial = statistics.median(floods.trivial)
    return EntryFigures(
        samples=len(paced.latencies_ms),
        entry_p50_ms=statistics.median(paced.latencies_ms),
        entry_p99_ms=percentile(paced.latencies_ms, 0.99),
        entry_front_p50_ms=statistics.median(paced_front.latencies_ms),
        entry_front_p99_ms=percentile(paced_front.latencies_ms, 0.99),
        posts_per_s=statistics.median(floods.direct),
        posts_front_per_s=statistics.median(floods.front),
        trivial_per_s=trivial,
        post_vs_trivial_view=statistics.median(floods.direct) / trivial,
        post_front_vs_trivial_view=statistics.median(floods.front) / trivial,
        post_web_cpu_ms=statistics.median(floods.web_cpu_ms),
        post_backend_cpu_ms=statistics.median(floods.backend_cpu_ms),
        trivial_cpu_ms=statistics.median(floods.trivial_cpu_ms),
    )


def _posts(account: Account) -> list[bytes]:
    chance = random.Random(SEED + account[0])
    headers = {"APCA-API-KEY-ID": account[1], "APCA-API-SECRET-KEY": account[2], "User-Agent": "benchmark"}
    return [
        request_bytes("POST", "/v2/orders", headers, _order(chance)) for _ in range(REQUESTS_PER_CONNECTION)
    ]


def _order(chance: random.Random) -> dict[str, str]:
    return {
        "symbol": "AAPL",
        "qty": "1",
        "side": chance.choice(("buy", "sell")),
        "type": "limit",
        "limit_price": f"{chance.randint(9990, 10010) / 100:.2f}",
        "time_in_force": "gtc",
    }


def _orders_run(port: int, posts: list[list[bytes]], per_s: float | None = None) -> Load:
    """Every answer must be 200: what is refused is not entered."""
    load = load_run(port, posts, seconds=RATE_SECONDS if per_s else FLOOD_SECONDS, per_s=per_s)
    assert load.all_were(200), load.statuses
    return load


def _web_process(platform: Platform) -> psutil.Process:
    state = json.loads((platform.var / "supervisor.json").read_text())
    return psutil.Process(next(line["pid"] for line in state["processes"] if line["name"] == "web"))


@contextmanager
def _trivial_server(web: psutil.Process) -> Iterator[tuple[int, psutil.Process]]:
    """Start a server with the web process's own command and environment, but for port and application."""
    command, port = web.cmdline(), port_choose()
    command[command.index("--port") + 1] = str(port)
    command[-1] = TRIVIAL_APPLICATION
    process = subprocess.Popen(
        command, cwd=ROOT, env=web.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not page_answers(port, TRIVIAL_PATH):
            assert time.monotonic() < deadline and process.poll() is None, "the trivial view does not answer"
            time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _cpu_s(root: psutil.Process) -> float:
    """Return the processor seconds of a process and its children."""
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


def _backends_cpu_s(platform: Platform) -> float:
    """Return the processor seconds of the web role's sessions."""
    with platform.connect() as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE usename = 'openbell_web'"
        ).fetchall()
    return sum(_cpu_s(psutil.Process(pid)) for (pid,) in rows)


def _booked_wait(platform: Platform) -> None:
    """Let the runner catch up, so that one round does not pay for another."""
    with platform.connect() as connection:
        while _queued(connection):
            time.sleep(0.05)


def _queued(connection: Any) -> bool:
    row = connection.execute("SELECT EXISTS (SELECT 1 FROM order_commands)").fetchone()
    return bool(row[0])


def main() -> None:
    """Start a platform, measure, prove the books, report."""
    with Platform(demo=False) as platform:
        accounts = accounts_make(platform)
        platform.leader_pid()
        found = entry_measure(platform, accounts)
        checked = platform.manage("reconcile")
        assert checked.returncode == 0, checked.stdout + checked.stderr
    report_write(
        "durable-entry", seed=SEED, samples=found.samples, figures=found.figures(), ratios=found.ratios()
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
