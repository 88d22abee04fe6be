"""Logs: one line a fact, to standard error; the supervisor keeps each process's file."""

from typing import Any

from brokerage.env import Environment


def log_settings(env: Environment) -> dict[str, Any]:
    """Return the logging tree."""
    return {
        "LOGGING": {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": "INFO"},
            "loggers": {
                "django.request": {"level": "ERROR"},
                # While no broker answers the client says so many times a second; the relay says it once.
                "kafka": {"level": "CRITICAL"},
                # Beat's upkeep comes every few seconds: its failures are news, its successes are not.
                "celery.beat": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
            },
        },
    }
