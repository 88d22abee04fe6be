"""What the stories of leaders and standbys share: a market in a house of real processes."""

from collections.abc import Iterator

import pytest

from tests.support.house import House


@pytest.fixture
def house(market: None) -> Iterator[House]:
    """A market; the test starts the processes it wants, and they end with it."""
    with House() as running:
        yield running
