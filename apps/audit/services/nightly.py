"""The nightly verification: the last days and their anchors, with what was found kept where checks are."""

import time
from datetime import date, timedelta
from typing import Any

from django.conf import settings

from apps.audit.services.verification import Verdict, audit_verify, stretch_of
from apps.operations.models import CheckScope
from apps.operations.services.reconcile import BROKEN_ROWS_MAX, Result
from apps.operations.services.reconcile_rounds import result_keep
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError

NAME = "I11.chain"
TITLE = "the events of the last days are what was sealed, and the chain is what was anchored"
DAYS = 2


def audit_night(today: date) -> Result:
    """Verify the last whole days and today as far as it goes; the result is kept, told when it changes."""
    started, now = time.monotonic(), utc_now()
    stretch = stretch_of(today - timedelta(days=DAYS), None)
    broken: list[dict[str, Any]] = []
    failure = ""
    try:
        broken = _rows(audit_verify(stretch, settings.AUDIT_ANCHOR_DIR))
    except BrokerageError as error:
        failure = error.message
    duration_ms = round((time.monotonic() - started) * 1000)
    result = Result(NAME, TITLE, duration_ms, broken, failure)
    result_keep(CheckScope.FULL, result, stretch.low, now)
    return result


def _rows(verdict: Verdict) -> list[dict[str, Any]]:
    return [
        {
            "what": finding.what,
            "event_id": finding.event_id,
            "block_no": finding.block_no,
            "at": finding.at,
            "text": finding.text,
        }
        for finding in verdict.in_order[:BROKEN_ROWS_MAX]
    ]
