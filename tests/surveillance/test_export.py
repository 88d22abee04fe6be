"""Who asks for their own events is not told that they are watched, nor with whom they were seen."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from apps.audit.checking import export_check
from apps.audit.exports import value_whose
from apps.audit.services.export import export_make
from apps.events.types import EventType
from apps.primitives.clock import utc_now
from apps.surveillance.findings import finding_tell
from apps.surveillance.limits import Kind
from apps.surveillance.rules import Pattern
from tests.audit.exported import manifest_follow, values, wanted
from tests.support.builders import Trader, trader_open

pytestmark = [pytest.mark.usefixtures("market")]


@pytest.fixture
def watched(market: None) -> Trader:
    """A trader of whom something was found, together with another."""
    one, other = trader_open(cash="10.00"), trader_open(cash="10.00")
    now = utc_now()
    seen = (now - timedelta(seconds=5), now)
    pattern = Pattern(
        Kind.WASH_TRADES, one.account_id, other.account_id, "AAPL", *seen, {"trades": Decimal(3)}, (1,)
    )
    with transaction.atomic(), connection.cursor() as cursor:
        finding_tell(cursor, pattern, {"trades_min": Decimal(2)})
    return one


def kinds(folder: Path) -> set[str]:
    return {value_whose(value)[0] for value in values(folder)}


def test_a_persons_export_leaves_out_what_surveillance_found(watched: Trader, tmp_path: Path) -> None:
    theirs = export_make(wanted(user_id=watched.user_id), tmp_path / "theirs").folder
    assert EventType.ACCOUNT_OPENED in kinds(theirs)
    assert EventType.SURVEILLANCE_FOUND not in kinds(theirs)
    assert export_check(theirs, {}).problems == []
    whole = export_make(wanted(), tmp_path / "whole").folder
    assert EventType.SURVEILLANCE_FOUND in kinds(whole)


def test_whoever_needs_it_asks_for_it_and_the_manifest_says_so(watched: Trader, tmp_path: Path) -> None:
    call_command(
        "audit_export", user=watched.user_id, out=tmp_path / "desk", with_surveillance=True, verbosity=0
    )
    desk = tmp_path / "desk"
    assert EventType.SURVEILLANCE_FOUND in kinds(desk)
    assert export_check(desk, {}).problems == []
    manifest_follow(desk, with_surveillance=False)
    (problem,) = export_check(desk, {}).problems
    assert "tells what surveillance found" in problem
