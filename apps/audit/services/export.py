"""Exporting events: a period, a user or an account, written aside day by day and renamed when it is whole.

SEC Rule 17a-4(f)(2)(i)(A) lets a broker keep records with a complete time-stamped audit trail from which any
original can be made again, and asks that they can be handed over in a usable form: this is that form.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection
from psycopg import sql

from apps.audit.archives import archive_lines
from apps.audit.cat import CatWriter
from apps.audit.exports import (
    BLOCKS,
    CLOCK,
    EVENTS,
    FileFacts,
    LinesFile,
    Sealed,
    manifest_write,
    sealed_line,
    value_id,
    value_time,
)
from apps.audit.lines import line_split, line_value
from apps.audit.locks import READ, archiving_locked
from apps.audit.readings import archives_within, committed_wait
from apps.events.chain import heads_read, ids_range, places_read
from apps.events.models import EventArchive
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import Conflict, Invalid, NotFound
from apps.primitives.failpoints import failpoint
from apps.primitives.ids import EPOCH, day_bounds, id_floor, id_time

Value = tuple[int, bytes]
"""An event's id and its exact bytes."""

BLOCKS_PAGE = 50

FIRST_SQL = "SELECT min(id) FROM events"

EVENTS_SQL = """
COPY (SELECT id, xact_id, user_id, topic, event_type, account_id, account_seq, "timestamp", data, metadata
      FROM events
      WHERE id >= {low} AND id < {high} AND "timestamp" >= {first} AND "timestamp" < {until}
        AND ({user_id} IS NULL OR user_id = {user_id})
        AND ({account_id} IS NULL OR account_id = {account_id})
      ORDER BY id) TO STDOUT
"""

BLOCKS_SQL = f"""
SELECT block_no, total, places, leaves, heads, previous_hash, hash, sealed_at FROM event_blocks
WHERE int8range(lowest_event_id - 1, highest_event_id) && int8range(%s, %s) AND block_no > %s
ORDER BY block_no LIMIT {BLOCKS_PAGE}
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an export is to hold: events from ``first`` up to before ``until``, of everybody or of one."""

    form: str
    first: datetime
    until: datetime
    user_id: int | None = None
    account_id: int | None = None
    reporter: str = ""

    @property
    def is_of_all(self) -> bool:
        return self.user_id is None and self.account_id is None

    def days(self) -> Iterator[tuple[date, int, int]]:
        """Yield the UTC days of the period with the ids of each that may lie in it."""
        low, high = id_floor(max(self.first - CLOCK, EPOCH)), id_floor(self.until + CLOCK)
        day = id_time(low).astimezone(UTC).date()
        while (bounds := day_bounds(day))[0] < high:
            yield day, max(bounds[0], low), min(bounds[1], high)
            day += timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Made:
    """What was exported; the digest names the manifest and through it everything."""

    folder: Path
    events: int
    records: int
    blocks: int
    files: int
    manifest_sha256: str


Progress = Callable[[int], None]
"""Is told of so many more days that are done."""


def events_begin() -> datetime:
    """Return when the oldest event that is kept, live or archived, can have been written."""
    with connection.cursor() as cursor:
        cursor.execute(FIRST_SQL)
        (live,) = cursor.fetchone()
    archived = EventArchive.objects.order_by("low").values_list("low", flat=True).first()
    ids = [number for number in (live, archived) if number is not None]
    return id_time(max(min(ids), 0)) - CLOCK if ids else utc_now() - CLOCK


def wanted_check(wanted: Wanted, out: Path) -> None:
    """Refuse what cannot be exported: raises ``Invalid`` or ``Conflict``."""
    if wanted.until <= wanted.first:
        raise Invalid("bad_period", "The period ends before it begins.", field="period")
    if wanted.until > utc_now():
        raise Invalid("bad_period", "The period ends in the future: not all of it has happened.")
    if wanted.until < EPOCH:
        raise Invalid("bad_period", f"There are no events before {EPOCH:%Y-%m-%d}.")
    if wanted.form != EVENTS and not (wanted.reporter.isalnum() and len(wanted.reporter) <= 7):
        raise Invalid("bad_reporter", "A CAT reporter's IMID has up to seven letters and digits.")
    if out.exists():
        raise Conflict("export_exists", f"{out} exists: an export is never written over.")
    if not out.parent.is_dir():
        raise Invalid("no_folder", f"{out.parent} is no folder.")


def export_make(wanted: Wanted, out: Path, progress: Progress = lambda days: None) -> Made:
    """Write an export into a new folder; it appears whole or not at all.

    What a crash left beside it is begun again. Raises ``Invalid`` and ``Conflict`` for what cannot be
    exported, ``NotFound`` when nothing is in it, ``Unavailable`` while the period's end is not all
    committed, ``OSError`` and ``ArchiveDamaged``.
    """
    wanted_check(wanted, out)
    committed_wait(wanted.until)
    with _aside(out) as aside, _session() as session:
        export = _Export(wanted, aside, session)
        for day, low, high in wanted.days():
            export.day(day, low, high)
            progress(1)
        made = export.finish()
        failpoint("export.before_rename", out=out.name)
        aside.rename(out)
        _folder_sync(out.parent)
    return Made(out, export.events, export.records, export.blocks, len(export.files), made)


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """Make the folder in which an export grows; it is gone when the export does not become whole."""
    aside = out.with_name(f".{out.name}.aside")
    aside.mkdir(mode=0o750, exist_ok=True)
    lock = os.open(aside, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Conflict("export_running", f"{out} is being written by another process.") from None
    try:
        for left in aside.iterdir():
            left.unlink()
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _folder_sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _session() -> Iterator[Any]:
    """Lend the raw session, with time enough for a day's events; no archive takes days away meanwhile."""
    connection.ensure_connection()
    with archiving_locked(connection.connection, READ):
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
        try:
            yield connection.connection
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")


class _Export:
    """An export while it grows day by day; memory holds a page of blocks, and one person's ids of a day."""

    def __init__(self, wanted: Wanted, folder: Path, session: Any) -> None:
        self.wanted, self.folder, self.session = wanted, folder, session
        self.cat = None if wanted.form == EVENTS else CatWriter(wanted.reporter, pairs=wanted.is_of_all)
        self.files: list[FileFacts] = []
        self.events = self.records = self.blocks = 0
        self.first_event: str | None = None
        self.last_event: str | None = None
        self.block_first: Sealed | None = None
        self.block_last: Sealed | None = None
        self._ids: set[int] = set()
        """Of one person's events of a day, whose blocks are looked for."""
        self._written: set[int] = set()
        """Blocks of the day before that reach into the next."""

    def day(self, day: date, low: int, high: int) -> None:
        """Export one day's events and the blocks in which they were sealed."""
        lines, blocks = self._file(self.wanted.form, day), self._file(BLOCKS, day)
        before = self.events
        self._ids.clear()
        for event_id, value in self._values(low, high):
            self._event(lines, event_id, value)
        if self.events > before:
            self._day_blocks(blocks, low, high)
        self._close(lines, blocks)

    def finish(self) -> str:
        """Write what is left, and the manifest; returns its SHA-256."""
        if self.cat is not None:
            rest = LinesFile(self.folder, f"{self.wanted.form}-rest.jsonl.gz")
            for record in self.cat.rest():
                self.records += 1
                rest.write(record)
            self._close(rest)
        if not self.events:
            raise NotFound("nothing_found", "No event of the period is asked for: nothing is exported.")
        digest = manifest_write(self.folder, self._facts())
        _folder_sync(self.folder)
        return digest

    def _file(self, kind: str, day: date) -> LinesFile:
        return LinesFile(self.folder, f"{kind}-{day.isoformat()}.jsonl.gz")

    def _close(self, *files: LinesFile) -> None:
        self.files += [facts for file in files if (facts := file.close()) is not None]

    def _event(self, lines: LinesFile, event_id: int, value: bytes) -> None:
        self.events += 1
        public = value_id(value)
        self.first_event, self.last_event = self.first_event or public, public
        if not self.wanted.is_of_all:
            self._ids.add(event_id)
        for line in [value] if self.cat is None else self.cat.lines(value):
            self.records += 1
            lines.write(line, public)

    def _values(self, low: int, high: int) -> Iterator[Value]:
        for archive in reversed(archives_within(low, high)):
            for _, event_id, user_id, value in archive_lines(archive, low, high - 1):
                if self._is_wanted(user_id, value):
                    yield event_id, value
        query = _bound(EVENTS_SQL, {**asdict(self.wanted), "low": low, "high": high})
        with self.session.cursor() as cursor, cursor.copy(query) as copy:
            for line in copy:
                fields = line_split(bytes(line))
                yield int(fields[0]), line_value(fields)

    def _is_wanted(self, user_id: int, value: bytes) -> bool:
        wanted = self.wanted
        return (
            iso(wanted.first) <= value_time(value) < iso(wanted.until)
            and wanted.user_id in (None, user_id)
            and (wanted.account_id is None or b'"account_id":%d,"account_seq"' % wanted.account_id in value)
        )

    def _day_blocks(self, file: LinesFile, low: int, high: int) -> None:
        """Write the blocks of a day's events, each once; of one person only those that have some of them."""
        written, after, bounds = self._written, 0, ids_range(low, high - 1)
        self._written = set()
        while rows := self.session.execute(BLOCKS_SQL, (*bounds, after)).fetchall():
            after = rows[-1][0]
            for block in map(Sealed._make, rows):
                ids = places_read(block.places)[1]
                is_new = block.block_no not in written
                if not is_new or self.wanted.is_of_all or not self._ids.isdisjoint(ids):
                    self._written |= {block.block_no} if max(ids) >= high else set()
                    if is_new:
                        self._block(file, block)

    def _block(self, file: LinesFile, block: Sealed) -> None:
        self.blocks += 1
        self.block_first, self.block_last = self.block_first or block, block
        file.write(sealed_line(block))

    def _facts(self) -> dict[str, Any]:
        wanted = self.wanted
        return {
            "made_at": iso(utc_now()),
            "form": wanted.form,
            "period": [iso(wanted.first), iso(wanted.until)],
            "user_id": wanted.user_id,
            "account_id": wanted.account_id,
            "reporter": wanted.reporter or None,
            "events": self.events,
            "records": self.records,
            "first_event": self.first_event,
            "last_event": self.last_event,
            "blocks": self.blocks,
            "first_block": _block_facts(self.block_first),
            "last_block": _block_facts(self.block_last),
            "files": [asdict(facts) for facts in self.files],
        }


def _block_facts(block: Sealed | None) -> dict[str, Any] | None:
    """Return what tells a block from any other, and the heads that it keeps, by topic partition."""
    if block is None:
        return None
    heads = {str(partition): head.hex() for partition, head in sorted(heads_read(block.heads).items())}
    return {
        "block_no": block.block_no,
        "hash": block.hash.hex(),
        "total": block.total,
        "sealed_at": iso(block.sealed_at),
        "heads": heads,
    }


def _bound(text: str, values: dict[str, Any]) -> sql.Composed:
    """Return a COPY with its values in it, since it takes no parameters."""
    return sql.SQL(text).format(**{name: sql.Literal(value) for name, value in values.items()})
