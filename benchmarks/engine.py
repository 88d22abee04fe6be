"""The order book, measured from C++ and from Python beside a bare yardstick and the peers that pip installs.

One core, processor time, medians of seven runs; 2,000,000 commands on about 2,900 resting orders: 55 %
passive orders, 35 % cancels, 7 % marketable limits, 3 % market orders. The C++ program reports nothing unless
every trade equals the yardstick's; here every peer's trades must equal the engine's.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from apps.matching.codes import COMMAND_DTYPE, ExecType
from apps.matching.native import NativeEngine
from benchmarks.engine_peers import LightMatchingEngine, Liquibook, Peer, Trade, peer_commands
from benchmarks.report import report_write
from brokerage.env import ROOT

ROUNDS = 7
BATCH = 1_000
MAX_ORDERS = 16_384
PEER_COMMANDS = 200_000
"""Peers see the beginning of the flow only: their rate does not change with its length."""

BUILD = ROOT / "engine" / "build" / "bench"


def program_build() -> Path:
    """Build the C++ program and return its path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    options = ["-DOPENBELL_BENCH=ON", "-DOPENBELL_TESTS=OFF", "-DCMAKE_BUILD_TYPE=Release"]
    for command in (
        ["cmake", "-S", str(ROOT / "engine"), "-B", str(BUILD), *options],
        ["cmake", "--build", str(BUILD), "--parallel", "2"],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PATH": path})
    return BUILD / "bench" / "openbell_bench"


def flow_read(program: Path) -> tuple[np.ndarray, int, int]:
    """Return the commands of the mix, how many of them lay down the book, and the seed."""
    with tempfile.NamedTemporaryFile(suffix=".commands") as file:
        done = subprocess.run(
            [str(program), "flow", file.name], check=True, stdout=subprocess.PIPE, text=True
        )
        told = json.loads(done.stdout)
        return np.fromfile(file.name, dtype=COMMAND_DTYPE), told["resting"], told["seed"]


def rate_median(name: str, commands: int, prepare: Callable[[], Callable[[], None]]) -> float:
    """Return the median of commands per second of processor time; ``prepare`` lays down a book, untimed."""
    rates = []
    for _ in range(ROUNDS):
        run = prepare()
        started = time.process_time()
        run()
        rates.append(commands / (time.process_time() - started))
    print(f"  {name:<36} {statistics.median(rates):16,.0f}", file=sys.stderr, flush=True)
    return statistics.median(rates)


def batch_rate(flow: np.ndarray, resting: int) -> float:
    """Return the rate through the batch call, every event returned."""

    def prepare() -> Callable[[], None]:
        engine = NativeEngine(max_orders=MAX_ORDERS, max_books=1)
        engine.process(flow[:resting])

        def run() -> None:
            for at in range(resting, len(flow), BATCH):
                engine.process(flow[at : at + BATCH])

        return run

    return rate_median("python_batch_commands_per_s", len(flow) - resting, prepare)


def engine_trades(flow: np.ndarray) -> list[Trade]:
    """Return what the engine makes of the flow, batch by batch with all events kept, to hold the peers to."""
    engine = NativeEngine(max_orders=MAX_ORDERS, max_books=1)
    events = np.concatenate([engine.process(flow[at : at + BATCH]) for at in range(0, len(flow), BATCH)])
    trades = events[events["exec_type"] == ExecType.TRADE]
    columns = (trades[name].tolist() for name in ("order_id", "contra_order_id", "price", "quantity"))
    return list(zip(*columns, strict=True))


def peer_rate(name: str, flow: np.ndarray, resting: int, peer_make: Callable[[], Peer]) -> float:
    """Return a peer's rate, one call per command, after checking that it trades as the engine does."""
    commands = peer_commands(flow)
    checked = peer_make()
    checked.commands_run(commands)
    if checked.trades() != engine_trades(flow):
        raise SystemExit(f"{name} trades otherwise than the engine")
    return peer_time(name, commands, resting, peer_make)


def peer_time(name: str, commands: list, resting: int, peer_make: Callable[[], Peer]) -> float:
    """Return a peer's rate on what follows the orders that lay down its book."""

    def prepare() -> Callable[[], None]:
        peer = peer_make()
        peer.commands_run(commands[:resting])
        return lambda: peer.commands_run(commands[resting:])

    return rate_median(name, len(commands) - resting, prepare)


def python_measure(program: Path) -> tuple[dict[str, float], int]:
    """Return what is measured from Python, and the seed."""
    flow, resting, seed = flow_read(program)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print("from Python", file=sys.stderr)
    figures = {"python_batch_commands_per_s": batch_rate(flow, resting)}
    short = flow[: resting + PEER_COMMANDS]
    name = "liquibook_commands_per_s"
    figures[name] = peer_rate(name, short, resting, Liquibook)
    name = "liquibook_silent_commands_per_s"
    figures[name] = peer_time(name, peer_commands(short), resting, lambda: Liquibook(is_silent=True))
    name = "lightmatchingengine_commands_per_s"
    figures[name] = peer_rate(name, short, resting, LightMatchingEngine)
    return figures, seed


def main() -> None:
    """Run everything and report."""
    program = program_build()
    done = subprocess.run([str(program)], check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    from_python, seed = python_measure(program)
    figures |= from_python
    report_write(
        "engine",
        seed=seed,
        samples=ROUNDS,
        figures=figures,
        ratios={
            "cpp_vs_yardstick": figures["cpp_commands_per_s"] / figures["yardstick_commands_per_s"],
            "python_batch_vs_liquibook": figures["python_batch_commands_per_s"]
            / figures["liquibook_commands_per_s"],
            "python_batch_vs_liquibook_silent": figures["python_batch_commands_per_s"]
            / figures["liquibook_silent_commands_per_s"],
            "million_resting_slowdown": figures["cpp_commands_per_s"] / figures["resting_1000000_per_s"],
        },
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
