"""Old days leave their table for files that verify as the records did; whatever dies is done again."""

import gzip
import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from apps.audit.archives import Archive, archive_lines, archive_write
from apps.audit.findings import What
from apps.audit.locks import READ, archiving_locked
from apps.audit.services.archiving import events_archive
from apps.audit.services.verification import audit_verify, dsn_text, stretch_of
from apps.audit.units import session_open as reading_open
from apps.events.anchors import AnchorFiles, anchor_newest, anchors_restart
from apps.events.models import Event, EventArchive
from apps.events.topics import topic_partition
from apps.events.types import EventType
from apps.operations.services.partition_merging import partitions_merge
from apps.operations.services.partitions import day_ensure, homes
from apps.primitives.errors import Conflict, Invalid, Refused
from apps.primitives.failpoints import FailpointHit, failpoints_arm
from apps.primitives.ids import day_bounds
from tests.support.chain import events_list, events_seal
from tests.support.event_schemas import event_problems
from tests.support.tampering import unguarded

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]

OLD = date(2026, 1, 8)
TODAY = date(2026, 3, 1)


def rows_of(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def attached() -> set[str]:
    sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass"
    return {row[0] for row in rows_of(sql)}


def events_at(day: date, count: int) -> None:
    """Append so many events as if they had been written on a day."""
    low, _ = day_bounds(day)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (id, topic, event_type, user_id, data, metadata) "
            "SELECT %s + n, 'account-events', "
            "'BALANCE_CHANGED', n %% 5, jsonb_build_object('n', n, 'text', E'a\\\\b\\n\\t\"'), '{}' "
            "FROM generate_series(1, %s) AS n",
            (low, count),
        )


@pytest.fixture
def days(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Two old days of thirty events each and one of none, sealed; partitions go again at the end."""
    settings.AUDIT_ARCHIVE_DIR = tmp_path / "archive"
    settings.AUDIT_ANCHOR_DIR = tmp_path / "anchors"
    before = attached()
    home = next(home for home in homes() if home.table.name == "events")
    for offset in range(3):
        day_ensure(home, OLD + timedelta(days=offset))
    events_at(OLD, 30)
    events_at(OLD + timedelta(days=1), 30)
    events_seal(batch_events_max=16)
    yield settings.AUDIT_ARCHIVE_DIR
    failpoints_arm("")
    with connections["owner"].cursor() as cursor:
        for name in attached() - before:
            cursor.execute(f"DROP TABLE {name}")


def events_left() -> int:
    """Return how many records the table has, those that tell of archiving aside."""
    return Event.objects.exclude(event_type=EventType.EVENTS_ARCHIVED).count()


def archive_all() -> list[int]:
    return [done.events for done in events_archive(date(2026, 2, 1), TODAY)]


def test_old_days_become_files_that_verify_as_the_records_did(days: Path) -> None:
    values = [event.value() for event in events_list()]
    assert archive_all() == [30, 30, 0]
    assert events_left() == 0 and "events_2026_01_08" not in attached()
    verdict = audit_verify()
    assert verdict.is_whole, verdict.in_order
    assert (verdict.outcome.events, verdict.outcome.archived, verdict.outcome.blocks) == (60, 60, 4)
    read = [
        line.rstrip(b"\n").split(b"\t", 3)[3]
        for path in sorted(days.glob("*.gz"))
        for line in gzip.open(path)
    ]
    assert read == values
    assert archive_all() == [], "what is archived is not archived again"
    one_day = audit_verify(stretch_of(OLD, OLD))
    assert one_day.is_whole and one_day.outcome.archived >= 30


def test_the_log_goes_on_over_its_archives(days: Path) -> None:
    archive_all()
    events_at(date(2026, 1, 20), 3)
    assert audit_verify().outcome.unsealed == 3 + 3, "what was archived is told as well"
    events_seal()
    verdict = audit_verify()
    assert verdict.is_whole and (verdict.outcome.events, verdict.outcome.archived) == (66, 60)
    events_at(OLD, 1)
    counts = audit_verify().findings.counts
    assert counts == {What.INSERTED: 1}, "a second record of an archived event is none of ours"


def test_a_merged_month_is_archived_whole(days: Path) -> None:
    partitions_merge(date(2026, 6, 1))
    assert "events_2026_01" in attached()
    assert archive_all() == [60]
    assert audit_verify().is_whole
    assert EventArchive.objects.get().name == "events_2026_01"


@pytest.mark.parametrize("point", ["archive.before_rename", "archive.before_drop", "archive.after_drop"])
def test_a_crash_at_any_moment_loses_nothing_and_is_done_again(days: Path, point: str) -> None:
    failpoints_arm(f"{point}=raise")
    with pytest.raises(FailpointHit):
        archive_all()
    failpoints_arm("")
    verdict = audit_verify()
    assert verdict.is_whole and verdict.outcome.events == 60
    archive_all()
    verdict = audit_verify()
    assert verdict.is_whole and verdict.outcome.archived == 60
    assert not list(days.glob("*aside*"))


def test_what_is_not_sealed_stays(days: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE relay_cursors SET event_id = 0, xact_id = 0 WHERE sink = 'chain'")
    events_at(OLD + timedelta(days=2), 2)
    with pytest.raises(Refused, match="2 events in no block"):
        archive_all()
    assert "events_2026_01_10" in attached() and events_left() == 2


def test_what_a_sink_was_not_told_stays_until_the_sink_is_given_up(days: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO relay_cursors (sink, stream_epoch, xact_id, event_id, system_identifier) "
            "SELECT 'kafka', 1, xact_id::text::bigint, id, '' FROM events ORDER BY id OFFSET 40 LIMIT 1"
        )
    with pytest.raises(Refused, match="events that kafka was not told yet.*--give-up kafka"):
        archive_all()
    assert "events_2026_01_08" not in attached() and "events_2026_01_09" in attached()
    call_command("audit_archive", "--before", "2026-02-01", "--give-up", "kafka", stdout=StringIO())
    assert events_left() == 0 and audit_verify().is_whole
    told = [event for event in events_list() if event.event_type == EventType.EVENTS_ARCHIVED]
    archives = EventArchive.objects.order_by("low")
    assert [event.data["sha256"] for event in told] == [row.sha256 for row in archives]
    assert [event.data["given_up"] for event in told] == [[], ["kafka"], ["kafka"]]
    assert [event_problems(event.value()) for event in told] == [[], [], []]


def test_what_was_tampered_with_stays(days: Path) -> None:
    with psycopg.connect(dsn_text(), autocommit=True) as session, unguarded(session):
        session.execute("UPDATE events SET user_id = 9 WHERE id = %s", (day_bounds(OLD)[0] + 7,))
    with pytest.raises(Refused, match="not what was sealed"):
        archive_all()
    assert events_left() == 60 and not EventArchive.objects.exists()


def test_days_that_are_still_read_are_refused(days: Path) -> None:
    with pytest.raises(Invalid, match="last 8 days"):
        list(events_archive(TODAY - timedelta(days=7), TODAY))


def test_archiving_and_verifying_keep_apart(days: Path) -> None:
    with reading_open(dsn_text()) as session, archiving_locked(session, READ):
        with pytest.raises(Conflict):
            archive_all()
        assert audit_verify().is_whole, "many may read at once"
    running = events_archive(date(2026, 2, 1), TODAY)
    next(running)
    with pytest.raises(Conflict):
        audit_verify()
    with pytest.raises(Conflict):
        archive_all()
    assert len(list(running)) == 2


@pytest.mark.parametrize("how", ["changed", "cut", "gone", "manifest"])
def test_a_damaged_archive_is_found(days: Path, how: str) -> None:
    archive_all()
    path = days / "events_2026_01_08.jsonl.gz"
    if how == "gone":
        path.unlink()
    elif how == "manifest":
        (days / "events_2026_01_08.json").write_text("{}")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-50])
    else:
        text = gzip.decompress(path.read_bytes()).replace(b'"n": 7', b'"n": 8')
        path.write_bytes(gzip.compress(text, 6, mtime=0))
    verdict = audit_verify()
    assert not verdict.is_whole
    if how != "changed" or What.ARCHIVE_DAMAGED in verdict.findings.counts:
        assert verdict.findings.counts[What.ARCHIVE_DAMAGED]
    else:
        assert verdict.findings.counts == {What.CHANGED: 1}


@pytest.mark.parametrize("is_same_partition", [True, False])
def test_an_archived_event_put_under_another_user_is_named(days: Path, is_same_partition: bool) -> None:
    """The chain has the event's bytes; what stands before them in the file is held against them."""
    archive_all()
    row = EventArchive.objects.get(name="events_2026_01_08")
    archive = Archive(row.name, str(days), row.low, row.high)
    lines = list(archive_lines(archive, row.low, row.high))
    xact_id, event_id, user_id, value = lines[5]
    partition = topic_partition(user_id)
    others = (
        n for n in itertools.count(user_id + 1) if (topic_partition(n) == partition) == is_same_partition
    )
    lines[5] = (xact_id, event_id, next(others), value)
    archive_write(archive, lines, (row.first_block, row.last_block))
    verdict = audit_verify()
    assert verdict.findings.counts == {What.CHANGED: 1}, verdict.in_order
    assert verdict.first is not None and verdict.first.event_id == event_id


def test_a_day_that_a_restore_lost_is_archived_when_somebody_answers_for_it(days: Path) -> None:
    anchor, folder = anchor_newest(), days.parent / "anchors"
    assert anchor is not None
    AnchorFiles(folder)(replace(anchor, block_no=anchor.block_no + 2, events=anchor.events + 9))
    assert anchors_restart(folder)
    with pytest.raises(Refused, match="not what was sealed. First: set back: block 4"):
        list(events_archive(date(2026, 2, 1), TODAY))
    assert not EventArchive.objects.exists()
    assert [done.events for done in events_archive(date(2026, 2, 1), TODAY, (), [4])] == [30, 30, 0]


def test_the_command_tells_what_it_did_and_refuses_bad_days(days: Path) -> None:
    told = StringIO()
    call_command("audit_archive", "--before", "2026-01-09", stdout=told)
    assert "events_2026_01_08.jsonl.gz: 30 events" in told.getvalue()
    call_command("audit_archive", "--before", "2026-01-09", stdout=told)
    assert "nothing to archive" in told.getvalue()
    for bad in (["--before", "yesterday"], ["--before", "2999-01-01"], []):
        with pytest.raises(CommandError) as refused:
            call_command("audit_archive", *bad)
        assert refused.value.returncode in (1, 2)
