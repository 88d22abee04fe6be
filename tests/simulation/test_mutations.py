"""The simulation can see: each rule broken on purpose in the shipped code is found within 1,000 seeds."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.events.relay import Relay
from apps.matching import leader, recovery, replay, runner, standby
from tests.simulation.run import seed_run

SEEDS = range(1, 1_001)
COMMANDS = 300


def first_failure(often: str = "") -> tuple[int, str]:
    """Return the first seed that fails and why."""
    for seed in SEEDS:
        outcome = seed_run(seed, COMMANDS, often=often)
        if outcome.problem:
            assert "TypeError" not in outcome.problem, f"the mutation itself is wrong: {outcome.problem}"
            return seed, outcome.problem
    raise AssertionError(f"no seed of {len(SEEDS)} sees the defect")


def test_a_fence_that_forgets_the_epoch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = leader.FENCE_SQL.replace("AND epoch = %s", "AND epoch >= least(%s, 0)")
    assert broken != leader.FENCE_SQL
    monkeypatch.setattr(leader, "FENCE_SQL", broken)
    _, problem = first_failure()
    assert "is written under epoch" in problem


def test_a_fence_whose_answer_is_ignored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "_one_row", lambda cursor, leadership: None)
    first_failure()


def test_a_lock_that_is_not_waited_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def unfenced(cursor: Any, leadership: Any, last_seq: int) -> None:
        sql = leader.FENCE_SQL.replace(
            "AND epoch = %s AND seq = %s", "AND epoch >= %s - 999 AND seq >= %s - 999"
        )
        partition, epoch, seq = leadership.matching_partition, leadership.epoch, leadership.seq
        cursor.execute(sql, (last_seq, partition, epoch, seq))

    for module in (standby, leader):
        monkeypatch.setattr(module, "lock_try", lambda connection, partition: True)
    monkeypatch.setattr(runner, "leadership_assert", unfenced)
    first_failure()


def test_a_journal_tail_that_is_not_proved_whole_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    def unproved(rows: list[tuple[int, bytes]], *_: Any) -> Any:
        return np.frombuffer(b"".join(record for _, record in rows), dtype=replay.COMMAND_DTYPE)

    monkeypatch.setattr(replay, "journal_check", unproved)
    first_failure(often="journal_misread")


def test_a_snapshot_of_other_books_that_is_believed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(cursor: Any, engine: Any, header: Any, committed: Any) -> None:
        replay.journal_apply(cursor, header.matching_partition, engine, header.seq, committed.seq)

    monkeypatch.setattr(recovery, "_tail_apply", believing)
    first_failure(often="snapshot_damage")


def test_a_relay_that_moves_its_cursor_before_it_sends_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: Relay) -> int:
        events = self._read()
        if events:
            self._move(events)
            self.sink(events)
        return len(events)

    monkeypatch.setattr(Relay, "step", step)
    _, problem = first_failure()
    assert "events delivered" in problem or "is next" in problem


def test_an_outcome_that_is_taken_for_granted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that goes on after a lost answer to COMMIT, as if it had been committed."""
    import psycopg

    shipped: Callable[..., Any] = runner._commit

    def hopeful(cursor: Any) -> None:
        try:
            shipped(cursor)
        except psycopg.errors.SerializationFailure:
            return

    monkeypatch.setattr(runner, "_commit", hopeful)
    first_failure()
