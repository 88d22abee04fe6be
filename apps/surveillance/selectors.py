"""Reads of surveillance: the limits in force, who owns which account, and how much is open."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db.models import Count

from apps.surveillance.limits import LIMITS, Kind, limits_default
from apps.surveillance.models import FindingStatus, SurveillanceFinding

_LIMITS_SQL = """
SELECT DISTINCT ON (kind, name) kind, name, value FROM surveillance_limits
WHERE effective_from <= clock_timestamp() ORDER BY kind, name, effective_from DESC, id DESC
"""

_OWNERS_SQL = "SELECT account_id, owner FROM surveillance_owners WHERE account_id = ANY(%s)"


def limits_now(cursor: Any) -> dict[Kind, dict[str, Decimal]]:
    """Return every rule's limits: the newest row in force, else the default."""
    found = {kind: limits_default(kind) for kind in Kind}
    cursor.execute(_LIMITS_SQL)
    for kind, name, value in cursor.fetchall():
        if kind in LIMITS and name in LIMITS[Kind(kind)]:
            found[Kind(kind)][name] = value
    return found


def owners_of(cursor: Any, account_ids: Iterable[int]) -> dict[int, str]:
    """Return the beneficial owner of each account: the name that staff gave, else the account itself."""
    wanted = list(account_ids)
    owners = {account_id: f"account {account_id}" for account_id in wanted}
    if wanted:
        cursor.execute(_OWNERS_SQL, (wanted,))
        owners |= {account_id: f"owner {owner}" for account_id, owner in cursor.fetchall()}
    return owners


def open_findings() -> dict[str, int]:
    """Return how many findings are open, by kind, none left out."""
    rows = SurveillanceFinding.objects.filter(status=FindingStatus.OPEN).values_list("kind")
    counted = dict(rows.annotate(number=Count("pk")).order_by())
    return {kind.value: counted.get(kind.value, 0) for kind in Kind}
