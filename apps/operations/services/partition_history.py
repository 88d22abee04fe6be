"""Days of the past for ticks that are imported: upkeep makes days ahead, and an import goes back years."""

from collections.abc import Iterable
from datetime import date
from functools import partial

from django.db import connections
from psycopg import errors

from apps.operations.services.partition_rehoming import day_rehome
from apps.operations.services.partitions import Home, day_covered, day_ensure, homes, lock_retry

TICKS = "market_data_ticks"


def market_days_ensure(days: Iterable[date]) -> list[str]:
    """Make the partitions of ticks of these UTC days that are missing; returns their names.

    Rows of such a day that lie in the DEFAULT partition move along. Nothing happens on TimescaleDB, which
    cuts its tables itself.
    """
    made = []
    for home in homes():
        if home.table.name == TICKS:
            made += [_day_make(home, day) for day in _missing(home, sorted(set(days)))]
    return made


def _missing(home: Home, days: list[date]) -> list[date]:
    with connections[home.alias].cursor() as cursor:
        return [day for day in days if not day_covered(cursor, home.table, day)]


def _day_make(home: Home, day: date) -> str:
    try:
        lock_retry(partial(day_ensure, home, day))
    except Exception as error:
        if not isinstance(error.__cause__, errors.CheckViolation):
            raise
        lock_retry(partial(day_rehome, home, day))
    return f"{TICKS}_{day:%Y_%m_%d}"
