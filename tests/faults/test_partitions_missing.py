"""F31: a day's table partition is missing while orders come in: nothing is refused, and rows come home."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from apps.operations.services.partition_rehoming import partitions_rehome
from apps.operations.services.partitions import Home, homes, partitions_ensure, stray_counts
from apps.primitives.clock import utc_now
from apps.primitives.partitions import partition_name
from tests.support.builders import Trader
from tests.support.house import House, Load, until


@pytest.fixture
def today_missing(house: House, traders: list[Trader]) -> Iterator[list[str]]:
    """Take today's partition away from every table, as if upkeep had not run for a week."""
    today = utc_now().date()
    house.drained()
    gone = []
    for home in homes():
        name = partition_name(home.table.name, today)
        _rows_keep(home, name)
        gone.append(name)
    yield gone
    partitions_rehome()
    partitions_ensure(today)


def _rows_keep(home: Home, name: str) -> None:
    """Detach a partition, and put what it held where a missing partition would have left it."""
    with connections[home.alias].cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(f"ALTER TABLE {home.table.name} DETACH PARTITION {name}")
        cursor.execute(f"INSERT INTO {home.table.name} SELECT * FROM {name}")
        cursor.execute(f"DROP TABLE {name}")
        cursor.execute("SET session_replication_role = origin")


def test_orders_of_a_day_without_partitions_are_taken_and_come_home_later(
    house: House, traders: list[Trader], today_missing: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """F31: the DEFAULT partition takes them; upkeep says so, and rehomes them under the load."""
    buyer, seller = traders
    house.leader()
    for _ in range(20):
        house.sent(seller.sell(1, "100.00"))
        house.sent(buyer.buy(1, "100.00"))
    house.books_hold()
    strays = stray_counts()
    assert strays["orders_default"] >= 40
    assert strays["trades_default"] >= 20
    partitions_ensure(utc_now().date())
    assert "run manage.py partitions_rehome" in caplog.text
    with Load(house, traders, seed=31):
        until(lambda: _rehomed(), "every row has come home", 60)
    house.books_hold()
    assert stray_counts() == {}
    assert all(_exists(name) for name in today_missing if name.startswith(("orders", "trades", "events")))


def _rehomed() -> Any:
    partitions_rehome()
    return not stray_counts()


def _exists(name: str) -> bool:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        return bool(cursor.fetchone()[0])
