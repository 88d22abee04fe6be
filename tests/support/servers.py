"""The suite's own PostgreSQL and Valkey, started before Django reads its settings.

One PostgreSQL serves all test processes, each with a database of its own; every process has its own
Valkey, since publish/subscribe knows no databases.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from brokerage.supervisor.postgres import TEST_SETTINGS as POSTGRES_SETTINGS
from brokerage.supervisor.postgres import EmbeddedPostgres
from brokerage.supervisor.valkey import TEST_SETTINGS as VALKEY_SETTINGS
from brokerage.supervisor.valkey import EmbeddedValkey


def _folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="openbell-tests-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _postgres_start(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", settings=POSTGRES_SETTINGS)
    server.start()
    atexit.register(server.stop)
    os.environ["DATABASE_URL"] = server.url("super", "openbell")
    os.environ["MARKETDATA_URL"] = server.url("super", "openbell_marketdata")
    for role in ("owner", "web", "worker", "runner"):
        os.environ[f"OPENBELL_TEST_{role.upper()}_URL"] = server.url(role, "openbell")


def _valkey_start(folder: Path) -> None:
    server = EmbeddedValkey(folder / "valkey", settings=VALKEY_SETTINGS)
    server.start()
    atexit.register(server.stop)
    os.environ["REDIS_URL"] = server.url(0)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    folder = _folder()
    os.environ["OPENBELL_VAR"] = str(folder / "var")
    (folder / "var").mkdir()
    # The browser's driver keeps an event loop in the main thread; the tests are synchronous all the same.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        (folder / "hits").mkdir()
        os.environ["OPENBELL_FAILPOINT_HITS"] = str(folder / "hits")
        _postgres_start(folder)
    _valkey_start(folder)
