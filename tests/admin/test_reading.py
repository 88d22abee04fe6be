"""What staff read in the admin: exact instants, ids as printed elsewhere, lists that say what they are."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.access.models import ApiKey
from apps.access.services import api_key_issue, api_key_revoke
from apps.accounts.models import Account
from apps.events import backoffice
from apps.events.facts import SYSTEM
from apps.events.models import (
    Event,
    EventArchive,
    EventBlock,
    QuarantinedMessage,
    RelayCursor,
    RelayState,
    SubscriptionPosition,
)
from apps.instruments.models import Instrument
from apps.orders.models import Order
from apps.primitives.ids import Kind, public_id_text
from apps.surveillance.models import SurveillanceLimit
from apps.trades.models import Trade
from tests.admin.conftest import staff_client
from tests.operations.conftest import TradedBook, traded  # noqa: F401
from tests.support.chain import events_seal, events_write
from tests.support.databases import DATABASES

pytestmark = [pytest.mark.django_db(transaction=True, databases=DATABASES), pytest.mark.made_up_events]

EXPLAINED = [
    EventBlock, EventArchive, RelayCursor, RelayState, SubscriptionPosition, QuarantinedMessage,
    SurveillanceLimit,
]  # fmt: skip


def url(model: Any, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def text(client: Client, where: str, **query: str) -> str:
    response = client.get(where, query)
    assert response.status_code == 200
    return response.content.decode()


def found(client: Client, model: Any, **query: str) -> list[Any]:
    return [row.pk for row in client.get(url(model), query).context["cl"].result_list]


def test_an_event_is_found_by_the_id_that_kafka_and_exports_print(
    chief: Client,
    traded: TradedBook,  # noqa: F811
) -> None:
    event = Event.objects.filter(account_id=traded.buyer.account_id).earliest("id")
    uuid = public_id_text(Kind.EVENT, event.pk)
    yesterday = (event.timestamp - timedelta(days=1)).date().isoformat()
    assert found(chief, Event, q=uuid) == [event.pk]
    assert found(chief, Event, q=uuid.upper(), day=yesterday) == [event.pk], "the id tells its day"
    assert uuid in text(chief, url(Event, "change", event.pk))
    for other in (public_id_text(Kind.ORDER, event.pk), uuid[:-1], uuid.replace("-8", "-7", 1)):
        assert found(chief, Event, q=other) == []


def test_orders_and_trades_are_found_by_their_public_ids(
    chief: Client,
    traded: TradedBook,  # noqa: F811
) -> None:
    order, trade = traded.filled.order_id, Trade.objects.earliest("pk").pk
    assert found(chief, Order, q=public_id_text(Kind.ORDER, order)) == [order]
    assert found(chief, Trade, q=public_id_text(Kind.TRADE, trade)) == [trade]
    assert found(chief, Trade, q=public_id_text(Kind.ORDER, order)) == []


def test_a_small_number_is_an_account_of_today_and_no_id_of_long_ago(
    chief: Client,
    traded: TradedBook,  # noqa: F811
) -> None:
    account_id = traded.buyer.account_id
    pks = found(chief, Event, q=str(account_id))
    assert pks and Event.objects.filter(pk__in=pks, account_id=account_id).exists()


def test_every_instant_has_its_seconds_and_events_their_microseconds(
    chief: Client,
    traded: TradedBook,  # noqa: F811
) -> None:
    event, trade = Event.objects.latest("id"), Trade.objects.latest("pk")
    exact = f"{event.timestamp:%Y-%m-%d %H:%M:%S.%f}"
    for page in (text(chief, url(Event)), text(chief, url(Event, "change", event.pk))):
        assert exact in page and "UTC" in page
    instant = f"{trade.executed_at:%Y-%m-%d %H:%M:%S}"
    for page in (text(chief, url(Trade)), text(chief, url(Trade, "change", trade.pk))):
        assert instant in page and "Coordinated Universal Time" in page
        assert "p.m." not in page and "a.m." not in page


def test_a_list_that_is_cut_says_more_than_and_offers_no_way_to_show_all(
    chief: Client,
    traded: TradedBook,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = Event.objects.count()
    page = text(chief, url(Event))
    assert f"{count} results" in " ".join(page.split()) and "more than" not in page
    monkeypatch.setattr(backoffice, "COUNT_MAX", count)
    assert "more than" not in text(chief, url(Event)), "exactly as many as the bound"
    monkeypatch.setattr(backoffice, "COUNT_MAX", count - 1)
    page = text(chief, url(Event))
    assert f"more than {count - 1} results" in " ".join(page.split())
    assert "Show all" not in page


@pytest.mark.parametrize("model", EXPLAINED, ids=lambda m: m.__name__)
def test_a_list_of_the_audit_trail_says_what_it_is_and_what_empty_means(chief: Client, model: Any) -> None:
    page, admin = text(chief, url(model)), backoffice.admin.site._registry[model]
    assert admin.list_intro in page
    assert "Create a new item" not in page
    if not model.objects.exists():
        assert admin.list_empty in page
    elsewhere = text(chief, url(model), q="nothing-like-it") if getattr(admin, "search_fields", ()) else ""
    assert admin.list_empty not in elsewhere


def test_an_empty_quarantine_is_good_news(chief: Client) -> None:
    assert "That is good" in text(chief, url(QuarantinedMessage))
    page = text(chief, url(QuarantinedMessage), subscription="surveillance")
    assert "Nothing matches" in page and "That is good" not in page


def test_positions_begin_with_whoever_is_furthest_behind_and_leave_out_the_empty(chief: Client) -> None:
    where = [(0, 0, 0), (1, 90, 100), (2, 10, 500), (3, None, 7), (4, 50, 50), (5, 60, 58)]
    for partition, at, end in where:
        SubscriptionPosition.objects.create(
            subscription="s", topic="t", topic_partition=partition, next_offset=at, end_offset=end
        )
    rows = chief.get(url(SubscriptionPosition)).context["cl"].result_list
    assert [row.topic_partition for row in rows] == [2, 1, 3, 4, 5]
    assert [row.lag for row in rows] == [490, 10, 7, 0, 0], "never below nothing"
    assert "not begun" in text(chief, url(SubscriptionPosition))
    rows = chief.get(url(SubscriptionPosition), {"which": "all"}).context["cl"].result_list
    assert len(rows) == len(where)
    troubled = SubscriptionPosition.objects.get(topic_partition=0)
    SubscriptionPosition.objects.filter(pk=troubled.pk).update(problem="what Kafka had is gone")
    assert troubled.pk in found(chief, SubscriptionPosition), "a problem is never hidden"


def test_the_list_of_blocks_reads_no_leaves(market: None) -> None:
    events_write(20)
    events_seal()
    reader = staff_client("auditor", ("events.view_eventblock",))
    with CaptureQueriesContext(connection) as captured:
        page = text(reader, url(EventBlock))
    sql = [query["sql"] for query in captured.captured_queries if "event_blocks" in query["sql"]]
    assert bytes(EventBlock.objects.latest("block_no").hash).hex() in page
    assert sql and not any('"leaves"' in one or '"places"' in one for one in sql)


def acts(client: Client, model: Any, pk: Any) -> set[str]:
    page = client.get(url(model, "change", pk))
    assert page.status_code == 200
    paths = [
        one.get("path") or [item["path"] for item in one["items"]] for one in page.context["actions_detail"]
    ]
    flat = [path for one in paths for path in ([one] if isinstance(one, str) else one)]
    return {path.rstrip("/").rpartition("/")[2] for path in flat}


def test_an_act_that_can_only_be_refused_is_not_offered(
    chief: Client,
    traded: TradedBook,  # noqa: F811
) -> None:
    trade, symbol = Trade.objects.latest("pk"), Instrument.objects.get(symbol="AAPL")
    account, (key, _) = (
        traded.buyer.account_id,
        api_key_issue(account_id=traded.buyer.account_id, origin=SYSTEM),
    )
    assert acts(chief, Trade, trade.pk) == {"trade_bust"}
    assert acts(chief, ApiKey, key) == {"key_revoke"}
    assert acts(chief, Account, account) == {"account_suspend"}
    always = {"symbol_mode", "symbol_bands", "symbol_tier"}
    assert acts(chief, Instrument, symbol.pk) == always | {"symbol_halt", "symbol_phase"}
    Trade.objects.filter(pk=trade.pk).update(settlement_status="SETTLED")
    api_key_revoke(key_id=key, origin=SYSTEM)
    Account.objects.filter(pk=account).update(account_status="SUSPENDED")
    chief.post(f"/admin/instruments/instrument/{symbol.pk}/symbol_halt/", {"reason": "News is pending"})
    assert acts(chief, Trade, trade.pk) == set()
    assert acts(chief, ApiKey, key) == set()
    assert acts(chief, Account, account) == {"account_restore"}
    assert acts(chief, Instrument, symbol.pk) == always | {"symbol_resume"}
    Account.objects.filter(pk=account).update(account_status="CLOSED")
    assert acts(chief, Account, account) == set()
