"""Who is handed to whom: the one table of what the storeys do not know of one another."""

from typing import Any


def runner_step() -> type[Any]:
    """Return the Celery bootstep that hosts the matching runners."""
    from apps.trades.worker import RunnerStep

    return RunnerStep
