"""The table of an order's life."""

import pytest

from apps.orders.lifecycle import NEXT, IllegalTransition, status_change
from apps.primitives.fix import LIVE_STATUSES, TERMINAL_STATUSES, OrdStatus


def test_table_names_every_status() -> None:
    assert set(NEXT) == set(OrdStatus)
    assert LIVE_STATUSES | TERMINAL_STATUSES == set(OrdStatus)


@pytest.mark.parametrize("status", sorted(TERMINAL_STATUSES))
def test_nothing_follows_the_end(status: OrdStatus) -> None:
    for following in OrdStatus:
        with pytest.raises(IllegalTransition):
            status_change(status, following)


@pytest.mark.parametrize("status", sorted(LIVE_STATUSES))
def test_every_live_status_can_end(status: OrdStatus) -> None:
    assert NEXT[status] & TERMINAL_STATUSES
