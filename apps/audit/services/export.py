"""Exporting events: a period, a user or an account, written aside day by day and renamed when it is whole.

SEC Rule 17a-4(f)(2)(i)(A) lets a broker keep records with a complete time-stamped audit trail from which any
original can be made again, and asks that they can be handed over in a usable form: this is that form.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from psycopg import sql

from apps.accounts.models import Account
from apps.audit.archives import ArchiveDamaged, archive_lines
from apps.audit.asides import aside_open, folder_sync
from apps.audit.cat import CatWriter
from apps.audit.exports import (
    BLOCKS,
    CLOCK,
    EVENTS,
    WITHHELD,
    FileFacts,
    LinesFile,
    Sealed,
    block_facts,
    manifest_write,
    sealed_line,
    value_id,
    value_time,
    value_whose,
)
from apps.audit.lines import line_split, line_value
from apps.audit.locks import READ, archiving_locked
from apps.audit.readings import archives_within, committed_wait
from apps.events.chain import ids_range, places_read
from apps.events.models import EventArchive
from apps.events.origins import operator_row
from apps.events.relay import LOOK_BACK_IDS
from apps.events.services import event_append
from apps.events.types import EventType
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
        AND event_type <> ALL ({withheld}::text[])
      ORDER BY id) TO STDOUT
"""

BLOCKS_SQL = f"""
SELECT block_no, total, places, leaves, heads, previous_hash, hash, sealed_at FROM event_blocks
WHERE int8range(lowest_event_id - 1, highest_event_id) && int8range(%s, %s) AND block_no > %s
ORDER BY block_no LIMIT {BLOCKS_PAGE}
"""

RUN_SQL = f"""
SELECT block_no, total, places, leaves, heads, previous_hash, hash, sealed_at FROM event_blocks
WHERE block_no > %s AND block_no <= %s ORDER BY block_no LIMIT {BLOCKS_PAGE}
"""

ENDS_SQL = """
SELECT min(block_no), max(block_no) FROM event_blocks
WHERE int8range(lowest_event_id - 1, highest_event_id) && int8range(%s, %s)
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an export is to hold: events from ``first`` up to before ``until``, of everybody or of one.

    What surveillance found about one is not for them: it is in their export ``with_surveillance`` alone.
    """

    form: str
    first: datetime
    until: datetime
    user_id: int | None = None
    account_id: int | None = None
    reporter: str = ""
    with_surveillance: bool = False

    @property
    def is_of_all(self) -> bool:
        return self.user_id is None and self.account_id is None

    @property
    def withheld(self) -> tuple[EventType, ...]:
        """The types of events that are left out."""
        return () if self.is_of_all or self.with_surveillance else WITHHELD

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
    if os.path.lexists(out):
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
    with aside_open(out) as aside, _session() as session:
        export = _Export(wanted, aside, session)
        for day, low, high in wanted.days():
            export.day(day, low, high)
            progress(1)
        made = export.finish()
        # Told before it appears: nobody has an export of which there is no record.
        export.tell(out, made)
        failpoint("export.before_rename", out=out.name)
        aside.rename(out)
        folder_sync(out.parent)
    return Made(out, export.events, export.records, export.blocks, len(export.files), made)


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
        self._run_last: int | None = None
        """Of everybody, the last block that is written: there every block between two others is too."""
        self.begun_at = utc_now()

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
            raise self._nothing()
        digest = manifest_write(self.folder, self._facts())
        folder_sync(self.folder)
        return digest

    def _nothing(self) -> NotFound:
        """Return why there is no export: nobody has that number, or nothing was written in the period."""
        user_id, account_id = self.wanted.user_id, self.wanted.account_id
        if account_id is not None and not Account.objects.filter(pk=account_id).exists():
            return NotFound("no_account", f"There is no account {account_id}.")
        if user_id is not None and not get_user_model().objects.filter(pk=user_id).exists():
            return NotFound("no_user", f"There is no user {user_id}.")
        return NotFound("nothing_found", "There is no such event in the period: nothing is exported.")

    def tell(self, out: Path, manifest_sha256: str) -> None:
        """Put on record who takes whose events."""
        wanted = self.wanted
        data = {
            "form": wanted.form,
            "from": iso(wanted.first),
            "until": iso(wanted.until),
            "of_user_id": wanted.user_id,
            "of_account_id": wanted.account_id,
            "with_surveillance": not wanted.withheld,
            "events": self.events,
            "records": self.records,
            "folder": str(out),
            "manifest_sha256": manifest_sha256,
        }
        with connection.cursor() as cursor:
            event_append(cursor, [operator_row(EventType.AUDIT_EXPORTED, data)])

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
            for _, event_id, _, value in archive_lines(archive, low, high - 1):
                if self._is_wanted(value):
                    yield event_id, value
        withheld = [kind.value for kind in self.wanted.withheld]
        query = _bound(EVENTS_SQL, {**asdict(self.wanted), "low": low, "high": high, "withheld": withheld})
        with self.session.cursor() as cursor, cursor.copy(query) as copy:
            for line in copy:
                fields = line_split(bytes(line))
                yield int(fields[0]), line_value(fields)

    def _is_wanted(self, value: bytes) -> bool:
        """Return whether an archived event is asked for; whose it is its own bytes say, which are proved."""
        wanted = self.wanted
        if not iso(wanted.first) <= value_time(value) < iso(wanted.until):
            return False
        if wanted.is_of_all:
            return True
        try:
            kind, user_id, account_id = value_whose(value)
        except ValueError as error:
            raise ArchiveDamaged(f"after event {self.last_event}: {error}") from error
        return (
            wanted.user_id in (None, user_id)
            and wanted.account_id in (None, account_id)
            and kind not in wanted.withheld
        )

    def _day_blocks(self, file: LinesFile, low: int, high: int) -> None:
        """Write the blocks of a day's events, each once; of one person only those that have some of them."""
        if self.wanted.is_of_all:
            self._run_blocks(file, low, high)
            return
        written, after, bounds = self._written, 0, ids_range(low, high - 1)
        self._written = set()
        while rows := self.session.execute(BLOCKS_SQL, (*bounds, after)).fetchall():
            after = rows[-1][0]
            for block in map(Sealed._make, rows):
                ids = places_read(block.places)[1]
                if block.block_no in written or not self._ids.isdisjoint(ids):
                    self._written |= {block.block_no} if max(ids) >= high else set()
                    if block.block_no not in written:
                        self._block(file, block)

    def _run_blocks(self, file: LinesFile, low: int, high: int) -> None:
        """Write all blocks up to the last with an event of the day, and so prove that none is left out."""
        if self._run_last is None:
            # What was written a little later may have been sealed before it.
            first = self._ends(low, min(high + LOOK_BACK_IDS, id_floor(self.wanted.until)))[0]
            self._run_last = first - 1 if first else None
        last = self._ends(low, high)[1]
        while self._run_last is not None and last is not None and self._run_last < last:
            rows = self.session.execute(RUN_SQL, (self._run_last, last)).fetchall()
            for block in map(Sealed._make, rows):
                self._block(file, block)
            self._run_last = rows[-1][0] if rows else last

    def _ends(self, low: int, high: int) -> tuple[int | None, int | None]:
        """Return the first and the last block with events in these ids, ``high`` not included."""
        first, last = self.session.execute(ENDS_SQL, ids_range(low, high - 1)).fetchone()
        return first, last

    def _block(self, file: LinesFile, block: Sealed) -> None:
        self.blocks += 1
        self.block_first, self.block_last = self.block_first or block, block
        file.write(sealed_line(block))

    def _facts(self) -> dict[str, Any]:
        wanted = self.wanted
        return {
            "made_at": iso(self.begun_at),
            "form": wanted.form,
            "period": [iso(wanted.first), iso(wanted.until)],
            "user_id": wanted.user_id,
            "account_id": wanted.account_id,
            "with_surveillance": not wanted.withheld,
            "reporter": wanted.reporter or None,
            "events": self.events,
            "records": self.records,
            "first_event": self.first_event,
            "last_event": self.last_event,
            "blocks": self.blocks,
            "first_block": block_facts(self.block_first),
            "last_block": block_facts(self.block_last),
            "files": [asdict(facts) for facts in self.files],
        }


def _bound(text: str, values: dict[str, Any]) -> sql.Composed:
    """Return a COPY with its values in it, since it takes no parameters."""
    return sql.SQL(text).format(**{name: sql.Literal(value) for name, value in values.items()})
