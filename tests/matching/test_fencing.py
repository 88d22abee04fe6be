"""One leader at a time: whoever lost its session, its lock or its epoch writes nothing more."""

import signal
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from apps.matching.leader import (
    Fenced,
    SessionUnfit,
    epoch_begin,
    leader_terminate,
    leadership_hash,
    lock_try,
    session_check,
    session_idle_limit,
)
from apps.matching.models import MatchingJournal, MatchingLeader
from apps.orders.models import Order
from apps.primitives.failpoints import failpoints_arm
from apps.trades.models import Trade
from tests.support.builders import trader_open
from tests.support.house import House, until
from tests.support.matching import Exchange

EXIT_CRASHED = 70


@pytest.fixture
def rival(exchange: Exchange) -> Iterator["psycopg.Connection[Any]"]:
    with exchange.runner.ports.connect() as session:
        yield session


def test_a_leader_with_an_old_epoch_writes_nothing(exchange: Exchange) -> None:
    ada = trader_open(cash="5000.00")
    order = ada.buy(5, "100.00")
    MatchingLeader.objects.update(epoch=exchange.runner.leadership.epoch + 1)
    with pytest.raises(Fenced):
        exchange.run()
    exchange.connection.close()
    assert MatchingJournal.objects.count() == Trade.objects.count() == 0
    assert Order.objects.get(order_id=order.order_id).status == "PENDING"
    MatchingLeader.objects.update(epoch=exchange.runner.leadership.epoch)


def test_a_leader_whose_sequence_was_written_by_another_writes_nothing(exchange: Exchange) -> None:
    trader_open(cash="5000.00").buy(5, "100.00")
    MatchingLeader.objects.update(seq=5)
    with pytest.raises(Fenced):
        exchange.run()
    with pytest.raises(Fenced), exchange.connection.cursor() as cursor:
        leadership_hash(cursor, exchange.runner.leadership, 1)
    exchange.connection.close()
    assert MatchingJournal.objects.count() == 0
    MatchingLeader.objects.update(seq=0)


def test_a_leader_whose_session_was_ended_does_not_open_another(exchange: Exchange, rival: Any) -> None:
    trader_open(cash="5000.00").buy(5, "100.00")
    leadership = exchange.runner.leadership
    assert leader_terminate(rival, 0, leadership.epoch, leadership.backend_pid)
    with pytest.raises(psycopg.OperationalError):
        exchange.run()
    with pytest.raises(psycopg.OperationalError):
        exchange.run()
    assert MatchingJournal.objects.count() == 0


@pytest.mark.parametrize("wrong", ["epoch", "backend", "partition", "no lock"])
def test_only_the_leader_that_is_meant_is_ended(exchange: Exchange, rival: Any, wrong: str) -> None:
    leadership = exchange.runner.leadership
    names = {"epoch": leadership.epoch, "backend_pid": leadership.backend_pid, "matching_partition": 0}
    if wrong == "epoch":
        names["epoch"] -= 1
    elif wrong == "partition":
        names["matching_partition"] = 1
    elif wrong == "backend":
        names["backend_pid"] = rival.info.backend_pid
    else:
        # The number was given again: a backend that leads nothing has it now.
        names["backend_pid"] = rival.info.backend_pid
        MatchingLeader.objects.update(backend_pid=rival.info.backend_pid)
    assert not leader_terminate(rival, **names)
    exchange.connection.execute("SELECT 1")
    rival.execute("SELECT 1")


def test_nobody_leads_while_another_holds_the_lock(exchange: Exchange, rival: Any) -> None:
    assert not lock_try(rival, 0)
    with pytest.raises(SessionUnfit):
        epoch_begin(rival, 0)
    assert MatchingLeader.objects.get().epoch == exchange.runner.leadership.epoch
    assert lock_try(rival, 7)
    assert epoch_begin(rival, 7).epoch == 1
    MatchingLeader.objects.filter(matching_partition=7).delete()


class Pooler:
    """A session as a pooler gives it: each statement on any backend, and a backend number that it made up."""

    autocommit = True

    def __init__(self, *sessions: "psycopg.Connection[Any]") -> None:
        self.sessions = list(sessions)
        self.info = SimpleNamespace(backend_pid=sessions[0].info.backend_pid)

    def execute(self, *arguments: Any) -> Any:
        self.sessions.append(self.sessions.pop(0))
        return self.sessions[-1].execute(*arguments)


def test_a_pooler_is_refused(exchange: Exchange, rival: Any) -> None:
    session_check(rival)
    with exchange.runner.ports.connect() as another:
        with pytest.raises(SessionUnfit, match="pooler"):
            session_check(Pooler(rival, another))  # type: ignore[arg-type]
        pooler: Any = Pooler(rival, another)
        assert lock_try(pooler, 9)
        with pytest.raises(SessionUnfit):
            epoch_begin(pooler, 9)
    assert not MatchingLeader.objects.filter(matching_partition=9).exists()


def test_the_server_ends_a_session_that_is_silent_for_too_long(exchange: Exchange, rival: Any) -> None:
    session_idle_limit(rival, 0.05)
    rival.execute("BEGIN")
    time.sleep(0.2)
    rival.execute("COMMIT")
    time.sleep(0.2)
    with pytest.raises(psycopg.OperationalError):
        rival.execute("SELECT 1")


def test_a_worker_whose_session_is_ended_ends_itself_and_the_next_one_leads(house: House) -> None:
    leader, standby = house.leader(), house.runner()
    epoch = house.wait_leads(leader)
    until(lambda: "is warm" in standby.log, "the standby is warm")
    house.rows("SELECT pg_terminate_backend(backend_pid) FROM matching_leader WHERE epoch = %s", (epoch,))
    assert leader.exit_code() == EXIT_CRASHED
    assert house.wait_leads(standby) == epoch + 1


def test_a_leader_that_was_stopped_wakes_up_to_end_and_has_written_nothing(house: House) -> None:
    ada = trader_open(cash="500000.00")
    leader, standby = house.leader(), house.runner()
    until(lambda: "is warm" in standby.log, "the standby is warm")
    house.sent(ada.buy(1, "100.00"))
    house.drained()
    time.sleep(1.2)
    leader.signal(signal.SIGSTOP)
    epoch = house.wait_leads(standby, timeout_s=5)
    house.sent(ada.buy(1, "100.00"))
    leader.signal(signal.SIGCONT)
    assert leader.exit_code() == EXIT_CRASHED
    house.books_hold()
    assert house.rows("SELECT DISTINCT epoch FROM matching_journal WHERE seq > 1") == [(epoch,)]


@pytest.mark.parametrize("point", ["runner.loop", "runner.after_match", "runner.before_commit"])
def test_a_leader_whose_loop_hangs_while_its_heart_beats_is_ended(house: House, point: str) -> None:
    ada = trader_open(cash="500000.00")
    passings = 100 if point == "runner.loop" else 3
    leader = house.leader(f"{point}=spin@{passings}", MATCHING_PROGRESS_MS="300")
    standby = house.runner(MATCHING_PROGRESS_MS="300")
    until(lambda: "is warm" in standby.log, "the standby is warm")
    time.sleep(1.2)
    for _ in range(6):
        house.sent(ada.buy(1, "100.00"))
        time.sleep(0.05)
    house.wait_leads(standby, timeout_s=20)
    assert "without progress" in standby.log
    leader.kill()
    house.books_hold()


def test_a_commit_whose_answer_is_slow_is_a_commit(exchange: Exchange) -> None:
    ada = trader_open(cash="5000.00")
    failpoints_arm("runner.commit_sent=sleep:50")
    try:
        orders = [ada.buy(1, "90.00") for _ in range(3) if exchange.run() is not None]
        exchange.run()
    finally:
        failpoints_arm("")
    assert [ada.order(order).status for order in orders] == ["NEW"] * 3
    assert exchange.runner.leadership.seq == MatchingLeader.objects.get().seq == 3


def test_a_leader_whose_session_is_ended_about_its_commit_ends(exchange: Exchange, rival: Any) -> None:
    trader_open(cash="5000.00").buy(1, "90.00")
    failpoints_arm("runner.commit_sent=sleep:300")
    leadership = exchange.runner.leadership
    ending = threading.Timer(0.1, leader_terminate, (rival, 0, leadership.epoch, leadership.backend_pid))
    ending.start()
    try:
        with pytest.raises(psycopg.OperationalError):
            for _ in range(100):
                exchange.run()
                trader_open(cash="5000.00").buy(1, "90.00")
    finally:
        failpoints_arm("")
        ending.join()
