"""F11: silent partitions between runner, standby and server; in one direction; coming and going."""

import time
from collections.abc import Iterator

import pytest
from django.db import connection

from tests.faults.conftest import ROUNDS
from tests.faults.test_hung_leader import QUICK, wait_watched
from tests.support.builders import Trader
from tests.support.house import House, Load
from tests.support.network import Wire

CRASHED = 70
DIRECTIONS = {
    "both ways": {"to_server": True, "to_client": True},
    "what it sends is lost": {"to_server": True, "to_client": False},
    "what it is sent is lost": {"to_server": False, "to_client": True},
}


@pytest.fixture
def wire(market: None) -> Iterator[Wire]:
    """A wire to the suite's own server."""
    where = connection.settings_dict
    with Wire(where["HOST"], int(where["PORT"])) as open_wire:
        yield open_wire


def behind(wire: Wire, house: House) -> dict[str, str]:
    return {**QUICK, "DATABASE_RUNNER_URL": wire.through(house.place.env["DATABASE_URL"])}


@pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=list(DIRECTIONS))
def test_a_leader_cut_off_from_the_server_is_replaced_and_its_late_words_change_nothing(
    house: House, traders: list[Trader], wire: Wire, directions: dict[str, bool]
) -> None:
    """F11: nobody is told of the cut. When it heals, what the old leader had sent arrives, too late."""
    leader = house.leader(**behind(wire, house))
    standby = house.runner(**QUICK)
    wait_watched(house)
    with Load(house, traders, seed=11):
        time.sleep(0.4)
        wire.cut(**directions)
        cut_at = time.monotonic()
        house.wait_leads(standby)
        assert time.monotonic() - cut_at < 5
        time.sleep(0.3)
        wire.heal()
        assert leader.exit_code() == CRASHED
    house.books_hold()


def test_a_standby_cut_off_from_the_server_disturbs_nobody(
    house: House, traders: list[Trader], wire: Wire
) -> None:
    """F11: it hears the leader's heart and cannot ask for the lock; the leader goes on."""
    leader = house.leader(**QUICK)
    standby = house.runner(**behind(wire, house))
    wait_watched(house)
    with Load(house, traders, seed=12):
        wire.cut()
        time.sleep(1.5)
        wire.heal()
        time.sleep(0.3)
    house.books_hold()
    assert house.leader_now() == (leader.pid, 1)
    leader.kill()
    if standby.is_alive:
        house.wait_leads(standby)
    else:
        house.leader()
    house.sent(traders[0].buy(1, "99.00"))
    house.books_hold()


def test_a_wire_that_comes_and_goes_costs_at_most_leaders(
    house: House, traders: list[Trader], wire: Wire
) -> None:
    """F11: flapping. However often the leadership moves, the books do not notice."""
    runners = [house.runner(**behind(wire, house)) for _ in range(2)]
    runners.append(house.runner(**QUICK))
    with Load(house, traders, seed=17):
        for number in range(10 + 190 * (ROUNDS > 0)):
            wire.cut(to_server=number % 3 != 1, to_client=number % 3 != 2)
            time.sleep(0.12)
            wire.heal()
            time.sleep(0.08)
            runners = [child for child in runners if child.is_alive]
            while len(runners) < 3:
                runners.append(house.runner(**(behind(wire, house) if number % 2 else QUICK)))
    house.books_hold()
