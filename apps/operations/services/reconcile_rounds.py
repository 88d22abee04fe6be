"""The reconciler at work: what is new by the minute, everything by night; what it finds is kept and told."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connections, transaction

from apps.events.facts import EventRow
from apps.events.services import event_append
from apps.events.types import EventType
from apps.operations.locks import ACT_LOCK_CLASS
from apps.operations.models import CheckScope, CheckStatus, ReconcileResult
from apps.operations.services.reconcile import (
    ALIAS,
    CHECKS,
    EVERYTHING,
    PROBES,
    Result,
    Window,
    check_run,
)
from apps.operations.services.reconcile_checks import Check, Reads
from apps.operations.services.reconcile_depth import depth_reconcile
from apps.operations.services.reconcile_replay import replay_reconcile
from apps.operations.services.reconcile_view import NAME as VIEW_NAME
from apps.operations.services.reconcile_view import view_reconcile
from apps.orders.services.view import view_forget
from apps.primitives.clock import utc_now
from apps.primitives.ids import id_floor

logger = logging.getLogger(__name__)

ROUND_TIMEOUT_S = 5.0
"""For how long one query of a round may hold the server's snapshot."""

SHARE = 50
"""After a check that took a second comes a pause of so many: the reconciler never takes the machine."""

OVERLAP = timedelta(minutes=2)
"""What a round looks at again, since ids are not commit order."""

FIRST_LOOK = timedelta(hours=1)
LOOK_MAX = timedelta(days=1)
"""How far back a round looks at most, after a pause or while a check stays broken; nights look at all."""

ROUND_RECORDS = 200_000
"""Journal records that a round looks at: forty seconds at five thousand commands a second."""

Comparisons = Mapping[str, Callable[[], Result]]
RECENT_COMPARISONS: Comparisons = {
    "I5.replay": replay_reconcile,
    "I8.depth": depth_reconcile,
    "I8.view": view_reconcile,
}
FULL_COMPARISONS: Comparisons = {"I8.view": lambda: view_reconcile(complete=True)}


@dataclass(frozen=True, slots=True)
class Round:
    """Which checks run now, and how."""

    scope: CheckScope
    checks: tuple[Check, ...]
    comparisons: Comparisons
    timeout_s: float


RECENT = Round(
    CheckScope.RECENT,
    tuple(check for check in CHECKS if check.reads != Reads.HISTORY) + PROBES,
    RECENT_COMPARISONS,
    ROUND_TIMEOUT_S,
)
FULL = Round(
    CheckScope.FULL,
    tuple(check for check in CHECKS if check.reads != Reads.LIVE),
    FULL_COMPARISONS,
    900.0,
)


def reconcile_round(kind: Round = RECENT) -> list[Result]:
    """Run what is due of a round and keep what it finds; nothing when another process is at it."""
    with _alone(f"reconcile {kind.scope}") as is_ours:
        if not is_ours:
            return []
        known = {row.check_name: row for row in ReconcileResult.objects.filter(scope=kind.scope)}
        found = []
        for name, look in _looks(kind, known):
            now, before = utc_now(), known.get(name)
            if kind.scope == CheckScope.RECENT and before is not None and not _is_due(before, now):
                continue
            low, result = look(now)
            result_keep(kind.scope, result, low, now)
            found.append(result)
            if name == VIEW_NAME and result.broken:
                # What differed is on record; the relay makes the view anew.
                view_forget()
        return found


def _looks(
    kind: Round, known: Mapping[str, ReconcileResult]
) -> Iterator[tuple[str, Callable[[datetime], tuple[int, Result]]]]:
    for check in kind.checks:

        def query(now: datetime, check: Check = check) -> tuple[int, Result]:
            window = EVERYTHING
            if kind.scope == CheckScope.RECENT and check.reads == Reads.WINDOW:
                window = Window(low=_low(known.get(check.name), now), records=ROUND_RECORDS)
            return window.low, check_run(check, window, kind.timeout_s)

        yield check.name, query
    for name, compare in kind.comparisons.items():

        def look(now: datetime, compare: Callable[[], Result] = compare) -> tuple[int, Result]:
            return 0, compare()

        yield name, look


def _is_due(before: ReconcileResult, now: datetime) -> bool:
    return now - before.checked_at >= timedelta(milliseconds=before.duration_ms * SHARE)


def _low(before: ReconcileResult | None, now: datetime) -> int:
    """Return the id to look from: what is broken stays in sight until it is whole again."""
    if before is None:
        return id_floor(now - FIRST_LOOK)
    last = before.low if before.status != CheckStatus.OK else id_floor(before.checked_at - OVERLAP)
    return max(last, id_floor(now - LOOK_MAX))


def result_keep(scope: CheckScope, result: Result, low: int, checked_at: datetime) -> None:
    """Write what a check found over what it found before; a change of status is an event and a log line."""
    status = CheckStatus.OK if result.is_whole else CheckStatus.BROKEN
    if result.failure:
        status = CheckStatus.FAILED
    # Figures that JSON has no words for, such as Decimals and times, are kept as text.
    broken = orjson.loads(orjson.dumps(result.broken, default=str, option=orjson.OPT_NON_STR_KEYS))
    with transaction.atomic():
        row = (
            ReconcileResult.objects.select_for_update().filter(check_name=result.name, scope=scope).first()
        ) or ReconcileResult(check_name=result.name, scope=scope, status=CheckStatus.OK, since=checked_at)
        if row.status != status:
            row.status, row.since = status, checked_at
            _change_tell(scope, result, status, broken)
        row.title, row.checked_at, row.duration_ms = result.title, checked_at, result.duration_ms
        row.low, row.broken, row.failure = low, broken, result.failure
        row.save()


def _change_tell(scope: CheckScope, result: Result, status: CheckStatus, broken: list[Any]) -> None:
    level = logging.INFO if status == CheckStatus.OK else logging.ERROR
    shown = result.failure or broken[:3]
    logger.log(level, "%s (%s) is %s: %s %s", result.name, scope, status, result.title, shown)
    data = {"check": result.name, "scope": scope, "status": status, "broken": broken[:3]}
    with connections["default"].cursor() as cursor:
        event_append(cursor, [EventRow(EventType.RECONCILE_CHANGED, 0, data)])


@contextmanager
def _alone(act: str) -> Iterator[bool]:
    """Take an act for this process; on the owner's session, which outlives the single readings."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (ACT_LOCK_CLASS, act))
        is_ours = bool(cursor.fetchone()[0])
        try:
            yield is_ours
        finally:
            if is_ours:
                cursor.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", (ACT_LOCK_CLASS, act))
