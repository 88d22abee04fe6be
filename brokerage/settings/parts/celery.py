"""Celery: the broker is a doorbell, never the truth; beat runs in UTC, market times are the calendar's."""

from typing import Any

from celery.schedules import crontab

from brokerage.env import Environment


def celery_settings(env: Environment) -> dict[str, Any]:
    """Return Celery's settings and the beat table."""
    return {
        "MATCHING_PARTITIONS": [0],
        "CELERY_BROKER_URL": env.redis_url,
        "CELERY_RESULT_BACKEND": None,
        "CELERY_TASK_IGNORE_RESULT": True,
        "CELERY_TASK_DEFAULT_QUEUE": "default",
        "CELERY_TIMEZONE": "UTC",
        "CELERY_TASK_TIME_LIMIT": 3600,
        "CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP": True,
        "CELERY_WORKER_HIJACK_ROOT_LOGGER": False,
        "CELERY_BEAT_SCHEDULE_FILENAME": str(env.var / "beat" / "schedule"),
        "CELERY_BEAT_SCHEDULE": {
            "partitions-upkeep": {
                "task": "operations.partitions_upkeep",
                "schedule": crontab(minute=17),
            },
            "settlement-run": {
                "task": "operations.settlement_run",
                "schedule": crontab(minute="*/5"),
            },
            "session-upkeep": {
                "task": "operations.session_upkeep",
                "schedule": 15.0,
            },
            "bands-upkeep": {
                "task": "operations.bands_upkeep",
                "schedule": 5.0,
            },
            "reconcile-round": {
                "task": "operations.reconcile_round",
                "schedule": 60.0,
                "options": {"expires": 50},
            },
            "reconcile-night": {
                "task": "operations.reconcile_night",
                "schedule": crontab(hour=7, minute=10),
            },
            "audit-night": {
                "task": "audit.verify_night",
                "schedule": crontab(hour=3, minute=40),
            },
            "orders-view-renew": {
                "task": "operations.orders_view_renew",
                "schedule": crontab(hour="*/8", minute=40),
            },
        },
    }
