"""The nightly verification: the last days and their anchors, with what was found kept where checks are."""

import time
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.db import DatabaseError

from apps.audit.services.verification import Verdict, audit_verify, stretch_of
from apps.events.models import EventBlock
from apps.operations.models import CheckScope
from apps.operations.services.reconcile import BROKEN_ROWS_MAX, Result
from apps.operations.services.reconcile_rounds import result_keep
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError

NAME = "I11.chain"
TITLE = "the events of the last days are what was sealed, and the chain is what was anchored"
DAYS = 2
YOUNG = timedelta(minutes=1)
"""What is younger need not be anchored yet: anchors leave every five seconds."""


def audit_night(today: date) -> Result:
    """Verify the last whole days and today as far as it goes; the result is kept, told when it changes.

    Anchors that are not there are a failure: without them a chain proves only that it agrees with itself.
    """
    started, now = time.monotonic(), utc_now()
    stretch = stretch_of(today - timedelta(days=DAYS), None)
    broken: list[dict[str, Any]] = []
    failure = ""
    try:
        due_no = _newest_no(now - YOUNG)
        verdict = audit_verify(stretch, settings.AUDIT_ANCHOR_DIR)
        broken = _rows(verdict)
        failure = "" if broken else _unanchored(verdict, due_no)
    except BrokerageError as error:
        failure = error.message
    except (psycopg.Error, DatabaseError, OSError) as error:
        failure = f"The audit log could not be verified: {error}"
    duration_ms = round((time.monotonic() - started) * 1000)
    result = Result(NAME, TITLE, duration_ms, broken, failure)
    result_keep(CheckScope.FULL, result, stretch.low, now)
    return result


def _newest_no(sealed_before: datetime) -> int:
    blocks = EventBlock.objects.filter(sealed_at__lt=sealed_before).order_by("-block_no")
    return blocks.values_list("block_no", flat=True).first() or 0


def _unanchored(verdict: Verdict, due_no: int) -> str:
    """Return what was sealed and is not anchored, though it would be if nobody had taken its anchors away."""
    anchored = verdict.anchored
    if anchored.newest_no < due_no:
        return (
            f"No anchor vouches for block {due_no}: the last in {settings.AUDIT_ANCHOR_DIR} is of block "
            f"{anchored.newest_no}. Look for its copy, and into the log of the relay."
        )
    if anchored.gaps:
        first, last = anchored.gaps[0]
        since, until = first.sealed_at, last.sealed_at
        return (
            f"Blocks {first.block_no} to {last.block_no - 1}, sealed from {since:%Y-%m-%d %H:%M:%S}Z to "
            f"{until:%Y-%m-%d %H:%M:%S}Z, have no anchor in {settings.AUDIT_ANCHOR_DIR}. Look for its copy."
        )
    return ""


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
