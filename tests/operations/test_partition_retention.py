"""Days that are older than a table keeps go, whole; days of the past are made for what is imported."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connections, transaction

from apps.marketdata.candles import Tick
from apps.marketdata.models import TICKS_KEPT_DAYS
from apps.marketdata.rollup import span_rebuild
from apps.marketdata.selectors import bar_list
from apps.marketdata.services import candles_rebuild, ticks_append
from apps.operations.services.partition_history import market_days_ensure
from apps.operations.services.partition_merging import partitions_merge
from apps.operations.services.partition_retention import partition_end, partitions_expire
from apps.operations.services.partitions import homes, stray_counts
from apps.operations.tasks import partitions_upkeep_task
from apps.primitives.clock import utc_now
from tests.support.databases import DATABASES

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

TICKS = "market_data_ticks"


def partitions() -> set[str]:
    with connections["marketdata"].cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [TICKS]
        )
        return {row[0] for row in cursor.fetchall()}


@pytest.fixture(autouse=True)
def days_removed() -> Iterator[None]:
    """Take away again what a test made."""
    kept = partitions()
    yield
    with connections["marketdata"].cursor() as cursor:
        for name in partitions() - kept:
            cursor.execute(f"DROP TABLE {name}")


def tick_on(day: date, trade_id: int) -> Tick:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return Tick(trade_id, noon, "AAPL", Decimal("10.0000"), 5)


def ticks_count() -> int:
    with connections["marketdata"].cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {TICKS}")
        return int(cursor.fetchone()[0])


def name_of(day: date) -> str:
    return f"{TICKS}_{day:%Y_%m_%d}"


def ticks_lie(days: list[date]) -> None:
    """Let one tick lie in each day, with its candles, as if the days had passed since."""
    market_days_ensure(days)
    with transaction.atomic(using="marketdata"), connections["marketdata"].cursor() as cursor:
        for number, day in enumerate(days):
            cursor.execute(
                f"INSERT INTO {TICKS} (time, symbol, price, quantity, trade_id) "
                "VALUES (%s, 'AAPL', 10, 5, %s)",
                (tick_on(day, number).time, number),
            )
        midnights = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (days[0], days[-1])]
        span_rebuild(cursor, None, midnights[0], midnights[1] + timedelta(days=1))


def test_a_day_goes_when_all_of_it_is_older_than_what_is_kept() -> None:
    today = utc_now().date()
    kept = today - timedelta(days=TICKS_KEPT_DAYS)
    gone = kept - timedelta(days=1)
    ticks_lie([gone, kept])
    assert partitions_expire(today) == [name_of(gone)]
    assert partitions_expire(today) == []
    assert ticks_count() == 1
    assert len(bar_list("AAPL", "1D")) == 2, "the candles stay"
    candles_rebuild(None, datetime(2000, 1, 1, tzinfo=UTC), utc_now())
    assert len(bar_list("AAPL", "1D")) == 2, "and are not made anew of what is left"


def test_a_merged_month_goes_when_its_last_day_may() -> None:
    today = utc_now().date()
    limit = today - timedelta(days=TICKS_KEPT_DAYS)
    cut, past = limit.replace(day=1), (limit.replace(day=1) - timedelta(days=1)).replace(day=1)
    days = [month + timedelta(days=n) for month in (past, cut) for n in range(27)]
    ticks_lie(days)
    partitions_merge(today)
    months = [f"{TICKS}_{month:%Y_%m}" for month in (past, cut)]
    assert set(months) <= partitions()
    assert market_days_ensure(days) == [], "a month covers its days"
    assert partition_end(TICKS, months[0]) == cut
    assert partitions_expire(today) == [months[0]]
    assert ticks_count() == 27


def test_only_tables_that_say_so_lose_anything() -> None:
    keeping = {home.table.name for home in homes() if home.table.keep_days is None}
    assert {"events", "trades", "transactions", "orders"} <= keeping
    assert partition_end(TICKS, f"{TICKS}_default") is None
    before = partitions()
    assert partitions_expire(utc_now().date()) == []
    assert partitions() == before


def test_strays_move_along_into_a_day_that_is_made_for_history() -> None:
    day = utc_now().date() - timedelta(days=200)
    ticks_append([tick_on(day, 1)])
    assert stray_counts() == {f"{TICKS}_default": 1}
    assert market_days_ensure([day, day]) == [name_of(day)]
    assert stray_counts() == {}
    assert ticks_append([tick_on(day, 1)]).added == 0
    assert market_days_ensure([day]) == []


def test_upkeep_expires() -> None:
    gone = utc_now().date() - timedelta(days=TICKS_KEPT_DAYS + 9)
    market_days_ensure([gone])
    partitions_upkeep_task()
    assert name_of(gone) not in partitions()
