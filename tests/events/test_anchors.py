"""Anchors: each is on the disk before the next, none is written over a chain that is another one."""

from datetime import timedelta
from pathlib import Path

import pytest

from apps.events.anchors import (
    Anchor,
    AnchorDisagrees,
    AnchorFiles,
    anchor_newest,
    anchor_read,
    anchors_list,
    anchors_restart,
    anchors_run,
)
from apps.events.models import EventBlock
from apps.primitives.failpoints import FailpointHit, failpoints_arm
from tests.support.chain import events_seal, events_write, session_open
from tests.support.tampering import tail_cut

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]


def newest(events: int = 3) -> Anchor:
    """Seal some events and return the anchor of the chain's tip."""
    events_write(events, users=4)
    events_seal()
    anchor = anchor_newest()
    assert anchor is not None
    return anchor


def blocks_in(folder: Path) -> list[int]:
    return [anchor.block_no for _, anchor in anchors_list(folder) if isinstance(anchor, Anchor)]


def test_before_the_first_block_there_is_nothing_to_anchor() -> None:
    assert anchor_newest() is None


def test_an_anchor_says_where_the_chain_stood(tmp_path: Path) -> None:
    files = AnchorFiles(tmp_path)
    for _ in range(3):
        anchor = newest()
        files(anchor)
        files(anchor)
    assert blocks_in(tmp_path) == [1, 2, 3]
    block = EventBlock.objects.get(block_no=3)
    read = anchor_read(anchor.value())
    assert read == anchor
    assert (read.hash, read.events, read.event_id) == (bytes(block.hash), 9, block.last_event_id)
    assert len(read.heads or {}) == 3


def test_heads_are_told_with_the_first_line_of_a_file_and_seldom_after(tmp_path: Path) -> None:
    files = AnchorFiles(tmp_path)
    for _ in range(3):
        files(newest())
    told = [anchor.heads is not None for _, anchor in anchors_list(tmp_path) if isinstance(anchor, Anchor)]
    assert told == [True, False, False]


def test_each_day_has_its_file(tmp_path: Path) -> None:
    from dataclasses import replace

    files = AnchorFiles(tmp_path)
    today = newest()
    files(replace(today, sealed_at=today.sealed_at - timedelta(days=1)))
    second = newest()
    files(second)
    assert len(list(tmp_path.iterdir())) == 2
    assert blocks_in(tmp_path) == [1, 2]


def test_a_line_that_a_crash_cut_off_counts_as_never_written(tmp_path: Path) -> None:
    files = AnchorFiles(tmp_path)
    files(newest())
    second = newest()
    failpoints_arm("anchor.mid_write=raise")
    try:
        with pytest.raises(FailpointHit):
            files(second)
    finally:
        failpoints_arm("")
    assert blocks_in(tmp_path) == [1]
    AnchorFiles(tmp_path)(second)
    assert blocks_in(tmp_path) == [1, 2]
    assert all(isinstance(anchor, Anchor) for _, anchor in anchors_list(tmp_path))


@pytest.mark.parametrize("how", ["cut", "altered"])
def test_nothing_is_written_over_a_chain_that_is_another_one(tmp_path: Path, how: str) -> None:
    files = AnchorFiles(tmp_path)
    for _ in range(3):
        files(newest())
    with session_open() as session:
        session.autocommit = True
        if how == "cut":
            tail_cut(session, 1, with_blocks=True)
        else:
            session.execute("SET session_replication_role = replica")
            session.execute("UPDATE event_blocks SET hash = sha256('x') WHERE block_no = 3")
    after = newest() if how == "altered" else anchor_newest()
    assert after is not None
    with pytest.raises(AnchorDisagrees, match="audit_verify"):
        AnchorFiles(tmp_path)(after)
    assert blocks_in(tmp_path) == [1, 2, 3]


def test_after_a_restore_the_anchors_begin_a_new_start(tmp_path: Path) -> None:
    from apps.audit.services.verification import audit_verify

    files = AnchorFiles(tmp_path)
    for _ in range(3):
        files(newest())
    with session_open() as session:
        session.autocommit = True
        tail_cut(session, 1, with_blocks=True)
    assert anchors_restart(tmp_path) and not anchors_restart(tmp_path)
    AnchorFiles(tmp_path)(newest())
    assert blocks_in(tmp_path) == [1, 2, 3, 1, 2]
    verdict = audit_verify(anchor_folder=tmp_path, accepted=[1])
    assert verdict.is_whole, verdict.in_order
    assert (verdict.anchored.matched, verdict.anchored.voided) == (2, 3)


def test_a_place_that_is_away_is_said_once_stops_nothing_and_is_told_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newest()
    away = tmp_path / "file"
    away.write_text("")
    turns = iter(range(4))

    def wait(_: float) -> None:
        if away.is_file() and next(again, None) is None:
            away.unlink()

    again = iter(range(2))
    anchors_run(AnchorFiles(away), wait, lambda: next(turns, None) is None)
    said = [(record.levelname, record.message.partition(":")[0]) for record in caplog.records]
    assert said == [("WARNING", "the anchor is not told yet"), ("WARNING", "the chain is anchored again")]
    assert blocks_in(away) == [1]


def test_a_chain_that_is_another_one_is_an_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = AnchorFiles(tmp_path)
    for _ in range(2):
        files(newest())
    with session_open() as session:
        session.autocommit = True
        tail_cut(session, 1, with_blocks=True)
    turns = iter(range(3))
    anchors_run(files, lambda _: None, lambda: next(turns, None) is None)
    assert [(record.levelname, "not anchored" in record.message) for record in caplog.records] == [
        ("ERROR", True)
    ]


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"5", b'{"event_type": "ORDER_PLACED", "user_id": 0}'])
def test_what_is_no_anchor_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        anchor_read(line)
