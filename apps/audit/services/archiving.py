"""Archiving: an old day of events, sealed and verified, becomes a file and leaves its table."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.audit.archives import Archive, Line, Manifest, archive_digest, archive_lines, archive_write
from apps.audit.lines import COPY_SQL, line_split, line_value
from apps.audit.locks import MOVE, archiving_locked
from apps.audit.services.verification import ALIAS, Verdict, anchor_sources, dsn_text, stretch_verify
from apps.audit.skeleton import STRETCH_SQL, Stretch
from apps.audit.units import session_open
from apps.events.chain import ids_range
from apps.events.models import PARTITIONED, EventArchive
from apps.events.origins import operator_row
from apps.events.relay import LOOK_BACK_IDS
from apps.events.sealing import SINK
from apps.events.services import event_append
from apps.events.types import EventType
from apps.operations.services.partition_retention import partition_end
from apps.operations.services.partitions import (
    Home,
    ddl_transaction,
    lock_retry,
    partitions_attached,
    relation_attached,
)
from apps.primitives.clock import utc_now
from apps.primitives.errors import Invalid, Refused
from apps.primitives.failpoints import failpoint
from apps.primitives.ids import id_floor
from apps.primitives.partitions import partition_day

logger = logging.getLogger(__name__)

KEEP_DAYS = 8
"""Days that stay in the table at least: account streams, sinks and the reconciler read the last ones."""

HOME = Home(ALIAS, PARTITIONED[0])


@dataclass(frozen=True, slots=True)
class Archived:
    """What became of one partition: its archive, and how many events moved."""

    archive: Archive
    events: int


def events_archive(
    before: date, today: date, given_up: Iterable[str] = (), accepted: Sequence[int] = ()
) -> Iterator[Archived]:
    """Archive every day and month of events that ended by ``before`` (a UTC day), the oldest first.

    Each is verified, written aside, waited for, read back, and only then dropped, in one short transaction
    with its row in ``event_archives``: whatever dies in between is done again. Sinks in ``given_up`` never
    get what they were not told; ``accepted`` names the blocks of restores that somebody answers for. Raises
    ``Invalid`` for a day that is too young, ``Refused`` for records that another sink waits for, that are not
    sealed or not what was sealed, and ``Conflict`` while somebody else archives or verifies.
    """
    if before > today - timedelta(days=KEEP_DAYS):
        raise Invalid("too_young", f"The last {KEEP_DAYS} days of events stay in their table.")
    answered: dict[str, Any] = {
        "given_up": list(given_up),
        "accepted": list(accepted),
    }
    with session_open(dsn_text()) as session, archiving_locked(session, MOVE):
        for name, archive in _old(before):
            _delivered_check(session, archive, answered["given_up"])
            yield _archive(session, name, archive, answered)


WAITING_SQL = """
SELECT c.sink FROM relay_cursors c
WHERE c.sink <> ALL (%s) AND EXISTS (
    SELECT FROM events e WHERE e.id BETWEEN greatest(%s, least(c.event_id, %s) - %s) AND %s
      AND (e.xact_id, e.id) > (c.xact_id::text::xid8, c.event_id))
ORDER BY c.sink
"""


def _old(before: date) -> list[tuple[str, Archive]]:
    found = []
    for name in partitions_attached(HOME):
        end = partition_end(HOME.table.name, name)
        if end is not None and end <= before:
            first = partition_day(HOME.table.name, name) or (end - timedelta(days=1)).replace(day=1)
            bounds = (id_floor(_midnight(first)), id_floor(_midnight(end)) - 1)
            found.append((name, Archive(name, str(settings.AUDIT_ARCHIVE_DIR), *bounds)))
    return sorted(found, key=lambda pair: pair[1].low)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _delivered_check(session: Any, archive: Archive, given_up: list[str]) -> None:
    """Refuse while a sink has yet to be told some of these: Kafka may be away for longer than days stay."""
    # What is not sealed is refused by proving, and nobody can give that up.
    bounds = (archive.low, id_floor(utc_now()), LOOK_BACK_IDS, archive.high)
    rows = session.execute(WAITING_SQL, ([SINK, *given_up], *bounds)).fetchall()
    if rows:
        sinks = ", ".join(sink for (sink,) in rows)
        raise Refused(
            "undelivered",
            f"{archive.name} has events that {sinks} was not told yet. If it is never to be told, say "
            f"--give-up {rows[0][0]}.",
        )


def _archive(session: Any, name: str, archive: Archive, answered: dict[str, Any]) -> Archived:
    _prove(session, archive, answered["accepted"])
    blocks = session.execute(STRETCH_SQL, ids_range(archive.low, archive.high)).fetchone() or (0, 0)
    text = hashlib.sha256()
    lines = _digested(_lines(session, archive), text)
    made = archive_write(archive, lines, (blocks[0] or 0, blocks[1] or 0))
    _read_back(archive, made, text.hexdigest())
    lock_retry(partial(_drop, name, made, answered))
    failpoint("archive.after_drop", archive=name)
    logger.info("%s events of %s are in %s and no longer in their table", made.count, name, archive.path)
    return Archived(archive, made.count)


def _prove(session: Any, archive: Archive, accepted: Sequence[int]) -> None:
    verdict = Verdict()
    sources = anchor_sources(Path(settings.AUDIT_ANCHOR_DIR))
    stretch_verify(session, verdict, Stretch(archive.low, archive.high), sources, accepted=accepted)
    if verdict.outcome.unsealed:
        raise Refused("unsealed", f"{archive.name} has {verdict.outcome.unsealed} events in no block.")
    if not verdict.is_whole:
        raise Refused("not_whole", f"{archive.name} is not what was sealed. First: {verdict.first}")


def _lines(session: Any, archive: Archive) -> Iterator[Line]:
    sql = COPY_SQL.format(low=archive.low, high=archive.high, order="ORDER BY id")
    with session.cursor() as cursor, cursor.copy(sql) as copy:
        for line in copy:
            fields = line_split(bytes(line))
            yield int(fields[1]), int(fields[0]), int(fields[2]), line_value(fields)


def _digested(lines: Iterable[Line], text: Any) -> Iterator[Line]:
    for line in lines:
        text.update(b"%d\t%d\t%d\t%b\n" % line)
        yield line


def _read_back(archive: Archive, made: Manifest, written: str) -> None:
    """Read the file anew; raises ``Refused`` unless it holds exactly what the table gave."""
    text = hashlib.sha256()
    count = sum(1 for _ in _digested(archive_lines(archive, archive.low, archive.high), text))
    if (archive_digest(archive), text.hexdigest(), count) != (made.sha256, written, made.count):
        raise Refused("unreadable", f"{archive.path} does not hold what was written to it.")


def _drop(name: str, made: Manifest, answered: dict[str, Any]) -> None:
    with ddl_transaction(HOME) as cursor:
        if not relation_attached(cursor, HOME.table.name, name):
            return
        cursor.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(f"SELECT count(*) FROM {name}")
        count = cursor.fetchone()[0]
        if count != made.count:
            raise Refused("changed", f"{name} has {count} events, and its archive {made.count}.")
        EventArchive.objects.using(ALIAS).create(
            name=name,
            low=made.low,
            high=made.high,
            events=made.count,
            first_block=made.first_block,
            last_block=made.last_block,
            sha256=made.sha256,
        )
        event_append(cursor, [operator_row(EventType.EVENTS_ARCHIVED, _told(made, answered))])
        cursor.execute(f"ALTER TABLE {HOME.table.name} DETACH PARTITION {name}")
        cursor.execute(f"DROP TABLE {name}")
        failpoint("archive.before_drop", archive=name)


def _told(made: Manifest, answered: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": made.name,
        "events": made.count,
        "first_block": made.first_block,
        "last_block": made.last_block,
        "sha256": made.sha256,
        **answered,
    }
