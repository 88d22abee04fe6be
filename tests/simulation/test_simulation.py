"""The shipped runner, standby, recovery and relay in simulated worlds: what must hold does, seed by seed."""

import importlib
from collections import Counter

import pytest

from tests.simulation.run import Outcome, seed_run
from tests.simulation.schema import PLANS
from tests.simulation.session import copy_parse

SEEDS = range(1, 151)
COMMANDS = 300

MODULES = (
    "events.relay", "events.services", "matching.heartbeat", "matching.leader", "matching.quarantine",
    "matching.queue", "matching.recovery", "matching.replay", "matching.runner", "matching.standby",
)  # fmt: skip
SESSION_WORDS = ("SET ", "BEGIN", "COMMIT", "ROLLBACK", "LOCK TABLE")

MUST_HAPPEN = {
    "killed runner", "stopped runner", "hung runner", "killed relay", "stopped relay", "killed client",
    "ended session", "crashed server", "lost asynchronous commits", "lost line", "lost lock", "lost beats",
    "lost wake-up", "double wake-up", "aborted commit", "deadlock", "slow statement", "wrong clock", "poison",
    "sink fails", "snapshot tear", "snapshot flip", "snapshot lose", "snapshot misname", "snapshot forge",
}  # fmt: skip


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [seed_run(seed, COMMANDS) for seed in SEEDS]


def test_nothing_is_lost_doubled_or_out_of_order_whatever_fails(outcomes: list[Outcome]) -> None:
    failed = [f"seed {o.seed}: {o.problem}\n{o.trace}" for o in outcomes if o.problem]
    assert not failed, "\n".join(failed)


def test_every_kind_of_fault_really_happens(outcomes: list[Outcome]) -> None:
    faults: Counter[str] = Counter()
    for outcome in outcomes:
        faults.update(outcome.faults)
    assert MUST_HAPPEN <= set(faults), f"never happened: {sorted(MUST_HAPPEN - set(faults))}"
    assert any(kind.startswith("journal read") for kind in faults)


def test_both_roads_of_recovery_are_taken_and_many_leaders_follow_one_another(
    outcomes: list[Outcome],
) -> None:
    sources: Counter[str] = Counter()
    for outcome in outcomes:
        sources.update(outcome.sources)
    assert sources["snapshot"] > 20
    assert sources["open orders"] > 100
    assert sum(outcome.epochs for outcome in outcomes) > 3 * len(outcomes)


def test_a_seed_runs_the_same_way_again_to_the_last_step() -> None:
    first, again = seed_run(7, COMMANDS, with_trace=True), seed_run(7, COMMANDS, with_trace=True)
    assert first == again
    assert first.trace == again.trace
    assert first.trace


@pytest.mark.parametrize("name", MODULES)
def test_the_simulated_server_knows_every_statement_of(name: str) -> None:
    module = importlib.import_module(f"apps.{name}")
    texts = {n: text for n, text in vars(module).items() if n.endswith("_SQL") and isinstance(text, str)}
    for text in texts.values():
        if text.strip().startswith("COPY"):
            copy_parse(text)
        elif not text.startswith(SESSION_WORDS):
            PLANS.plan(text)
