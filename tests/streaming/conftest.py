"""Real servers, started once for all tests of the sockets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Api, ada, caller, grace
from tests.streaming.edges import Edges

__all__ = ["Api", "ada", "caller", "grace"]


@pytest.fixture(scope="package")
def servers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edges]:
    folder: Path = tmp_path_factory.mktemp("edges")
    with Edges(folder) as running:
        yield running


@pytest.fixture
def edges(servers: Edges, market: Any) -> Edges:
    """The servers, beside a fresh market."""
    return servers
