"""Every page of the back office opens, and none of them can change money or history."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import CompositePrimaryKey
from django.test import Client
from django.urls import reverse

from apps.access.services import api_key_issue
from apps.accounts.models import Account
from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.instruments.models import BandRule, PriceBand
from apps.ledger.models import Transaction
from apps.orders.models import LiveOrder, Order
from apps.positions.models import Position, ShareIssue
from apps.trades.models import Trade
from tests.operations.conftest import TradedBook, traded  # noqa: F401
from tests.support.databases import DATABASES

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

WHY = {"reason": "As the committee decided"}

OURS = [model for model in apps.get_models() if model.__module__.startswith("apps.")]
MONEY = [Account, Transaction, Trade, Event, Order, LiveOrder, Position, ShareIssue]


def url(model: Any, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_every_model_with_a_simple_key_is_registered() -> None:
    composite = {m for m in OURS if isinstance(m._meta.pk, CompositePrimaryKey)}
    registered = set(admin.site._registry)
    assert {m for m in OURS if m not in registered} == composite
    assert {m.__name__ for m in composite} >= {"MatchingJournal", "SettlementStep", "OrderClientKey", "Ohlcv"}


@pytest.mark.parametrize("model", [m for m in OURS if m in admin.site._registry], ids=lambda m: m.__name__)
def test_every_list_opens(chief: Client, traded: TradedBook, model: Any) -> None:  # noqa: F811
    assert chief.get(url(model)).status_code == 200
    assert chief.get(url(model), {"q": "1"}).status_code == 200


@pytest.mark.parametrize("model", MONEY, ids=lambda m: m.__name__)
def test_money_and_history_are_read_only_even_for_a_superuser(
    chief: Client,
    traded: TradedBook,  # noqa: F811
    model: Any,
) -> None:
    row = model.objects.order_by("pk").last()
    before = model.objects.filter(pk=row.pk).values().get()
    page = chief.get(url(model, "change", row.pk))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    assert chief.get(url(model, "add")).status_code == 403
    assert chief.post(url(model, "change", row.pk), {"cash_balance": "1"}).status_code == 403
    assert chief.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).values().get() == before


def test_the_secret_of_a_key_is_never_shown(chief: Client, traded: TradedBook) -> None:  # noqa: F811
    from apps.access.models import ApiKey

    key_id, secret = api_key_issue(account_id=traded.buyer.account_id, origin=SYSTEM)
    stored = ApiKey.objects.get(pk=key_id).secret_hash
    for page in (chief.get(url(ApiKey)), chief.get(url(ApiKey, "change", key_id))):
        assert key_id in page.content.decode()
        assert stored not in page.content.decode()
        assert secret not in page.content.decode()


def test_a_dated_rule_is_added_with_an_event_and_never_changed(chief: Client) -> None:
    response = chief.post(
        url(PriceBand, "add"), {"effective_from": "2026-01-02", "symbol": "AAPL", "limit_bps": "500", **WHY}
    )
    assert response.status_code == 302, response.content
    rule = PriceBand.objects.get(symbol="AAPL")
    event = Event.objects.filter(event_type="RULE_ADDED").first()
    assert (event.data["rule"], event.data["limit_bps"]) == ("price_bands", "500")
    assert event.data["reason"] == WHY["reason"]
    assert chief.post(url(PriceBand, "change", rule.pk), {"limit_bps": "9000"}).status_code == 403
    assert chief.post(url(PriceBand, "delete", rule.pk), {"post": "yes"}).status_code == 403


def test_the_width_of_bands_is_a_dated_rule(chief: Client) -> None:
    row = {"effective_from": "2027-01-04", "tier": "1", "price_from": "3.0001", "limit_bps": "400", **WHY}
    assert chief.post(url(BandRule, "add"), row).status_code == 302
    assert Event.objects.filter(event_type="RULE_ADDED").first().data["rule"] == "band_rules"
    for wrong in ({"tier": "3"}, {"limit_bps": "0"}, {"price_from": "0"}, {"limit_amount": "-1"}):
        assert (
            chief.post(url(BandRule, "add"), {**row, "effective_from": "2028-01-03", **wrong}).status_code
            == 200
        )
    assert not BandRule.objects.filter(effective_from="2028-01-03").exists()


def test_a_rule_that_makes_no_sense_is_refused_with_a_sentence(chief: Client) -> None:
    page = chief.post(url(PriceBand, "add"), {"effective_from": "2026-01-02", "limit_bps": "20000"})
    assert page.status_code == 200
    assert not PriceBand.objects.filter(limit_bps=20000).exists()


def test_people_without_a_staff_flag_see_the_login_only(market: None) -> None:
    assert Client().get("/admin/").status_code == 302


def test_staff_who_are_no_superusers_cannot_raise_anybody(market: None) -> None:
    from apps.accounts.models import User
    from tests.admin.conftest import staff_client

    clerk = staff_client("clerk", ("accounts.view_user", "accounts.change_user"))
    me, boss = (
        User.objects.get(username="clerk"),
        User.objects.create_user(username="boss", is_superuser=True, is_staff=True),
    )
    body = {"username": "clerk", "is_superuser": "on", "is_staff": "on", "is_active": "on", **WHY}
    body |= {"date_joined_0": "2026-01-01", "date_joined_1": "10:00:00"}
    assert clerk.post(url(User, "change", me.pk), body).status_code == 302
    assert not User.objects.get(pk=me.pk).is_superuser
    assert clerk.post(url(User, "change", boss.pk), body).status_code == 403
    assert clerk.post(f"/admin/accounts/user/{boss.pk}/password/", {}).status_code == 403
