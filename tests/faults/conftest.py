"""What fault tests share: a market in a house of real processes, whose books are proved at the end."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builders import Trader, trader_open
from tests.support.house import House

ROUNDS = int(os.environ.get("OPENBELL_TEST_FAULT_ROUNDS", "0"))
"""How long the long forms run; 0 in the quick set, in which each fault has its cheapest form."""

LONG_TIMEOUT_S = 3_600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the long forms time."""
    for item in items:
        if (
            ROUNDS
            and Path(item.path).parent == Path(__file__).parent
            and not item.get_closest_marker("timeout")
        ):
            item.add_marker(pytest.mark.timeout(LONG_TIMEOUT_S))


@pytest.fixture
def house(market: None) -> Iterator[House]:
    """A market; the test starts the processes it wants, and the books must hold when it ends."""
    with House() as running:
        yield running


@pytest.fixture
def traders(market: None) -> list[Trader]:
    """Two traders with cash and shares enough for any test."""
    return [trader_open(cash="5000000.00", shares={"AAPL": 200_000}) for _ in range(2)]
