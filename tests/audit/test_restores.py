"""A chain that was set back is told for ever, unless an operator answers for that very restore."""

from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from apps.audit.findings import What
from apps.audit.services.verification import audit_verify
from apps.events.anchors import AnchorFiles, anchor_newest, anchors_restart
from tests.support.chain import anchored, events_seal, events_write
from tests.support.tampering import tail_cut

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]


@pytest.fixture
def anchors(settings: Any, tmp_path: Path) -> Path:
    """Six blocks of seven events, each anchored."""
    settings.AUDIT_ANCHOR_DIR = tmp_path / "anchors"
    for _ in range(6):
        sealed(settings.AUDIT_ANCHOR_DIR)
    return settings.AUDIT_ANCHOR_DIR


def sealed(folder: Path) -> None:
    events_write(7, users=5)
    events_seal(batch_events_max=7)
    anchored(folder)


def verify(*arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it said."""
    told = StringIO()
    try:
        call_command("audit_verify", "--processes", "1", *arguments, stdout=told)
    except SystemExit as ended:
        return int(ended.code or 0), told.getvalue()
    except CommandError as refused:
        return refused.returncode, f"{told.getvalue()}{refused}"
    return 0, told.getvalue()


def test_a_new_start_does_not_wash_a_cut_tail_white(
    anchors: Path, session: "psycopg.Connection[Any]"
) -> None:
    tail_cut(session, 3, with_blocks=True)
    assert anchors_restart(anchors)
    sealed(anchors)
    verdict = audit_verify(anchor_folder=anchors)
    assert verdict.findings.counts == {What.SET_BACK: 1}
    assert verdict.first is not None and verdict.first.block_no == 3
    assert "had been told up to block 6: at least 21 events" in verdict.first.text


def test_who_answers_for_a_restore_names_its_block(anchors: Path, session: "psycopg.Connection[Any]") -> None:
    tail_cut(session, 3, with_blocks=True)
    anchors_restart(anchors)
    code, told = verify()
    assert code == 1 and "set back: block 3" in told
    assert verify("--accept-restore", "4")[0] == 1
    code, told = verify("--accept-restore", "3")
    assert code == 0 and "Accepted as a restore: block 3" in told and "21 events" in told


def test_one_restore_that_is_answered_for_covers_no_second_one(
    anchors: Path, session: "psycopg.Connection[Any]"
) -> None:
    for _ in range(2):
        tail_cut(session, 3, with_blocks=True)
        assert anchors_restart(anchors)
        sealed(anchors)
    assert verify("--accept-restore", "3")[0] == 1
    assert verify("--accept-restore", "3", "--accept-restore", "3")[0] == 0


def test_a_new_start_that_loses_nothing_is_no_finding(anchors: Path) -> None:
    from dataclasses import replace

    newest = anchor_newest()
    assert newest is not None
    AnchorFiles(anchors)(replace(newest, is_new_start=True))
    assert verify()[0] == 0


def test_accepting_hides_no_other_finding(anchors: Path, session: "psycopg.Connection[Any]") -> None:
    tail_cut(session, 3, with_blocks=True)
    anchors_restart(anchors)
    sealed(anchors)
    tail_cut(session, 3, with_blocks=True)
    code, told = verify("--accept-restore", "3")
    assert code == 1 and "tail cut" in told


def test_a_time_of_which_nothing_is_sealed_is_not_called_whole(anchors: Path) -> None:
    code, told = verify("--day", "2021-01-01")
    assert code == 2 and "nothing to verify" in told and "Nothing is wrong" not in told
    for bad in (["--day", "2999-01-01"], ["--from", "2999-01-01"], ["--accept-restore", "x"]):
        code, told = verify(*bad)
        assert code in (1, 2) and "Nothing is wrong" not in told
    assert "has not begun" in verify("--day", "2999-01-01")[1]
