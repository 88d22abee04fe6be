"""Table partitions: made ahead, safely twice at once, and rows that missed them come home unchanged."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections

from apps.events.facts import EventRow
from apps.events.services import event_append
from apps.events.types import EventType
from apps.operations.services.partition_merging import MergeMismatch, partitions_merge
from apps.operations.services.partition_rehoming import partitions_rehome
from apps.operations.services.partitions import homes, partitions_analyze, partitions_ensure, stray_counts
from apps.primitives.clock import utc_now
from apps.primitives.ids import day_bounds, id_floor
from apps.primitives.partitions import partition_name
from tests.support.databases import DATABASES

pytestmark = [pytest.mark.django_db(transaction=True, databases=DATABASES), pytest.mark.made_up_events]

FAR = date(2031, 3, 14)
OLD = date(2024, 2, 1)


def rows_of(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def partitions_of(table: str) -> set[str]:
    sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"
    return {row[0] for row in rows_of(sql, table)}


@pytest.fixture
def days_removed() -> Any:
    """Take away again what a test attached far from today."""
    kept = {home.table.name: partitions_of_home(home) for home in homes()}
    yield
    for home in homes():
        with connections[home.alias].cursor() as cursor:
            for name in partitions_of_home(home) - kept[home.table.name]:
                cursor.execute(f"DROP TABLE {name}")


def partitions_of_home(home: Any) -> set[str]:
    with connections[home.alias].cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            [home.table.name],
        )
        return {row[0] for row in cursor.fetchall()}


def event_at(moment: datetime, number: int) -> int:
    """Append an event as if it had been written at ``moment``; returns its id."""
    event_id = id_floor(moment) + number
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO events (id, "timestamp", topic, event_type, user_id, data, metadata) '
            "VALUES (%s, %s, 'audit-log', 'TEST', 7, '{\"n\": 1}', '{}')",
            (event_id, moment),
        )
    return event_id


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def test_yesterday_today_and_a_week_ahead_exist_in_every_table(days_removed: None) -> None:
    done = partitions_ensure(FAR)
    wanted = [FAR + timedelta(days=n) for n in range(-1, 8)]
    assert len(done.created) == len(homes()) * 9
    for home in homes():
        assert {partition_name(home.table.name, day) for day in wanted} <= partitions_of_home(home)
    assert partitions_ensure(FAR).created == []


def test_partitions_carry_keys_indexes_checks_and_guards_of_their_parent(days_removed: None) -> None:
    partitions_ensure(FAR, days_ahead=0)
    name = partition_name("transactions", FAR)
    constraints = {
        row[0] for row in rows_of("SELECT contype FROM pg_constraint WHERE conrelid = %s::regclass", name)
    }
    assert {"p", "c", "f"} <= constraints
    triggers = rows_of(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", name
    )
    assert {f"{name}_no_truncate", "transactions_append_only"} <= {row[0] for row in triggers}
    indexes = rows_of("SELECT indexdef FROM pg_indexes WHERE tablename = %s", name)
    assert len(indexes) == 3


def test_two_upkeeps_at_once_make_each_partition_once(days_removed: None) -> None:
    results, errors = [], []

    def run() -> None:
        try:
            results.append(partitions_ensure(FAR).created)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    created = [name for result in results for name in result]
    assert len(created) == len(set(created)) == len(homes()) * 9


def test_rows_in_a_default_partition_are_an_alarm_and_are_rehomed_unchanged(
    days_removed: None, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [event_at(noon(FAR), n) for n in range(3)] + [event_at(noon(FAR + timedelta(days=3)), 0)]
    before = rows_of("SELECT *, xact_id::text FROM events WHERE id = ANY(%s) ORDER BY id", ids)
    done = partitions_ensure(FAR, days_ahead=0)
    assert done.strays == {"events_default": 4}
    assert "events_default holds 4 rows" in caplog.text
    moved = partitions_rehome()
    assert moved == {
        partition_name("events", FAR): 3,
        partition_name("events", FAR + timedelta(days=3)): 1,
    }
    assert stray_counts() == {}
    assert rows_of("SELECT *, xact_id::text FROM events WHERE id = ANY(%s) ORDER BY id", ids) == before
    assert partitions_rehome() == {}


def test_guards_are_back_on_after_rehoming(days_removed: None) -> None:
    event_id = event_at(noon(FAR), 1)
    partitions_rehome()
    with pytest.raises(Exception, match="append-only"):
        rows_of("UPDATE events SET topic = 'x' WHERE id = %s RETURNING id", event_id)
    disabled = rows_of(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'events_default'::regclass AND tgenabled <> 'O'"
    )
    assert disabled == []


def test_an_old_month_is_merged_with_every_column_as_it_was(days_removed: None) -> None:
    partitions_ensure(OLD + timedelta(days=1), days_ahead=2)
    ids = [event_at(noon(OLD + timedelta(days=n)), n) for n in range(3)]
    before = rows_of("SELECT *, xact_id::text FROM events WHERE id = ANY(%s) ORDER BY id", ids)
    merged = partitions_merge(OLD + timedelta(days=29 + 90))
    assert merged["events_2024_02"] == 3
    assert not {name for name in partitions_of("events") if name.startswith("events_2024_02_")}
    assert "events_2024_02" in partitions_of("events")
    assert rows_of("SELECT *, xact_id::text FROM events WHERE id = ANY(%s) ORDER BY id", ids) == before
    bounds = rows_of("SELECT conname FROM pg_constraint WHERE conname = 'events_2024_02_bounds'")
    assert bounds == []
    assert partitions_ensure(OLD + timedelta(days=5), days_ahead=0).created == []
    assert not rows_of(
        "SELECT 1 FROM pg_constraint WHERE conrelid = 'transactions_2024_02'::regclass AND NOT convalidated"
    )
    with pytest.raises(Exception, match="append-only"):
        rows_of("TRUNCATE events_2024_02")


def test_merging_four_times_at_once_merges_each_month_once(days_removed: None) -> None:
    partitions_ensure(OLD + timedelta(days=1), days_ahead=2)
    ids = [event_at(noon(OLD + timedelta(days=n)), n) for n in range(3)]
    before = rows_of("SELECT *, xact_id::text FROM events WHERE id = ANY(%s) ORDER BY id", ids)
    barrier = threading.Barrier(4)

    def run(_: int) -> dict[str, int]:
        barrier.wait(30)
        try:
            return partitions_merge(OLD + timedelta(days=29 + 90))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        done = [name for merged in pool.map(run, range(4)) for name in merged]
    assert sorted(done) == sorted(set(done)) and "events_2024_02" in done
    assert rows_of("SELECT *, xact_id::text FROM events WHERE id = ANY(%s) ORDER BY id", ids) == before


def test_a_month_with_a_live_order_or_young_days_is_left_alone(days_removed: None) -> None:
    partitions_ensure(OLD + timedelta(days=1), days_ahead=0)
    assert partitions_merge(OLD + timedelta(days=28 + 90)) == {}
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO live_orders (order_id, account_id, user_id, symbol, status, remaining) "
            "VALUES (%s, 1, 1, 'AAPL', 'NEW', 1)",
            [id_floor(noon(OLD))],
        )
    assert partitions_merge(OLD + timedelta(days=29 + 90)) == {}


def test_a_copy_that_differs_is_thrown_away_and_the_days_stay(
    days_removed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitions_ensure(OLD + timedelta(days=1), days_ahead=0)
    event_at(noon(OLD), 1)
    from apps.operations.services import partition_merging

    monkeypatch.setattr(partition_merging, "_day_copy", lambda *_: None)
    with pytest.raises(MergeMismatch):
        partitions_merge(OLD + timedelta(days=29 + 90))
    assert partition_name("events", OLD) in partitions_of("events")
    assert rows_of("SELECT to_regclass('events_2024_02')") == [(None,)]


def test_a_row_of_today_lies_in_todays_partition(database: None) -> None:
    call_command("partitions_ensure", verbosity=0)
    today = utc_now().date()
    with connection.cursor() as cursor:
        event_append(cursor, [EventRow(EventType.SIGNED_OUT, 1, {})])
    found = rows_of("SELECT tableoid::regclass::text, id FROM events")
    assert found[0][0] == partition_name("events", today)
    low, high = day_bounds(today)
    assert low <= found[0][1] < high


def test_the_planner_knows_each_table_as_a_whole() -> None:
    """By itself the server never counts a partitioned table, and plans a join of two as if it knew none."""
    known = "SELECT reltuples FROM pg_class WHERE oid = 'events'::regclass"
    for number in range(20):
        event_at(utc_now(), number)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE events")
        cursor.execute("UPDATE pg_class SET reltuples = -1 WHERE oid = 'events'::regclass")
    assert rows_of(known) == [(-1.0,)]
    partitions_analyze()
    assert rows_of(known)[0][0] >= 20
