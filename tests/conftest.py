"""Fixtures of the whole suite: a database with today's partitions, a market, traders, and checked books."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import TransactionTestCase
from django_redis import get_redis_connection

from apps.instruments.selectors import instrument_id_of
from apps.orders.services.readings import readings_forget
from tests.support.backends import backend, timescale_server
from tests.support.books import books_problems
from tests.support.builders import Trader, market_open, trader_open
from tests.support.databases import DATABASES
from tests.support.event_schemas import events_problems
from tests.support.kafka import _topics_made, kafka, kafka_cluster, kafka_log
from tests.support.matching import Exchange

__all__ = ["_topics_made", "backend", "kafka", "kafka_cluster", "kafka_log", "timescale_server"]

KEPT_TABLES = {"django_migrations", "django_content_type", "auth_permission"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test that asks for ``database`` all databases, with real commits."""
    mark = pytest.mark.django_db(transaction=True, databases=DATABASES)
    for item in items:
        if "database" in getattr(item, "fixturenames", ()):
            item.add_marker(mark)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        call_command("partitions_ensure", verbosity=0)


def database_empty(alias: str) -> None:
    """Empty every table; as a replica, so that the append-only triggers do not refuse it."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        )
        names = [row[0] for row in cursor.fetchall() if row[0] not in KEPT_TABLES]
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("TRUNCATE " + ", ".join(f'"{name}"' for name in names) + " RESTART IDENTITY")
        cursor.execute("SET session_replication_role = origin")


_events = {"judged": True}
"""Whether the events of the test that runs are judged by the published schemas."""


@pytest.fixture(autouse=True)
def events_judged(request: pytest.FixtureRequest) -> None:
    """Judge what a test writes, unless it is about made-up events."""
    _events["judged"] = request.node.get_closest_marker("made_up_events") is None


def _fixture_teardown(self: TransactionTestCase) -> None:
    problems = events_problems() if _events["judged"] else []
    for alias in self._databases_names(include_mirrors=False):
        database_empty(alias)
    assert not problems, problems


TransactionTestCase._fixture_teardown = _fixture_teardown  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def redis_empty() -> None:
    """Begin every test with an empty Redis, knowing nothing of another's instruments and accounts."""
    instrument_id_of.cache_clear()
    readings_forget()
    get_redis_connection("default").flushall()


@pytest.fixture
def database(transactional_db: None) -> None:
    """A real, committed database: the only kind on which locks, holds and runners mean anything."""


@pytest.fixture
def market(database: None) -> Iterator[None]:
    """A market with rules and two listed shares; after the test the books must add up."""
    market_open({"AAPL": Decimal("100.00"), "MSFT": Decimal("50.00")})
    yield
    problems = books_problems()
    assert not problems, problems


@pytest.fixture
def trader(market: None) -> Callable[..., Trader]:
    """Open a trader: ``trader(cash="1000.00", shares={"AAPL": 10})``."""
    return trader_open


@pytest.fixture
def exchange(market: None) -> Iterator[Exchange]:
    """A runner on its own session with the C++ engine; ``exchange.run()`` takes what is queued."""
    with Exchange() as running:
        yield running
