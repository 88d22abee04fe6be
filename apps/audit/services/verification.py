"""Verifying the audit log: every record against its block, every block against the next and the anchors."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections

from apps.audit.archives import Archive
from apps.audit.edges import blocks_after
from apps.audit.findings import KEPT_MAX, Finding, Findings, What
from apps.audit.locks import READ, archiving_locked
from apps.audit.restores import NewStarts, SetBack
from apps.audit.skeleton import Anchored, AnchorWatch, Bone, Cutting, Stretch, bones_read
from apps.audit.units import Outcome, Standing, Unit, session_open, unit_verify
from apps.events.anchors import Anchor, anchors_list
from apps.events.models import EventArchive
from apps.events.relay import LOOK_BACK
from apps.events.sealing import SINK
from apps.primitives.clock import utc_now
from apps.primitives.ids import day_bounds, id_floor, id_time

ALIAS = "owner"
PROCESSES_MAX = 16

CURSOR_SQL = "SELECT xact_id, event_id FROM relay_cursors WHERE sink = %s"

ESTIMATE_SQL = """
SELECT coalesce(max(total) - min(total - events), 0) FROM event_blocks WHERE block_no IN (%s, %s)
"""

Progress = Callable[[int], None]
"""Is told of so many more events that were verified."""

AnchorLines = Callable[[], Iterator[tuple[str, Anchor | str]]]
"""Reads a place of anchors from its beginning: where each stands, and what it says or why it is none."""


@dataclass(slots=True)
class Verdict:
    """What a verification covered and what it found."""

    outcome: Outcome = field(default_factory=Outcome)
    anchored: Anchored = field(default_factory=Anchored)
    anchor_places: dict[str, int] = field(default_factory=dict)
    """How many anchors of each place match."""
    accepted: list[SetBack] = field(default_factory=list)
    """Restores for which somebody answers."""
    first_day: date | None = None
    last_day: date | None = None
    last_block: int = 0

    @property
    def findings(self) -> Findings:
        return self.outcome.findings

    @property
    def is_whole(self) -> bool:
        return not self.findings.counts

    @property
    def first(self) -> Finding | None:
        """Return what is wrong first, by time."""
        return self.in_order[0] if self.findings.kept else None

    @property
    def in_order(self) -> list[Finding]:
        """Return the findings kept, by time."""
        return sorted(self.findings.kept, key=lambda finding: finding.order)


def stretch_of(first: date | None, last: date | None) -> Stretch:
    """Return the stretch of ids of whole UTC days, ``last`` included; everything without bounds."""
    whole = Stretch()
    low = whole.low if first is None else day_bounds(first)[0]
    high = whole.high if last is None else day_bounds(last)[1] - 1
    return Stretch(low, high)


def audit_verify(
    stretch: Stretch | None = None,
    anchor_folder: Path | None = None,
    other_anchors: Iterable[tuple[str, AnchorLines]] = (),
    processes: int = 1,
    progress: Progress = lambda count: None,
    kept_max: int = KEPT_MAX,
    accepted: Iterable[int] = (),
) -> Verdict:
    """Verify the stretch, everything by default, while the market trades.

    Records are read and hashed here, in ``processes`` processes. Nothing is archived meanwhile. Each mention
    of a block in ``accepted`` is a restore to it that somebody answers for. Raises ``psycopg.Error`` when the
    database cannot be read, and ``OSError`` for anchors that cannot.
    """
    verdict = Verdict()
    verdict.outcome.findings.kept_max = kept_max
    with session_open(dsn_text()) as session, archiving_locked(session, READ):
        sources = anchor_sources(anchor_folder, other_anchors)
        stretch_verify(session, verdict, stretch or Stretch(), sources, processes, progress, accepted)
    return verdict


def stretch_verify(
    session: Any,
    verdict: Verdict,
    stretch: Stretch,
    sources: Iterable[tuple[str, AnchorLines]],
    processes: int = 1,
    progress: Progress = lambda count: None,
    accepted: Iterable[int] = (),
) -> None:
    """Verify a stretch into ``verdict``; the session holds one of the locks of ``archiving_locked``."""
    dsn = dsn_text()
    cutting = Cutting(stretch, _standing(session), archives_list(), session, verdict.findings.kept_max)
    watches = {name: _watch(verdict, cutting, lines, accepted) for name, lines in sources}
    bones = _watched(session, cutting, list(watches.values()), verdict)
    for outcome in _outcomes(dsn, cutting.units(bones), processes):
        verdict.outcome.merge(outcome)
        progress(outcome.events)
    for name, watch in watches.items():
        verdict.anchored.merge(watch.anchored)
        verdict.anchor_places[name] = watch.anchored.matched


def events_estimate(stretch: Stretch) -> int:
    """Return about how many sealed events a stretch has, for those who want to see progress."""
    with session_open(dsn_text()) as session:
        cutting = Cutting(stretch, Standing(0, 0, 0), (), session)
        row = session.execute(ESTIMATE_SQL, (cutting.first, cutting.last)).fetchone()
    return int(row[0]) if row else 0


def dsn_text() -> str:
    """Return how a process of its own reaches the database, as its owner."""
    wanted = ("host", "port", "user", "password", "dbname", "sslmode", "sslrootcert")
    parameters = connections[ALIAS].get_connection_params()
    return psycopg.conninfo.make_conninfo(
        **{name: parameters[name] for name in wanted if parameters.get(name)},
        application_name="openbell-audit",
    )


def _standing(session: Any) -> Standing:
    row = session.execute(CURSOR_SQL, (SINK,)).fetchone()
    if row is None or not row[1]:
        return Standing(0, 0, 0)
    return Standing(row[0], row[1], max(id_floor(min(id_time(row[1]), utc_now()) - LOOK_BACK), 0))


def archives_list() -> list[Archive]:
    """Return every archive, in the order of ids."""
    folder = str(settings.AUDIT_ARCHIVE_DIR)
    return [
        Archive(row.name, folder, row.low, row.high)
        for row in EventArchive.objects.using(ALIAS).order_by("low")
    ]


def anchor_sources(
    folder: Path | None, others: Iterable[tuple[str, AnchorLines]] = ()
) -> list[tuple[str, AnchorLines]]:
    """Return the places where anchors are, each with its name: a folder, where it is there, and others."""
    if folder is None or not folder.is_dir():
        return list(others)
    return [(str(folder), partial(anchors_list, folder)), *others]


def _watch(verdict: Verdict, cutting: Cutting, lines: AnchorLines, accepted: Iterable[int]) -> AnchorWatch:
    """Return the watch of one place; what it says of restores is told at once."""
    starts = NewStarts(lines())
    left = Counter(accepted)
    for set_back in starts.set_backs:
        if left[set_back.start.block_no]:
            left[set_back.start.block_no] -= 1
            verdict.accepted.append(set_back)
        elif set_back.touches(cutting.stretch):
            verdict.findings.add(set_back.finding)
    return AnchorWatch(_wanted(_vouching(lines, starts, verdict), cutting), verdict.findings)


def _wanted(anchors: Iterator[Anchor], cutting: Cutting) -> Iterator[Anchor]:
    """Yield the anchors of the stretch and the first one behind its end, which vouches for all before."""
    for anchor in anchors:
        if anchor.block_no >= cutting.first:
            yield anchor
            if anchor.block_no > cutting.last and not cutting.stretch.is_open:
                return


def _vouching(lines: AnchorLines, starts: NewStarts, verdict: Verdict) -> Iterator[Anchor]:
    """Read a place a second time, without what its new starts void."""
    for number, (where, anchor) in enumerate(lines()):
        if isinstance(anchor, str):
            verdict.findings.add(Finding(What.ANCHOR_DAMAGED, f"{where}: {anchor}"))
        elif starts.void(number, anchor):
            verdict.anchored.voided += 1
        else:
            verdict.anchored.newest_no = max(verdict.anchored.newest_no, anchor.block_no)
            yield anchor


def _watched(session: Any, cutting: Cutting, watches: list[AnchorWatch], verdict: Verdict) -> Iterator[Bone]:
    """Yield the blocks of the stretch, holding them against anchors and against the blocks around it."""
    last_no, total, its_hash = cutting.before_no, cutting.before_total, cutting.before_hash
    if last_no < cutting.first - 1:
        verdict.findings.missing(last_no + 1, cutting.first - 1)
    for bone in bones_read(session, cutting.first, cutting.last):
        for watch in watches:
            watch.pass_by(bone)
        if verdict.first_day is None:
            verdict.first_day = id_time(max(bone.low, 0)).date()
        verdict.last_day, verdict.last_block = id_time(max(bone.high, 0)).date(), bone.block_no
        last_no, total, its_hash = bone.block_no, bone.total, bone.hash
        yield bone
    if not cutting.stretch.is_open:
        until_no = max((watch.next_no for watch in watches), default=0)
        for bone in blocks_after(session, last_no, its_hash, until_no, verdict.findings):
            for watch in watches:
                watch.pass_by(bone)
            last_no, total = bone.block_no, bone.total
    for watch in watches:
        watch.end(last_no, total, partial(_newest_no, session))


def _newest_no(session: Any) -> int:
    return int(session.execute("SELECT coalesce(max(block_no), 0) FROM event_blocks").fetchone()[0])


def _outcomes(dsn: str, units: Iterator[Unit], processes: int) -> Iterator[Outcome]:
    if processes == 1:
        yield from (unit_verify(dsn, unit) for unit in units)
        return
    # Fresh processes: nobody inherits a session, and none of them needs Django.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        under_way: set[Future[Outcome]] = set()
        for unit in units:
            under_way.add(pool.submit(unit_verify, dsn, unit))
            if len(under_way) >= 2 * processes:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in under_way)


def processes_default() -> int:
    """Return how many processes verify unless told otherwise: as many as there are cores, at most four."""
    return min(os.cpu_count() or 1, 4)
