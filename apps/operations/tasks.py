"""Celery's door to operations: each task is one service call, and may run twice at once."""

import contextlib
from datetime import timedelta

from celery import shared_task
from django.conf import settings

from apps.instruments.calendar import exchange_date
from apps.operations.services.bands import bands_upkeep
from apps.operations.services.partition_merging import partitions_merge
from apps.operations.services.partition_rehoming import partitions_rehome
from apps.operations.services.partition_retention import partitions_expire
from apps.operations.services.partitions import partitions_analyze, partitions_ensure
from apps.operations.services.reconcile_rounds import FULL, RECENT, reconcile_round
from apps.operations.services.sessions import session_upkeep, turn_next
from apps.operations.services.settlement import settlement_run
from apps.orders.services.view import view_rebuild
from apps.primitives.clock import utc_now
from apps.primitives.errors import Conflict

UPKEEP_INTERVAL = timedelta(seconds=15)
"""How often beat calls for session upkeep; an open or close nearer than that gets a call of its own."""


@shared_task(name="operations.partitions_upkeep")
def partitions_upkeep_task() -> None:
    """Make the coming days' partitions, rehome strays with an alarm, drop what is too old, merge, analyze."""
    today = utc_now().date()
    if partitions_ensure(today).strays:
        partitions_rehome()
    partitions_expire(today)
    partitions_merge(today)
    partitions_analyze()


@shared_task(name="operations.settlement_run")
def settlement_run_task() -> None:
    """Settle every date up to today's exchange date."""
    settlement_run(exchange_date(utc_now()))


@shared_task(name="operations.session_upkeep")
def session_upkeep_task(at_turn: bool = False) -> None:
    """Expire orders, open and close books, value positions; come back at an open or close that is near."""
    now = utc_now()
    session_upkeep(now)
    turn = None if at_turn else turn_next(now, UPKEEP_INTERVAL)
    if turn is not None:
        session_upkeep_task.apply_async(kwargs={"at_turn": True}, eta=turn)


@shared_task(name="operations.bands_upkeep")
def bands_upkeep_task() -> None:
    """Let price bands follow the market, where this deployment has them."""
    if settings.PRICE_BANDS:
        bands_upkeep(utc_now())


@shared_task(name="operations.reconcile_round")
def reconcile_round_task() -> None:
    """Check what is new, and whether everything runs."""
    reconcile_round(RECENT)


@shared_task(name="operations.reconcile_night")
def reconcile_night_task() -> None:
    """Check all of history."""
    reconcile_round(FULL)


@shared_task(name="operations.orders_view_renew")
def orders_view_renew_task() -> None:
    """Make the active-order view anew, so that no live order's entry in it expires."""
    with contextlib.suppress(Conflict):
        view_rebuild()
