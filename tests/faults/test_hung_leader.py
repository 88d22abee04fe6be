"""F9 and F10: a leader that stops or spins is fenced by its standby, and writes nothing when it wakes."""

import signal
import time

import pytest

from tests.faults.conftest import ROUNDS
from tests.support.builders import Trader
from tests.support.house import House, Load, until

FENCED = 70
QUICK = {"MATCHING_PROGRESS_MS": "400", "MATCHING_SILENCE_MS": "150", "MATCHING_SILENCE_REALTIME_MS": "150"}


@pytest.mark.parametrize("stopped_s", [1.0] + [0.05, 0.3, 3.0, 60.0] * (ROUNDS > 0))
def test_a_stopped_leader_is_fenced_and_wakes_to_its_end(
    house: House, traders: list[Trader], stopped_s: float
) -> None:
    """F9: as a paused machine would, in the middle of a load. A short pause need not cost it its place."""
    leader = house.leader(**QUICK)
    standby = house.runner(**QUICK)
    wait_watched(house)
    with Load(house, traders, seed=9):
        time.sleep(0.5)
        leader.signal(signal.SIGSTOP)
        time.sleep(stopped_s)
        leader.signal(signal.SIGCONT)
        if stopped_s > 0.5:
            house.wait_leads(standby)
            assert leader.exit_code() == FENCED
        time.sleep(0.5)
    house.books_hold()


def wait_watched(house: House) -> None:
    """Wait until the standby has said where it listens and the leader, once a second, has looked."""
    until(lambda: house.rows("SELECT 1 FROM matching_standbys"), "the standby has said where it listens")
    time.sleep(1.2)


@pytest.mark.parametrize("point", ["runner.loop", "runner.match", "booking.mid_write"])
def test_a_leader_whose_loop_hangs_while_its_heart_beats_is_fenced(
    house: House, traders: list[Trader], point: str
) -> None:
    """F10: the heart goes on beating, so what gives it away is that no progress comes with work to do."""
    buyer, seller = traders
    leader = house.leader(failpoints=f"{point}=spin@4", **QUICK)
    standby = house.runner(**QUICK)
    wait_watched(house)
    for _ in range(4):
        house.sent(seller.sell(5, "100.00"))
        house.sent(buyer.buy(5, "100.00"))
        time.sleep(0.06)
    house.wait_leads(standby)
    assert leader.is_alive, "it was fenced while it still spun, and was not asked"
    house.books_hold()


def test_a_busy_leader_is_not_fenced_for_being_slow(house: House, traders: list[Trader]) -> None:
    """No failover for nothing: a load, and every batch stretched to half the patience."""
    buyer, seller = traders
    leader = house.leader(failpoints="runner.after_match=sleep:150", **QUICK)
    house.runner(**QUICK)
    with Load(house, [buyer, seller], seed=10):
        time.sleep(2.0 + 58 * (ROUNDS > 0))
    house.books_hold()
    assert house.leader_now() == (leader.pid, 1)
