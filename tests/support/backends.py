"""Market data on both back ends: the suite's own PostgreSQL, and TimescaleDB where a server is named."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from apps.marketdata.backends import Backend
from brokerage.settings.parts.databases import database_from_url
from brokerage.supervisor.postgres import TEST_SETTINGS, EmbeddedPostgres

TIMESCALE_BIN = os.environ.get("OPENBELL_TEST_TIMESCALE_BIN", "")
"""The folder of a PostgreSQL server's programs that has TimescaleDB installed."""

TIMESCALE_ABSENT = (
    "OPENBELL_TEST_TIMESCALE_BIN names no PostgreSQL with TimescaleDB: this back end was not tried"
)

# No job of the extension's own runs beside a test: those that matter are called by name.
TIMESCALE_SETTINGS = {
    **TEST_SETTINGS,
    "timescaledb.max_background_workers": "0",
    "timescaledb.telemetry_level": "off",
}
ALIASES = ("marketdata", "marketdata_owner")
TEMPLATE = "openbell_marketdata"


class TimescaleServer:
    """A server with TimescaleDB, whose empty database was migrated once; each test gets a copy."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="openbell-timescale-"))
        self.folder.chmod(0o755)
        self._numbers = count(1)
        self.postgres = EmbeddedPostgres(
            self.folder / "postgres",
            settings={**TIMESCALE_SETTINGS, **settings},
            bindir=Path(TIMESCALE_BIN),
        )
        self.postgres.start()

    def stop(self) -> None:
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        return psycopg.connect(self.postgres.url("super", database), autocommit=True)

    @contextmanager
    def copied(self, template: str = TEMPLATE) -> Iterator[str]:
        """Make a copy of a database for a while; yields its name."""
        name = f"copy_{next(self._numbers)}"
        with self.connect() as connection:
            making = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER openbell_owner")
            connection.execute(making.format(sql.Identifier(name), sql.Identifier(template)))
            connection.execute(
                sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO openbell_app").format(
                    sql.Identifier(name)
                )
            )
        try:
            yield name
        finally:
            with self.connect() as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def pointed(self, database: str, role: str = "owner") -> Iterator[None]:
        """Let Django find market data in a database of this server; upkeep comes as the owner."""
        urls = {"marketdata": role, "marketdata_owner": "owner"}
        with pointed({alias: self.postgres.url(urls[alias], database) for alias in ALIASES}):
            yield


@contextmanager
def pointed(urls: dict[str, str]) -> Iterator[None]:
    """Let Django's aliases name other databases for a while, in every thread."""
    former = {}
    for alias, url in urls.items():
        place = database_from_url(url)
        here = connections[alias].settings_dict
        former[alias] = {name: here[name] for name in ("HOST", "PORT", "USER", "PASSWORD", "NAME")}
        connections[alias].close()
        here.update({name: place[name] for name in former[alias]})
    try:
        yield
    finally:
        for alias, place in former.items():
            connections[alias].close()
            connections[alias].settings_dict.update(place)


def timescale_required() -> None:
    """Skip the test, with the reason, where there is no TimescaleDB to run it on."""
    if not TIMESCALE_BIN:
        pytest.skip(TIMESCALE_ABSENT)


@pytest.fixture(scope="session")
def timescale_server(django_db_setup: None, django_db_blocker: Any) -> Iterator[TimescaleServer]:
    """Start the server that ``OPENBELL_TEST_TIMESCALE_BIN`` names, once a test process."""
    timescale_required()
    server = TimescaleServer()
    try:
        with django_db_blocker.unblock(), server.pointed(TEMPLATE):
            call_command("migrate", database="marketdata", verbosity=0)
        yield server
    finally:
        server.stop()


@pytest.fixture(params=list(Backend))
def backend(database: None, request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Run the test on each back end, with empty tables."""
    if request.param is Backend.PLAIN:
        yield Backend.PLAIN
        return
    timescale_required()
    server = request.getfixturevalue("timescale_server")
    with server.copied() as name, server.pointed(name):
        yield Backend.TIMESCALE
