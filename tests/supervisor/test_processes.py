"""When a dead process may start again."""

from types import SimpleNamespace

from brokerage.supervisor.processes import BACKOFF_S, RECOVERED_AFTER_S, Watch


def watch(**values) -> Watch:
    return Watch(SimpleNamespace(pid=0, name="x"), started_at=0.0, **values)


def test_back_off_grows_to_its_bound_and_begins_anew_after_recovery():
    tried = watch()
    assert [tried.death_note(1.0) for _ in range(8)] == [*BACKOFF_S, BACKOFF_S[-1], BACKOFF_S[-1]]
    assert tried.death_note(RECOVERED_AFTER_S) == BACKOFF_S[0]


def test_matching_worker_that_worked_starts_at_once_every_time():
    tried = watch(restarts_at_once=True)
    for _ in range(50):
        tried.state = "up"
        assert tried.death_note(1.0) == 0.0


def test_matching_worker_that_never_works_is_held_back():
    tried = watch(restarts_at_once=True)
    assert [tried.death_note(1.0) for _ in range(4)] == [0.0, *BACKOFF_S[:3]]
