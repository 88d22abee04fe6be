"""A session of somebody with the whole server; events that are sealed, and an export of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from apps.audit.services.export import export_make
from tests.audit.exported import wanted
from tests.support.chain import events_seal, events_write, session_open


@pytest.fixture
def session() -> "Iterator[psycopg.Connection[Any]]":
    with session_open() as opened:
        opened.autocommit = True
        yield opened


@pytest.fixture
def sealed(database: None) -> int:
    """Sixty events of five users, in blocks of seven."""
    events_write(60, users=5)
    return events_seal(batch_events_max=7)


@pytest.fixture
def made(sealed: int, tmp_path: Path) -> Path:
    """An export of them all."""
    return export_make(wanted(), tmp_path / "made").folder
