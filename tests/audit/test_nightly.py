"""The nightly check: what it finds is kept, and anchors that are not there are no good night."""

import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from apps.audit.services import nightly
from apps.audit.services.nightly import audit_night
from apps.operations.models import CheckStatus, ReconcileResult
from apps.operations.services.reconcile import Result
from apps.primitives.clock import utc_now
from tests.support.chain import anchored, chain_relay, events_seal, events_write
from tests.support.tampering import Tamperer, tail_cut, unguarded

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]


@pytest.fixture
def anchors(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three blocks, each anchored; what was sealed just now is expected to be."""
    settings.AUDIT_ANCHOR_DIR = tmp_path / "anchors"
    monkeypatch.setattr(nightly, "YOUNG", timedelta(0))
    for _ in range(3):
        sealed()
        anchored(settings.AUDIT_ANCHOR_DIR)
    return settings.AUDIT_ANCHOR_DIR


def sealed() -> None:
    events_write(7, users=5)
    events_seal(batch_events_max=7)


def night() -> tuple[Result, str]:
    """Return what tonight's check found, and the status that is kept of it."""
    result = audit_night(utc_now().date())
    return result, ReconcileResult.objects.get(check_name=nightly.NAME).status


def test_a_whole_log_is_a_good_night(anchors: Path) -> None:
    result, status = night()
    assert result.is_whole and status == CheckStatus.OK, result


def test_a_log_that_has_not_begun_is_a_good_night(settings: Any, tmp_path: Path) -> None:
    settings.AUDIT_ANCHOR_DIR = tmp_path / "none"
    assert night()[1] == CheckStatus.OK


@pytest.mark.parametrize("block_no", [0, 2])
def test_a_cut_tail_is_broken(anchors: Path, session: "psycopg.Connection[Any]", block_no: int) -> None:
    tail_cut(session, block_no, with_blocks=True)
    result, status = night()
    assert [row["what"] for row in result.broken] == ["tail cut"] and status == CheckStatus.BROKEN


def test_a_changed_record_is_broken_whatever_became_of_the_anchors(
    anchors: Path, session: "psycopg.Connection[Any]"
) -> None:
    tamperer = Tamperer(session, random.Random(1))
    tamperer._events_choose()
    with unguarded(session):
        tamperer.change("data")
    shutil.rmtree(anchors)
    assert night()[1] == CheckStatus.BROKEN


@pytest.mark.parametrize("how", ["folder", "lines"])
def test_anchors_that_are_gone_are_a_failure(anchors: Path, how: str) -> None:
    if how == "folder":
        shutil.rmtree(anchors)
    else:
        (path,) = anchors.iterdir()
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    result, status = night()
    assert status == CheckStatus.FAILED and "No anchor vouches for block 3" in result.failure


def test_what_was_sealed_a_moment_ago_need_not_be_anchored(
    anchors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed()
    assert night()[1] == CheckStatus.FAILED
    monkeypatch.undo()
    assert night()[0].failure == ""


def test_anchors_that_begin_again_in_the_middle_are_a_failure(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder was deleted, and the relay made it anew: the newest blocks are anchored, older ones not."""
    settings.AUDIT_ANCHOR_DIR = tmp_path / "anchors"
    clock = iter(utc_now() - timedelta(seconds=200 - 4 * n) for n in range(40))
    relay = chain_relay(batch_events_max=1)
    monkeypatch.setattr(relay.sink, "now", lambda: next(clock))
    events_write(30)
    session_wait = datetime.now(UTC) + timedelta(seconds=20)
    count = 0
    while count < 30 and datetime.now(UTC) < session_wait:
        count += relay.step()
    anchored(settings.AUDIT_ANCHOR_DIR)
    result, status = night()
    assert status == CheckStatus.FAILED and "Blocks 1 to 29" in result.failure


def test_a_database_that_does_not_answer_is_a_failure(anchors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (psycopg.OperationalError("no server"), PermissionError("no anchors")):

        def fail(*args: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(nightly, "audit_verify", fail)
        result, status = night()
        assert status == CheckStatus.FAILED and str(error) in result.failure


def test_a_restore_is_broken_while_what_it_lost_is_of_these_days(
    anchors: Path, session: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.events.anchors import anchors_restart

    tail_cut(session, 2, with_blocks=True)
    assert anchors_restart(anchors)
    assert [row["what"] for row in night()[0].broken] == ["set back"]
    result = audit_night(utc_now().date() + timedelta(days=4))
    assert result.is_whole, result
