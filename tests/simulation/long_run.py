"""The long simulation: seed after seed on several processes until the time or the seeds are used up."""

import argparse
import gc
import json
import multiprocessing
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import django

from brokerage.env import ROOT

if TYPE_CHECKING:
    from tests.simulation.run import Outcome

PROCESSES = 2
COMMANDS = 3_000
"""Commands entered in one run of the long simulation: enough for snapshots, tails and worn books."""

PROGRESS_EVERY_S = 10
RESULT = ROOT / "var" / "simulation" / "last.json"


def setup() -> None:
    """Make the shipped modules importable; what they loaded is never looked through again for garbage."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings.testing")
    django.setup()
    import tests.simulation.run  # noqa: F401

    gc.freeze()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def one_run(seed: int, *, commands: int) -> "Outcome":
    from tests.simulation.run import seed_run

    return seed_run(seed, commands)


def outcomes(first: int, seeds: int, seconds: float, commands: int) -> Iterator["Outcome"]:
    """Run seeds on several processes, each run in one thread of one of them, until one fails."""
    deadline = time.monotonic() + seconds
    with multiprocessing.get_context("spawn").Pool(PROCESSES, setup, maxtasksperchild=500) as pool:
        wanted = range(first, first + seeds)
        for outcome in pool.imap_unordered(partial(one_run, commands=commands), wanted):
            yield outcome
            if outcome.problem or time.monotonic() > deadline:
                return


class Sum:
    """What all runs came to together."""

    def __init__(self) -> None:
        self.runs = self.commands = self.steps = self.epochs = 0
        self.virtual_s = self.cpu_s = 0.0
        self.faults: Counter[str] = Counter()
        self.failure: Outcome | None = None

    def add(self, outcome: "Outcome") -> None:
        self.runs += 1
        self.commands += outcome.commands
        self.steps += outcome.steps
        self.epochs += outcome.epochs
        self.virtual_s += outcome.virtual_s
        self.cpu_s += outcome.cpu_s
        self.faults.update(outcome.faults)
        if outcome.problem:
            self.failure = outcome

    def line(self, used: float) -> str:
        return (
            f"{self.runs:>8,} seeds  {self.commands:>11,} commands  {self.faults.total():>9,} faults  "
            f"{self.epochs:>8,} leaders  {self.virtual_s:>10,.0f} s simulated in {used:>6,.0f} s, "
            f"{self.commands / max(self.cpu_s, 0.01):,.0f} commands per CPU second"
        )


def result_write(total: Sum, first: int, used: float) -> None:
    from benchmarks.report import commit_text, machine_text

    failure = total.failure
    result: dict[str, Any] = {
        "machine": machine_text(),
        "commit": commit_text(),
        "seconds": round(used, 1),
        "cpu_seconds": round(total.cpu_s, 1),
        "first_seed": first,
        "seeds": total.runs,
        "commands": total.commands,
        "leaders": total.epochs,
        "simulated_s": round(total.virtual_s, 1),
        "faults": dict(total.faults.most_common()),
        "faults_total": total.faults.total(),
        "first_failure": {"seed": failure.seed, "problem": failure.problem} if failure else None,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    say(f"written to {RESULT.relative_to(ROOT)}")


def failure_say(outcome: "Outcome", commands: int) -> None:
    say(outcome.trace)
    say(f"seed {outcome.seed} fails: {outcome.problem}")
    say(f"again: python -m tests.simulation --seed {outcome.seed} --commands {commands}")


def seed_show(seed: int, commands: int) -> int:
    """Run one seed and tell its last steps."""
    setup()
    from tests.simulation.run import seed_run

    outcome = seed_run(seed, commands, with_trace=True)
    say(outcome.trace)
    say(
        f"{outcome.commands} commands, {outcome.steps} steps, "
        f"{sum(outcome.faults.values())} faults: {outcome.faults}"
    )
    if outcome.problem:
        say(f"seed {seed} fails: {outcome.problem}")
    return 1 if outcome.problem else 0


def arguments_parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one seed and tell its steps")
    parser.add_argument("--first", type=int, default=None, help="the first seed; a random one if not given")
    parser.add_argument("--seeds", type=int, default=1_000_000, help="how many at most")
    parser.add_argument("--seconds", type=float, default=600, help="for how long at most")
    parser.add_argument("--commands", type=int, default=COMMANDS, help="commands entered in each run")
    return parser.parse_args()


def main() -> int:
    told = arguments_parse()
    if told.seed is not None:
        return seed_show(told.seed, told.commands)
    setup()
    first = secrets.randbelow(10**9) if told.first is None else told.first
    say(f"seeds from {first} on, {told.commands} commands each")
    total, started = Sum(), time.monotonic()
    said_at = started
    for outcome in outcomes(first, told.seeds, told.seconds, told.commands):
        total.add(outcome)
        if time.monotonic() - said_at > PROGRESS_EVERY_S:
            said_at = time.monotonic()
            say(total.line(said_at - started))
    used = time.monotonic() - started
    say(total.line(used))
    for kind, times in total.faults.most_common():
        say(f"    {times:>9,}  {kind}")
    if total.failure:
        failure_say(total.failure, told.commands)
    result_write(total, first, used)
    return 1 if total.failure else 0
