"""Events that are sealed, and an export of them."""

from pathlib import Path

import pytest

from apps.audit.services.export import export_make
from tests.audit.exported import wanted
from tests.support.chain import events_seal, events_write


@pytest.fixture
def sealed(database: None) -> int:
    """Sixty events of five users, in blocks of seven."""
    events_write(60, users=5)
    return events_seal(batch_events_max=7)


@pytest.fixture
def made(sealed: int, tmp_path: Path) -> Path:
    """An export of them all."""
    return export_make(wanted(), tmp_path / "made").folder
