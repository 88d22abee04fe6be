"""Part of the log is verified as strictly as all of it: what was cut or made anew at its edges is seen."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from apps.audit.findings import What
from apps.audit.services.archiving import events_archive
from apps.audit.services.verification import audit_verify, stretch_of
from apps.audit.skeleton import Stretch
from apps.primitives.clock import utc_now
from apps.primitives.errors import Refused
from apps.primitives.ids import id_floor
from tests.audit.test_archive import OLD, TODAY, days
from tests.support.chain import anchored, events_seal, events_write
from tests.support.tampering import Tamperer, chain_remake, tail_cut, unguarded

__all__ = ["days"]

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]


@pytest.fixture
def log(session: "psycopg.Connection[Any]", tmp_path: Path) -> Tamperer:
    """Forty-two events in six blocks, of which the last two are anchored."""
    for block_no in range(1, 7):
        events_write(7, users=5)
        events_seal(batch_events_max=7)
        if block_no >= 5:
            anchored(tmp_path / "anchors")
    return Tamperer(session, random.Random(7))


def stretch(log: Tamperer, *block_nos: int) -> Stretch:
    """Return the stretch of the ids of some blocks."""
    ids = [event_id for block_no in block_nos for event_id in log.blocks[block_no][1]]
    return Stretch(min(ids), max(ids))


def blocks_remove(log: Tamperer, *block_nos: int) -> None:
    ids = [event_id for block_no in block_nos for event_id in log.blocks[block_no][1]]
    with unguarded(log.session):
        log.session.execute("DELETE FROM events WHERE id = ANY(%s)", (ids,))
        log.session.execute("DELETE FROM event_blocks WHERE block_no = ANY(%s)", (list(block_nos),))


@pytest.mark.parametrize("part", [(1,), (3, 4), (1, 2, 3, 4, 5), (6,)])
def test_a_part_of_an_untouched_log_is_whole(log: Tamperer, part: tuple[int, ...], tmp_path: Path) -> None:
    verdict = audit_verify(stretch(log, *part), tmp_path / "anchors")
    assert verdict.is_whole, verdict.in_order
    assert (verdict.outcome.blocks, verdict.anchored.matched) == (len(part), 1 + (part[0] < 5 <= part[-1]))


@pytest.mark.parametrize("gone", [(3, 4), (3,), (4,)])
def test_blocks_that_went_with_their_events_are_missed(log: Tamperer, gone: tuple[int, ...]) -> None:
    part = stretch(log, 3, 4)
    blocks_remove(log, *gone)
    verdict = audit_verify(part)
    assert verdict.findings.counts == {What.BLOCK_MISSING: 1}
    first = verdict.first
    assert first is not None and first.block_no == gone[0]


def test_the_first_blocks_of_all_are_missed(log: Tamperer) -> None:
    part = stretch(log, 1, 2)
    blocks_remove(log, 1, 2)
    assert audit_verify(part).findings.counts == {What.BLOCK_MISSING: 1}


def test_a_day_before_the_log_began_and_one_that_will_come_are_whole(log: Tamperer) -> None:
    for day in (date(2021, 1, 1), utc_now().date() + timedelta(days=30)):
        verdict = audit_verify(stretch_of(day, day))
        assert verdict.is_whole and verdict.outcome.blocks == 0, verdict.in_order


def test_a_last_block_made_anew_does_not_fit_the_next(log: Tamperer) -> None:
    part = stretch(log, 3, 4)
    kept = log.session.execute("SELECT * FROM event_blocks WHERE block_no > 4 ORDER BY 1").fetchall()
    chain_remake(log.session, 4)
    with unguarded(log.session):
        log.session.execute("DELETE FROM event_blocks WHERE block_no > 4")
        for row in kept:
            log.session.execute(f"INSERT INTO event_blocks VALUES ({', '.join(['%s'] * len(row))})", row)
    verdict = audit_verify(part)
    assert verdict.findings.counts == {What.BLOCK_ALTERED: 1}
    assert "does not follow from block 4" in str(verdict.first)


def test_a_block_behind_the_edge_is_believed_only_when_it_is_whole(log: Tamperer) -> None:
    with unguarded(log.session):
        log.block_change(5, "leaves")
    assert [(f.what, f.block_no) for f in audit_verify(stretch(log, 3, 4)).in_order] == [
        (What.BLOCK_ALTERED, 5)
    ]


def test_the_next_anchor_after_a_part_vouches_for_it(log: Tamperer, tmp_path: Path) -> None:
    part = stretch(log, 3, 4)
    chain_remake(log.session, 4)
    assert audit_verify(part).is_whole, "inside the database nothing shows it"
    assert audit_verify(part, tmp_path / "anchors").findings.counts == {What.ANCHOR_DIFFERS: 1}


@pytest.mark.parametrize("block_no", [0, 3])
def test_a_cut_tail_is_seen_from_a_day_on_and_at_its_day(
    log: Tamperer, tmp_path: Path, block_no: int
) -> None:
    tail_cut(log.session, block_no, with_blocks=True)
    today = utc_now().date()
    # Of a part with an end only the next anchor is read, here that of the last block but one.
    for first, last, anchored_events in ((2, None, 42), (1, today, 35)):
        part = stretch_of(today - timedelta(days=first), last)
        verdict = audit_verify(part, tmp_path / "anchors")
        assert verdict.findings.counts == {What.TAIL_CUT: 1}
        assert f"at least {anchored_events - 7 * block_no} events" in str(verdict.first)


def test_a_cut_that_took_everything_of_the_stretch_is_seen(log: Tamperer, tmp_path: Path) -> None:
    later = Stretch(stretch(log, 4).low)
    tail_cut(log.session, 3, with_blocks=True)
    verdict = audit_verify(later, tmp_path / "anchors")
    assert verdict.findings.counts == {What.TAIL_CUT: 1}
    assert "blocks after block 3 were anchored up to block 6" in str(verdict.first)


def test_a_day_whose_last_blocks_are_gone_is_not_archived(
    days: Path, session: "psycopg.Connection[Any]"
) -> None:
    log = Tamperer(session, random.Random(7))
    high = id_floor(datetime(OLD.year, OLD.month, OLD.day, tzinfo=UTC) + timedelta(days=1))
    gone = [block_no for block_no, (_, ids) in log.blocks.items() if max(ids) < high]
    assert gone and len(gone) < len(log.blocks)
    blocks_remove(log, *gone)
    with pytest.raises(Refused, match="not what was sealed. First: block missing"):
        list(events_archive(date(2026, 2, 1), TODAY))
