"""Which of the two back ends holds market data: plain PostgreSQL or TimescaleDB, and whether it can."""

from enum import StrEnum
from functools import cache
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections

from apps.marketdata.models import PARTITIONED
from apps.primitives.partitions import PartitionedTable

ALIAS = "marketdata"
OWNER_ALIAS = "marketdata_owner"
EXTENSION = "timescaledb"
VERSION_LEAST = (2, 28)
"""The first release in which every refresh says how many buckets one of its transactions takes."""

LICENSE_NEEDED = "timescale"
SETTING = "MARKETDATA_BACKEND"


class Backend(StrEnum):
    """Where ticks and candles are kept."""

    PLAIN = "plain"
    TIMESCALE = "timescale"


def backend_current() -> Backend:
    """Return the back end that the tables were made for; asked of the database once a process.

    Raises ``DatabaseError`` when the database does not answer.
    """
    return _backend_at(*_place())


def backend_forget() -> None:
    """Ask the database again next time: the tables were made for another back end."""
    _backend_at.cache_clear()


def _place() -> tuple[Any, ...]:
    where = connections[ALIAS].settings_dict
    return where["HOST"], where["PORT"], where["NAME"]


@cache
def _backend_at(*place: Any) -> Backend:
    with connections[ALIAS].cursor() as cursor:
        return backend_found(cursor)


def tables_by_day() -> list[PartitionedTable]:
    """Return the tables that our own upkeep cuts by day: TimescaleDB looks after its own.

    All of them where the database does not answer: upkeep of the other database goes on until it is asked.
    """
    try:
        own = backend_current() is Backend.PLAIN
    except DatabaseError:
        own = True
    return [table for table in PARTITIONED if own or table.name != "market_data_ticks"]


def backend_found(cursor: Any) -> Backend:
    """Return the back end whose tables this session sees; plain where there are none yet."""
    cursor.execute("SELECT to_regclass('timescaledb_information.hypertables') IS NOT NULL")
    if not cursor.fetchone()[0]:
        return Backend.PLAIN
    cursor.execute(
        "SELECT count(*) FROM timescaledb_information.hypertables "
        "WHERE hypertable_schema = current_schema() AND hypertable_name = 'market_data_ticks'"
    )
    return Backend.TIMESCALE if cursor.fetchone()[0] else Backend.PLAIN


def extension_problem(cursor: Any) -> str | None:
    """Return what keeps TimescaleDB from being used here, as the end of a sentence; None for nothing."""
    # A setting of a library that is not there has no row in pg_settings, whatever the server's file says.
    cursor.execute(
        "SELECT coalesce(installed_version, default_version), "
        "EXISTS (SELECT FROM pg_settings WHERE name = 'timescaledb.max_background_workers'), "
        "current_setting('timescaledb.license', true) "
        "FROM pg_available_extensions WHERE name = %s",
        (EXTENSION,),
    )
    found = cursor.fetchone()
    if found is None:
        return "the server does not have the extension timescaledb: install it, or set plain."
    version, is_loaded, license_name = found
    if not is_loaded:
        return "the server was started without it: add timescaledb to shared_preload_libraries."
    if version_of(version) < VERSION_LEAST:
        least = ".".join(map(str, VERSION_LEAST))
        return f"the server has TimescaleDB {version}: {least} is the least, update the extension."
    if license_name not in (None, LICENSE_NEEDED):
        return (
            f"timescaledb.license is {license_name!r}, and that edition lacks compression and "
            f"continuous aggregates: set timescaledb.license = '{LICENSE_NEEDED}', with the whole edition."
        )
    return None


def version_of(text: str) -> tuple[int, int]:
    """Return the first two numbers of a version such as ``2.29.2`` or ``2.30.0-dev``."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def backend_problem() -> str | None:
    """Return in a sentence why market data cannot be kept as it is set, None when it can.

    A database that does not answer, or that has no tables yet, is for others to tell.
    """
    try:
        with connections[ALIAS].cursor() as cursor:
            return _problem_of(cursor)
    except DatabaseError:
        return None


def _problem_of(cursor: Any) -> str | None:
    found, wanted = backend_found(cursor), settings.MARKETDATA_BACKEND
    if found is Backend.TIMESCALE and wanted == Backend.PLAIN:
        return f"{SETTING} is plain, but the tables are TimescaleDB's: set timescale or auto."
    problem = extension_problem(cursor) if Backend.TIMESCALE in (found, wanted) else None
    if problem:
        return f"Market data is to be kept in TimescaleDB, but {problem}"
    cursor.execute("SELECT to_regclass('market_data_ticks') IS NOT NULL")
    if wanted == Backend.TIMESCALE and found is Backend.PLAIN and cursor.fetchone()[0]:
        return f"{SETTING} is timescale, but the tables are plain: run manage.py marketdata_convert."
    return None
