"""The big lists read one day: the window is in the SQL, and only that day's partition is opened."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.events.backoffice import COUNT_MAX
from apps.events.models import Event
from apps.ledger.models import Transaction
from apps.orders.models import Order
from apps.primitives.clock import utc_now
from apps.primitives.ids import day_bounds, id_floor
from apps.primitives.partitions import partition_name
from apps.trades.models import Trade
from tests.operations.conftest import TradedBook, traded  # noqa: F401
from tests.support.databases import DATABASES

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

BIG = [Order, Trade, Transaction, Event]
OLD_ID = id_floor(datetime(2021, 3, 1, tzinfo=UTC))


def list_url(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def table_queries(client: Client, model: Any, query: dict[str, str]) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        page = client.get(list_url(model), query)
    assert page.status_code == 200
    table = f'FROM "{model._meta.db_table}"'
    found = [q["sql"] for q in captured.captured_queries if table in q["sql"]]
    assert found
    return found


def partitions_opened(sql: str, table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql)
        plan = " ".join(row[0] for row in cursor.fetchall())
    words = plan.replace("(", " ").replace(")", " ").split()
    return {
        word for word in words if word.startswith(f"{table}_") and word.count("_") >= 3 and "pkey" not in word
    }


@pytest.mark.parametrize("model", BIG, ids=lambda m: m.__name__)
@pytest.mark.parametrize(
    "query", [{}, {"day": "not-a-day"}, {"q": "42"}, {"q": f"{OLD_ID}"}, {"day": ""}], ids=str
)
def test_every_query_of_a_big_list_opens_one_partition(
    chief: Client,
    traded: TradedBook,  # noqa: F811
    model: Any,
    query: dict[str, str],
) -> None:
    table, today = model._meta.db_table, utc_now().date()
    for sql in table_queries(chief, model, query):
        if query.get("q") == f"{OLD_ID}":
            assert partitions_opened(sql, table) == set(), "the id was drawn before there were partitions"
        else:
            assert partitions_opened(sql, table) == {partition_name(table, today)}, sql
            assert str(day_bounds(today)[0]) in sql


@pytest.mark.parametrize("model", BIG, ids=lambda m: m.__name__)
def test_another_day_is_another_window(chief: Client, traded: TradedBook, model: Any) -> None:  # noqa: F811
    yesterday = utc_now().date() - timedelta(days=1)
    low, high = day_bounds(yesterday)
    for sql in table_queries(chief, model, {"day": yesterday.isoformat()}):
        assert str(low) in sql
        assert str(high) in sql


def test_nothing_counts_beyond_its_bound(chief: Client, traded: TradedBook) -> None:  # noqa: F811
    counts = [sql for sql in table_queries(chief, Event, {}) if "COUNT(" in sql]
    assert counts
    assert all(f"LIMIT {COUNT_MAX + 1}" in sql for sql in counts)


def test_an_id_is_found_on_its_own_day_and_a_client_id_within_the_day(
    chief: Client,
    traded: TradedBook,  # noqa: F811
) -> None:
    order = Order.objects.get(pk=traded.filled.order_id)
    page = chief.get(list_url(Order), {"q": str(order.pk)})
    assert page.context["cl"].result_count == 1
    page = chief.get(list_url(Order), {"q": "bid-1"})
    assert [row.pk for row in page.context["cl"].result_list] == [order.pk]
    page = chief.get(list_url(Order), {"q": "bid"})
    assert page.context["cl"].result_count == 0, "a part of a client id is no client id"


def test_the_bar_leads_to_the_day_before_and_keeps_the_search(
    chief: Client,
    traded: TradedBook,  # noqa: F811
) -> None:
    page = chief.get(list_url(Order), {"q": "bid-1", "side__exact": "BUY"}).content.decode()
    yesterday = utc_now().date() - timedelta(days=1)
    assert f'name="day" value="{yesterday}"' in page
    assert '<input type="hidden" name="q" value="bid-1">' in page
    assert '<input type="hidden" name="side__exact" value="BUY">' in page


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2026-13-40", "<script>"])
def test_a_strange_day_is_no_error(chief: Client, traded: TradedBook, day: str) -> None:  # noqa: F811
    page = chief.get(list_url(Order), {"day": day})
    assert page.status_code == 200
    assert b'<script>"' not in page.content
