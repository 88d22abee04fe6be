"""The long differential run, `python -m tests.matching.fuzz`: random commands to both books, compared."""

import argparse
import json
import multiprocessing
import secrets
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.report import commit_text, machine_text
from brokerage.env import ROOT
from tests.matching.duel import duel_run

COMMANDS_DEFAULT = 100_000_000
SECONDS_DEFAULT = 24 * 3600
PROCESSES = 2
ROUND_COMMANDS = 10_000
ORDERS_MAX = (60, 100, 140, 180, 220, 400)
PROGRESS_EVERY_S = 10
RESULT = ROOT / "var" / "fuzz" / "engine.json"


def round_run(number: int, *, seed: int) -> dict[str, Any] | None:
    """Fight one round from fresh books; its seed is that of the run and its number."""
    max_orders, max_books = ORDERS_MAX[number % len(ORDERS_MAX)], 3 + number % 7 % 2
    return duel_run(seed=[seed, number], commands=ROUND_COMMANDS, max_orders=max_orders, max_books=max_books)


def rounds_run(
    commands: int, seed: int, seconds: float
) -> Iterator[tuple[int, float, dict[str, Any] | None]]:
    """Run rounds on several processes; yield commands done, seconds used, and what differed."""
    start, rounds = time.monotonic(), -(-commands // ROUND_COMMANDS)
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        found = pool.imap_unordered(partial(round_run, seed=seed), range(rounds))
        for done, mismatch in enumerate(found, 1):
            used = time.monotonic() - start
            yield done * ROUND_COMMANDS, used, mismatch
            if mismatch or used >= seconds:
                return


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def progress_say(done: int, commands: int, used: float, seconds: float) -> None:
    rate = done / used
    left = min((commands - done) / rate, seconds - used)
    say(f"{done:>13,} commands  {rate:>9,.0f}/s  {used:>7,.0f} s used  {max(left, 0):>7,.0f} s left")


def result_write(seed: int, commands: int, seconds: float, mismatch: dict[str, Any] | None) -> None:
    result = {
        "machine": machine_text(),
        "commit": commit_text(),
        "commands": commands,
        "seconds": round(seconds, 1),
        "seed": seed,
        "first_mismatch": mismatch,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    say(f"written to {RESULT.relative_to(ROOT)}")


def arguments_parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.matching.fuzz", description=__doc__)
    parser.add_argument("--commands", type=int, default=COMMANDS_DEFAULT)
    parser.add_argument("--seconds", type=float, default=SECONDS_DEFAULT, help="stop after so long")
    parser.add_argument("--seed", type=int, default=None, help="a random one if it is not given")
    return parser.parse_args()


def main() -> int:
    told = arguments_parse()
    seed = secrets.randbits(32) if told.seed is None else told.seed
    say(f"seed {seed}: {told.commands:,} commands on {PROCESSES} processes")
    done, used, printed, mismatch = 0, 0.0, 0.0, None
    for progress in rounds_run(told.commands, seed, told.seconds):
        done, used, mismatch = progress
        if used - printed >= PROGRESS_EVERY_S:
            progress_say(done, told.commands, used, told.seconds)
            printed = used
    result_write(seed, done, used, mismatch)
    if mismatch is None:
        say(f"{done:,} commands in {used:,.0f} s, no difference")
        return 0
    say(f"the books differ; seed {mismatch['seed']}: {mismatch['what_shrunk']}")
    for command in mismatch["commands"]:
        say(f"  {command}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
