"""The desk of surveillance: staff see what was found and why, set the limits, and judge with a reason."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from apps.accounts.models import User
from apps.events.facts import EventRow
from apps.events.models import Event
from apps.events.services import event_append
from apps.events.types import EventType
from apps.operations.metrics import metrics_text
from apps.primitives.clock import utc_now
from apps.surveillance.findings import finding_tell
from apps.surveillance.limits import Kind, limits_default
from apps.surveillance.metrics import surveillance
from apps.surveillance.models import BeneficialOwner, SurveillanceFinding, SurveillanceLimit
from apps.surveillance.rules import Pattern
from tests.admin.conftest import staff_client
from tests.support.builders import trader_open
from tests.support.databases import DATABASES

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)
LIST = "/admin/surveillance/surveillancefinding/"
LIMITS = "/admin/surveillance/surveillancelimit/"
WHY = {"reason": "As the committee decided"}


@pytest.fixture
def finding(market: None) -> SurveillanceFinding:
    """An open finding about two accounts, with one event that shows it."""
    one, other = trader_open(), trader_open()
    row = EventRow(EventType.SIGN_IN_FAILED, one.user_id, {"username": "x"})
    with transaction.atomic(), connection.cursor() as cursor:
        event_append(cursor, [row])
    shown = Event.objects.filter(account_id=one.account_id).latest("id")
    now, limits = utc_now(), limits_default(Kind.WASH_TRADES)
    where = (Kind.WASH_TRADES, one.account_id, other.account_id, "AAPL", now - timedelta(minutes=1), now)
    with transaction.atomic(), connection.cursor() as cursor:
        assert finding_tell(cursor, Pattern(*where, {"trades": limits["trades_min"]}, (shown.pk,)), limits)
    return SurveillanceFinding.objects.get()


def page(client: Client, url: str, **more: Any) -> str:
    response = client.get(url, more)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.made_up_events
def test_finding_shows_its_figures_and_leads_to_its_evidence(
    chief: Client, finding: SurveillanceFinding
) -> None:
    text = page(chief, LIST, status__exact="OPEN", kind__exact="WASH_TRADES")
    assert finding.whom in text and "Open" in text
    text = page(chief, f"{LIST}{finding.pk}/change/")
    assert "pair_pct_min" in text and f"/admin/accounts/account/{finding.account_id}/change/" in text
    [event_id] = finding.event_ids
    link = f"/admin/events/event/{event_id}/change/"
    assert link in text and chief.get(link).status_code == 200
    assert finding.whom not in page(chief, LIST, status__exact="DISMISSED")


@pytest.mark.made_up_events
def test_finding_is_dismissed_with_a_reason_by_who_may(chief: Client, finding: SurveillanceFinding) -> None:
    url = f"{LIST}{finding.pk}/dismiss/"
    reader = staff_client("reader", ("surveillance.view_surveillancefinding",))
    assert page(reader, LIST)
    assert reader.post(url, {"reason": "I would rather not"}).status_code == 403
    assert chief.post(url, {"reason": "no"}).status_code == 200, "the reason is too short"
    assert SurveillanceFinding.objects.get().status == "OPEN"
    assert chief.post(url, {"reason": "Both explained it"}).status_code == 302
    judged = SurveillanceFinding.objects.get()
    staff = User.objects.get(username="chief")
    assert (judged.status, judged.reason, judged.dismissed_by_id) == (
        "DISMISSED",
        "Both explained it",
        staff.pk,
    )
    event = Event.objects.get(event_type="SURVEILLANCE_DISMISSED")
    assert (event.user_id, event.metadata["actor_id"]) == (staff.pk, staff.pk)
    again = chief.post(url, {"reason": "Both explained it"}, follow=True)
    assert "has been dismissed already" in again.content.decode()
    assert Event.objects.filter(event_type="SURVEILLANCE_DISMISSED").count() == 1


def test_finding_cannot_be_written_by_hand(chief: Client) -> None:
    assert chief.get(f"{LIST}add/").status_code == 403
    text = page(chief, LIST)
    assert "No results found" in text and "An empty list means" in text
    assert "not a verdict" in text


@pytest.mark.made_up_events
def test_dismissed_finding_is_not_offered_to_be_dismissed(
    chief: Client, finding: SurveillanceFinding
) -> None:
    url = f"{LIST}{finding.pk}"
    assert f"{url}/dismiss/" in page(chief, f"{url}/change/")
    chief.post(f"{url}/dismiss/", {"reason": "Both explained it"})
    assert f"{url}/dismiss/" not in page(chief, f"{url}/change/")


def limit_add(client: Client, **values: str) -> Any:
    return client.post(
        f"{LIMITS}add/",
        {"kind": "WASH_TRADES", "name": "trades_min", "value": "20", "effective_from_0": "2026-01-02",
         "effective_from_1": "10:00:00", **WHY, **values},
    )  # fmt: skip


def test_limit_is_set_with_a_reason_and_an_event(chief: Client) -> None:
    text = page(chief, f"{LIMITS}add/")
    assert "Trades between the two that make a finding." in text
    assert "trades_min (Self trade, Wash trades)" in text, "the kinds that have it"
    response = limit_add(chief)
    assert response.status_code == 302, response.content
    event = Event.objects.get(event_type="RULE_ADDED", data__rule="surveillance_limits")
    assert event.data["reason"] == WHY["reason"] and event.data["name"] == "trades_min"
    limit = SurveillanceLimit.objects.get()
    assert chief.post(f"{LIMITS}{limit.pk}/change/", {"value": "1"}).status_code == 403


@pytest.mark.parametrize(
    "values", [{"name": "ratio_max"}, {"value": "1"}, {"value": "10001"}, {"value": "NaN"}, {"reason": ""}]
)
def test_limit_that_makes_no_sense_is_refused_and_nothing_is_written(
    chief: Client, values: dict[str, str]
) -> None:
    response = limit_add(chief, **values)
    assert response.status_code == 200
    assert not SurveillanceLimit.objects.exists()


def test_owner_is_named_with_a_reason_and_an_event(chief: Client) -> None:
    account_id = trader_open().account_id
    url = "/admin/surveillance/beneficialowner/add/"
    assert chief.post(url, {"account": account_id, "owner": "Smith Holdings", **WHY}).status_code == 302
    assert BeneficialOwner.objects.get().owner == "Smith Holdings"
    assert Event.objects.filter(event_type="RECORD_ADDED", data__record="surveillance_owners").exists()


@pytest.mark.made_up_events
def test_open_findings_and_subscriptions_are_metrics(finding: SurveillanceFinding) -> None:
    text = metrics_text(more=(surveillance,)).decode()
    assert 'openbell_surveillance_findings_open{kind="WASH_TRADES"} 1.0' in text
    assert 'openbell_surveillance_findings_open{kind="LAYERING"} 0.0' in text
    assert 'openbell_scrape_failed{part="subscriptions"} 0.0' in text
    assert 'openbell_scrape_failed{part="surveillance"} 0.0' in text
