"""F45 and F46: a runner without memory or descriptors, and an order that ends every leader."""

import os
import resource
import threading
from pathlib import Path

from tests.support.builders import Trader
from tests.support.house import House, Load
from tests.support.processes import runner_main

CRASHED = 70


def starved_main(left: int) -> None:
    """Live as a matching worker to which the machine gives no more than so much memory from now on."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + left
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    runner_main()


def hungry_main(descriptors_left: int) -> None:
    """Live as a matching worker that has used up its descriptors by the time it leads."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    kept = [open("/dev/null") for _ in range(64 - descriptors_left - len(os.listdir("/proc/self/fd")))]
    runner_main()
    del kept


def test_a_runner_without_memory_ends_and_another_leads(house: House, traders: list[Trader]) -> None:
    """F45: there is room for its session, not for its engine: it must not linger half alive."""
    starved = house.child(starved_main, 24 << 20)
    assert starved.exit_code() == CRASHED
    house.leader()
    house.sent(traders[0].buy(1, "99.00"))
    house.books_hold()


def test_a_runner_without_descriptors_ends_and_another_leads(house: House, traders: list[Trader]) -> None:
    """F45: with no descriptor left for its session it ends, and another leads."""
    hungry = house.child(hungry_main, 1)
    assert hungry.exit_code() == CRASHED
    house.leader()
    house.sent(traders[0].buy(1, "99.00"))
    house.books_hold()


def leaders_replace(house: House, stopping: threading.Event, poison: str) -> int:
    """Start a leader whenever there is none, as a supervisor does, until told; return how many died."""
    died = 0
    child = house.runner(failpoints=poison)
    while not stopping.wait(0.02):
        if not child.is_alive:
            died += 1
            assert died < 15, "they die for ever"
            child = house.runner(failpoints=poison)
    return died


def test_an_order_that_ends_every_leader_is_quarantined_and_trading_goes_on(
    house: House, traders: list[Trader]
) -> None:
    """F46: leaders die of it by SIGKILL one after another, until one of them refuses it unseen."""
    buyer, seller = traders
    good = house.sent(seller.sell(5, "100.00"))
    bad = house.sent(buyer.buy(1, "97.00"))
    later = house.sent(buyer.buy(5, "100.00"))
    stopping = threading.Event()
    died: list[int] = []
    poison = f"runner.match=kill?order_id={bad.order_id}"
    thread = threading.Thread(target=lambda: died.append(leaders_replace(house, stopping, poison)))
    thread.start()
    try:
        house.drained(60)
        with Load(house, traders, seed=46):
            stopping.wait(0.5)
        house.drained()
    finally:
        stopping.set()
        thread.join()
    assert 3 <= died[0] < 10
    assert (buyer.order(bad).status, buyer.order(bad).reject_reason) == ("REJECTED", "QUARANTINED")
    assert (seller.order(good).status, buyer.order(later).status) == ("FILLED", "FILLED")
    house.books_hold()
    audit = house.rows("SELECT data ->> 'order_id' FROM events WHERE event_type = 'COMMAND_QUARANTINED'")
    assert audit == [(str(bad.order_id),)]
