"""The act of importing a file: check all of it, refuse it whole or go on, and write it piece by piece."""

import csv
import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from django.db import connection, transaction

from apps.events.facts import EventRow
from apps.events.origins import origin_current
from apps.events.services import event_append
from apps.events.types import EventType
from apps.instruments.selectors import instrument_list
from apps.marketdata.backends import ALIAS
from apps.marketdata.imports.cargo import Cargo, Reader, Written
from apps.marketdata.imports.columns import Symbols
from apps.marketdata.imports.reading import Bad, Parsed, ahead
from apps.marketdata.imports.record import (
    Content,
    Place,
    content_locked,
    place_begin,
    place_finish,
    place_move,
    place_settle,
)
from apps.marketdata.imports.source import Piece, Source
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import Conflict, Invalid

CHECKERS = 2
"""So many threads read while a file is checked; while it is written one does, since the server works too."""

SHOWN_MAX = 20
"""So many bad lines are told at once; all of them are in the file of rejects."""

SETTLED_PIECES = 16
"""After so many pieces the candles are made that were not made at once: of about a million ticks."""

LINE_BITS = 36
"""A derived trade id is the content's hash above, the line's number in this many bits below."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to import: only check, leave bad lines out, do a finished file again, and where rejects go."""

    dry_run: bool = False
    skip_bad: bool = False
    again: bool = False
    rejects: Path | None = None


@dataclass(slots=True)
class Outcome:
    """What an import found and did.

    ``is_new`` is False for a content that was imported before; ``resumed_at`` is the line at which an import
    that was broken off went on. ``place`` counts the rows of the whole file, whoever wrote them.
    """

    rows: int
    bad: int
    shown: list[Bad] = field(default_factory=list)
    rejects: Path | None = None
    is_new: bool = True
    resumed_at: int | None = None
    place: Place | None = None


Tell = Callable[[str, int, int], None]
"""Is told what is being done, how many of the file's bytes are done, and how many there are."""


def file_import(path: Path, cargo: Cargo[Any, Any], options: Options, tell: Tell) -> Outcome:
    """Import one file; whatever happens, what is written is whole pieces with their candles and their place.

    A file with bad lines is refused before anything of it is written, unless they are to be skipped: the
    outcome then has no place. Raises ``Invalid`` for what is no such file, ``Conflict`` while somebody else
    imports it.
    """
    symbols = Symbols(view.symbol for view in instrument_list())
    limits = cargo.limits(symbols, utc_now())
    with Source(path) as source:
        positions = _positions_find(source, cargo)
        reader = cargo.reader(source.header, positions, limits, 0)
        outcome, sha256 = _file_check(source, reader, cargo, options, tell)
        checked = source.stamp
    if options.dry_run or (outcome.bad and not options.skip_bad):
        return outcome
    content = Content(cargo.kind, sha256)
    with content_locked(content, path.name), Source(path) as source:
        if source.stamp != checked:
            raise _changed(source)
        start = Place(2, source.body_offset)
        place = place_begin(content, source.name, source.size, start, again=options.again)
        outcome.is_new = place.finished_at is None
        if outcome.is_new:
            outcome.resumed_at = place.line if place.offset > start.offset else None
            reader = cargo.reader(source.header, positions, limits, _first_id(sha256))
            _pieces_write(source, reader, cargo, symbols, content, place, tell)
            place = place_finish(content)
            _import_tell(content, source.name, place)
        outcome.place = place
    return outcome


def _import_tell(content: Content, name: str, place: Place) -> None:
    """Put a finished import on record; its own row, in the market data's database, is the truth of it."""
    origin = origin_current()
    data = {
        "kind": content.kind,
        "sha256": content.sha256,
        "name": name,
        "rows": place.rows,
        "added": place.added,
        "bad": place.bad,
        "at": iso(utc_now()),
    }
    row = EventRow(EventType.DATA_IMPORTED, origin.actor_id or 0, data, metadata=origin.metadata())
    with connection.cursor() as cursor:
        event_append(cursor, [row])


def _positions_find(source: Source, cargo: Cargo[Any, Any]) -> dict[str, int]:
    try:
        return cargo.shape.columns_find(source.header)
    except Invalid as error:
        raise Invalid(error.reason, f"{source.name}: {error.message}") from None


def _first_id(sha256: str) -> int:
    """Return what lines' numbers are added to: the same content has the same ids, others have others."""
    return int(sha256[:16], 16) >> 1 >> LINE_BITS << LINE_BITS


def _file_check(
    source: Source, reader: Reader[Any], cargo: Cargo[Any, Any], options: Options, tell: Tell
) -> tuple[Outcome, str]:
    """Read all of a file, and write its bad lines to the file of rejects; returns its SHA-256 as well."""
    digest = hashlib.sha256(source.header_line)
    outcome = Outcome(0, 0)
    with ExitStack() as stack:
        pieces = source.pieces(source.body_offset, 2, digest.update)
        rejects: Any = None
        for parsed in ahead(reader.read, pieces, CHECKERS):
            outcome.rows += cargo.count(parsed.rows)
            outcome.bad += len(parsed.bad)
            outcome.shown += parsed.bad[: SHOWN_MAX - len(outcome.shown)]
            if parsed.bad and rejects is None:
                outcome.rejects = options.rejects or source.path.with_name(f"{source.path.name}.rejected.csv")
                rejects = csv.writer(stack.enter_context(_rejects_open(outcome.rejects, source.path)))
                rejects.writerow(["line", "reason", "text"])
            if parsed.bad:
                rejects.writerows((bad.line, bad.reason, bad.text) for bad in parsed.bad)
            tell("checking", source.position, source.size)
    return outcome, digest.hexdigest()


def _rejects_open(path: Path, source: Path) -> IO[str]:
    """Open the file of bad lines for writing, never the source itself and never what a link leads to."""
    try:
        if path.exists() and path.samefile(source):
            raise Invalid("bad_rejects", f"{path} is the file that is read: name another for its bad lines.")
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
        return os.fdopen(opened, "w", newline="", encoding="utf-8")
    except OSError as error:
        raise Invalid("bad_rejects", f"{path} cannot be written: {error.strerror}.") from None


def _changed(source: Source) -> Conflict:
    return Conflict("file_changed", f"{source.name} was changed while it was imported: import it again.")


def _pieces_write(
    source: Source,
    reader: Reader[Any],
    cargo: Cargo[Any, Any],
    symbols: Symbols,
    content: Content,
    place: Place,
    tell: Tell,
) -> None:
    """Write what is left of a file: each piece's rows, candles and place in one transaction."""

    def make(piece: Piece) -> tuple[Parsed[Any], Any]:
        parsed = reader.read(piece)
        return parsed, cargo.ready(parsed.rows, symbols)

    pieces = source.pieces(place.offset, place.line, lambda read: None)
    for number, (parsed, ready) in enumerate(ahead(make, pieces, 1), 1):
        if not source.is_unchanged():
            raise _changed(source)
        cargo.before(ready)
        with transaction.atomic(using=ALIAS):
            after = _after(place, parsed, cargo.count(parsed.rows), cargo.write(ready))
            place_move(content, place, after)
        place = after if number % SETTLED_PIECES else _settled(after, cargo, content)
        tell("importing", source.position, source.size)
    _settled(place, cargo, content)


def _settled(place: Place, cargo: Cargo[Any, Any], content: Content) -> Place:
    if place.stale is None:
        return place
    cargo.settle(place.stale)
    place_settle(content)
    return replace(place, stale=None)


def _after(place: Place, parsed: Parsed[Any], rows: int, written: Written) -> Place:
    """Return where an import stands after a piece."""
    stales = [stale for stale in (place.stale, written.stale) if stale]
    return Place(
        parsed.piece.next_line,
        parsed.piece.next_offset,
        place.rows + rows,
        place.added + written.added,
        place.bad + len(parsed.bad),
        stale=(min(first for first, _ in stales), max(last for _, last in stales)) if stales else None,
    )
