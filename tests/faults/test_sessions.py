"""F12, F13 and F14: a runner without its session, five runners at once, and tasks that arrive ten times."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from apps.operations.tasks import partitions_upkeep_task, session_upkeep_task, settlement_run_task
from tests.faults.conftest import ROUNDS
from tests.support.builders import Trader
from tests.support.house import House, Load
from tests.support.processes import Child

CRASHED = 70


@pytest.mark.parametrize("moment", ["idle", "in the middle of a batch"])
def test_a_leader_whose_session_is_ended_ends_and_never_reconnects(
    house: House, traders: list[Trader], moment: str
) -> None:
    """F12: the process is alive and well, and its session is gone: from here on it must not write."""
    buyer, seller = traders
    leader = house.leader(failpoints="" if moment == "idle" else "booking.mid_write=sleep:400@2")
    standby = house.runner()
    house.sent(seller.sell(5, "100.00"))
    time.sleep(0.3)
    house.sent(buyer.buy(5, "100.00"))
    time.sleep(0.2)
    assert house.rows(
        "SELECT pg_terminate_backend(backend_pid) FROM matching_leader WHERE pid = %s", (leader.pid,)
    ) == [(True,)]
    assert leader.exit_code() == CRASHED
    assert house.wait_leads(standby) == 2
    house.books_hold()
    assert buyer.shares() == 200_005


def test_a_standby_whose_session_is_ended_ends_and_the_leader_does_not_notice(
    house: House, traders: list[Trader]
) -> None:
    """F12: a standby, too, lives and dies with its session."""
    leader, standby = house.leader(), house.runner()
    time.sleep(0.5)
    house.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s "
        "AND datname = current_database() AND pid NOT IN (SELECT backend_pid FROM matching_leader)",
        ("openbell-runner%",),
    )
    assert standby.exit_code() == CRASHED
    house.sent(traders[0].buy(1, "99.00"))
    house.books_hold()
    assert house.leader_now() == (leader.pid, 1)


def test_of_five_runners_at_once_one_leads_and_when_it_dies_one_of_the_others(
    house: House, traders: list[Trader]
) -> None:
    """F13: as in a rolling deployment, under load; each leader is killed, and another comes in its place."""
    chance = random.Random(13)
    runners: list[Child] = [house.runner() for _ in range(5)]
    with Load(house, traders, seed=13):
        for number in range(3 + 97 * (ROUNDS > 0)):
            first = _one_leads(house, runners)
            assert house.leader_now() == (first.pid, number + 1)
            assert _holders(house) == 1
            time.sleep(chance.uniform(0.05, 0.3))
            first.kill()
            runners.remove(first)
            runners.append(house.runner())
    _one_leads(house, runners)
    house.books_hold()


def _one_leads(house: House, runners: list[Child]) -> Child:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        now = house.leader_now()
        found = [child for child in runners if now and child.pid == now[0]]
        if found:
            return found[0]
        time.sleep(0.01)
    raise AssertionError("nobody leads")


def _holders(house: House) -> int:
    sql = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND database "
        "= (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = 48657"
    )
    return int(house.rows(sql)[0][0])


def test_a_task_that_arrives_ten_times_at_once_acts_once(house: House, traders: list[Trader]) -> None:
    """F14: the broker may deliver a task again and again; what it does is in the books once."""
    buyer, seller = traders
    house.leader()
    house.sent(seller.sell(50, "100.00"))
    house.sent(buyer.buy(50, "100.00"))
    house.drained()
    with house.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE trades SET settl_date = current_date - 1, trade_date = current_date - 2")
    barrier = threading.Barrier(10)

    def deliver(task: object) -> None:
        barrier.wait(30)
        try:
            task.apply(throw=True)  # type: ignore[attr-defined]
        finally:
            connections.close_all()

    for task in (settlement_run_task, session_upkeep_task, partitions_upkeep_task):
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(deliver, [task] * 10))
    assert house.rows("SELECT DISTINCT settlement_status FROM trades") == [("SETTLED",)]
    assert house.rows("SELECT count(*) FROM settlement_steps WHERE step LIKE 'CASH%%' AND amount <> 0") == [
        (2,)
    ]
    house.books_hold()


def test_a_thousand_wake_ups_book_nothing_twice(house: House, traders: list[Trader]) -> None:
    """F14: a wake-up is a hint; a storm of them changes nothing."""
    from django_redis import get_redis_connection

    house.leader()
    with Load(house, traders, seed=14):
        for _ in range(1_000):
            get_redis_connection("default").publish("matching:wake:0", b"1")
    house.books_hold()
