"""What is looked at before the market-data tables are migrated, which is at every start of the platform."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error

from apps.marketdata.backends import ALIAS, OWNER_ALIAS, backend_problem


def backend_check(
    app_configs: Any = None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Return an error when market data cannot be kept in the back end that is set."""
    if not {ALIAS, OWNER_ALIAS} & set(databases or ()):
        return []
    problem = backend_problem()
    return [Error(problem, id="marketdata.E001")] if problem else []
