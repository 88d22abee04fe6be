"""Celery's door: every task that beat calls exists, calls its service, and may be called again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from apps.operations import tasks
from apps.operations.models import BookSession
from apps.operations.services.partitions import stray_counts
from brokerage.celery import app
from tests.support.databases import DATABASES

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

TURN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)


def test_every_task_that_beat_calls_is_registered() -> None:
    app.loader.import_default_modules()
    called = {row["task"] for row in settings.CELERY_BEAT_SCHEDULE.values()}
    assert {
        "operations.partitions_upkeep",
        "operations.settlement_run",
        "operations.session_upkeep",
        "operations.bands_upkeep",
        "operations.reconcile_round",
        "operations.reconcile_night",
        "operations.orders_view_renew",
    } <= called
    assert called <= set(app.tasks)


def test_tasks_run_on_an_empty_market_and_run_again(market: None) -> None:
    for _ in range(2):
        tasks.partitions_upkeep_task()
        tasks.settlement_run_task()
        tasks.session_upkeep_task()
        tasks.bands_upkeep_task()
        tasks.orders_view_renew_task()
        tasks.reconcile_night_task()
    assert stray_counts() == {}


def test_upkeep_comes_back_at_the_very_open(
    market: None, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.MARKET_CALENDAR = "XNYS"
    asked: list[Any] = []
    monkeypatch.setattr(tasks.session_upkeep_task, "apply_async", lambda **call: asked.append(call))
    monkeypatch.setattr(tasks, "utc_now", lambda: TURN - timedelta(seconds=4))
    tasks.session_upkeep_task()
    assert asked == [{"kwargs": {"at_turn": True}, "eta": TURN}]
    assert set(BookSession.objects.values_list("stage", flat=True)) == {"OPENING_AUCTION"}
    monkeypatch.setattr(tasks, "utc_now", lambda: TURN)
    tasks.session_upkeep_task(at_turn=True)
    assert set(BookSession.objects.values_list("stage", flat=True)) == {"CONTINUOUS"}
    assert len(asked) == 1
