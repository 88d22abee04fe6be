"""Celery's door to the audit trail."""

from celery import shared_task

from apps.audit.services.nightly import audit_night
from apps.primitives.clock import utc_now


@shared_task(name="audit.verify_night")
def verify_night_task() -> None:
    """Verify the last days of the audit log and the anchors of them."""
    audit_night(utc_now().date())
