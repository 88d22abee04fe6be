"""Verifying finds every kind of tampering and names the record, and finds nothing where there is none."""

import random
from pathlib import Path
from typing import Any

import psycopg
import pytest

from apps.audit.findings import What
from apps.audit.services.verification import Verdict, audit_verify
from tests.support.chain import anchored, events_seal, events_write
from tests.support.tampering import (
    BLOCK_COLUMNS,
    COLUMNS,
    Act,
    Tamperer,
    chain_remake,
    tail_cut,
    unguarded,
)

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]


@pytest.fixture
def log(database: None, session: "psycopg.Connection[Any]") -> Tamperer:
    """Forty-two events of some users in six blocks, and one who alters them."""
    for _ in range(6):
        events_write(7, users=5)
        events_seal(batch_events_max=7)
    tamperer = Tamperer(session, random.Random(7))
    tamperer._events_choose()
    return tamperer


def found(act: Act, verdict: Verdict) -> bool:
    """Return whether everything that the act did is named, and nothing but it."""
    named = {(wanted.event_id, wanted.block_no) for wanted in act.wanted}
    about = {finding.event_id for finding in verdict.findings.kept} - {None}
    assert not about or about <= {event_id for event_id, _ in named}, verdict.in_order
    return all(wanted.is_met_by(verdict.findings.kept) for wanted in act.wanted)


def test_as_many_findings_are_kept_as_were_asked_for(
    database: None, session: "psycopg.Connection[Any]"
) -> None:
    events_write(1_100, users=5)
    events_seal(batch_events_max=1_100)
    with unguarded(session):
        session.execute("DELETE FROM events")
    for processes, kept_max, kept in ((1, 1_000, 1_000), (1, 2_000, 1_100), (2, 2_000, 1_100)):
        findings = audit_verify(processes=processes, kept_max=kept_max).findings
        assert (findings.counts[What.DELETED], len(findings.kept)) == (1_100, kept)


def test_an_untouched_log_is_whole(log: Tamperer) -> None:
    events_write(3)
    for processes in (1, 2):
        verdict = audit_verify(processes=processes)
        assert verdict.is_whole, verdict.in_order
        assert (verdict.outcome.events, verdict.outcome.blocks, verdict.outcome.unsealed) == (42, 6, 3)


def test_a_log_without_a_single_event_is_whole() -> None:
    verdict = audit_verify()
    assert verdict.is_whole and verdict.outcome.events == 0


@pytest.mark.parametrize("column", COLUMNS)
def test_a_change_of_any_column_names_its_record(log: Tamperer, column: str) -> None:
    with unguarded(log.session):
        act = log.change(column)
    verdict = audit_verify()
    assert found(act, verdict) and sum(verdict.findings.counts.values()) == 1


@pytest.mark.parametrize(
    "kind",
    ["delete", "insert", "insert_twin", "insert_future", "swap", "swap_places", "rename"],
)
def test_records_that_go_come_or_change_places_are_named(log: Tamperer, kind: str) -> None:
    with unguarded(log.session):
        act = getattr(log, kind)()
    verdict = audit_verify()
    assert found(act, verdict) and sum(verdict.findings.counts.values()) == len(act.wanted)


def test_a_record_inserted_long_before_the_first_is_named(log: Tamperer) -> None:
    for event_id in (5, 2**63 - 1, -3):
        log.session.execute(
            "INSERT INTO events (id, topic, event_type, user_id, data, metadata, xact_id) "
            "VALUES (%s, 'risk-events', 'X', 1, '{}', '{}', '7')",
            (event_id,),
        )
    verdict = audit_verify()
    assert {finding.event_id for finding in verdict.findings.kept} == {5, 2**63 - 1, -3}
    assert verdict.findings.counts == {What.INSERTED: 3}


@pytest.mark.parametrize("column", BLOCK_COLUMNS)
def test_a_change_of_a_block_names_the_block(log: Tamperer, column: str) -> None:
    with unguarded(log.session):
        act = log.block_change(3, column)
    verdict = audit_verify()
    assert all(wanted.is_met_by(verdict.findings.kept) for wanted in act.wanted)
    assert {f.block_no for f in verdict.findings.kept if f.what == What.BLOCK_ALTERED} <= {3, 4}


def test_a_deleted_block_is_named(log: Tamperer) -> None:
    with unguarded(log.session):
        log.session.execute("DELETE FROM event_blocks WHERE block_no = 3")
    verdict = audit_verify()
    assert verdict.findings.counts == {What.BLOCK_MISSING: 1, What.INSERTED: 7}
    assert [f.block_no for f in verdict.findings.kept if f.what == What.BLOCK_MISSING] == [3]


def test_a_tail_cut_without_its_blocks_names_each_record(log: Tamperer) -> None:
    act = tail_cut(log.session, 4, with_blocks=False)
    assert found(act, audit_verify()) and len(act.wanted) == 14


@pytest.mark.parametrize("block_no", [0, 4])
def test_a_tail_cut_with_its_blocks_is_seen_by_the_anchors_alone(
    log: Tamperer, tmp_path: Path, block_no: int
) -> None:
    anchored(tmp_path)
    act = tail_cut(log.session, block_no, with_blocks=True)
    assert audit_verify().is_whole, "inside the database nothing shows it"
    verdict = audit_verify(anchor_folder=tmp_path)
    assert found(act, verdict) and verdict.findings.counts == {What.TAIL_CUT: 1}
    assert f"at least {(6 - block_no) * 7} events" in str(verdict.first)


def test_a_chain_made_anew_is_seen_by_the_anchors_alone(log: Tamperer, tmp_path: Path) -> None:
    anchored(tmp_path)
    events_write(7)
    events_seal()
    anchored(tmp_path)
    act = chain_remake(log.session, 7)
    assert audit_verify().is_whole, "inside the database nothing shows it"
    verdict = audit_verify(anchor_folder=tmp_path)
    assert found(act, verdict) and verdict.anchored.matched == 1
    assert "after block 6 may have been made anew" in str(verdict.first)


def test_triggers_switched_off_by_the_owner_change_nothing(log: Tamperer) -> None:
    log.session.execute("ALTER TABLE events DISABLE TRIGGER ALL")
    try:
        act = log.change("data")
    finally:
        log.session.execute("ALTER TABLE events ENABLE TRIGGER ALL")
    assert found(act, audit_verify())


def test_a_whole_day_that_is_gone_is_counted_record_by_record(log: Tamperer) -> None:
    with unguarded(log.session):
        log.session.execute("TRUNCATE events")
    assert audit_verify().findings.counts == {What.DELETED: 42}


@pytest.mark.parametrize("seed", range(6))
def test_many_random_acts_at_once_are_all_located(session: "psycopg.Connection[Any]", seed: int) -> None:
    for _ in range(30):
        events_write(8, users=6)
        events_seal(batch_events_max=8)
    tamperer = Tamperer(session, random.Random(seed))
    acts = tamperer.acts(60, block_share=0.05)
    verdict = audit_verify()
    missed = [w for act in acts for w in act.wanted if not w.is_met_by(verdict.findings.kept)]
    assert missed == [], verdict.in_order
