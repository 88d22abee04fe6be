"""The files in which old days of events are kept: readable with ``zcat``, found by id, sound or refused.

A file is a row of gzip members, each some thousand lines in the order of ids: transaction id, event id and
user id, then the event's bytes as the chain hashed them, between tabs. Its manifest says where each member
lies. Nothing here knows the database.
"""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from apps.audit.findings import Finding, What
from apps.primitives.failpoints import failpoint

FORMAT = "openbell events 1"
MEMBER_LINES = 10_000
Line = tuple[int, int, int, bytes]
"""Transaction id, event id, user id, and the event's bytes."""


class ArchiveDamaged(ValueError):
    """A file or its manifest is not as it was written."""


@dataclass(frozen=True, slots=True)
class Member:
    """One gzip member of a file, by its bytes and its ids."""

    offset: int
    length: int
    lines: int
    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True)
class Archive:
    """One archived day or month: where it lies, and which ids belong to it, ``high`` included."""

    name: str
    folder: str
    low: int
    high: int

    @property
    def path(self) -> Path:
        return Path(self.folder) / f"{self.name}.jsonl.gz"

    @property
    def manifest_path(self) -> Path:
        return Path(self.folder) / f"{self.name}.json"

    def damage(self, error: Exception) -> Finding:
        """Return the finding that the archive cannot be read."""
        return Finding(What.ARCHIVE_DAMAGED, f"{self.path} cannot be read: {error}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file holds; ``first_block`` and ``last_block`` are the blocks its events were sealed in."""

    name: str
    low: int
    high: int
    count: int
    first_block: int
    last_block: int
    sha256: str
    members: tuple[Member, ...]


def archive_write(archive: Archive, lines: Iterable[Line], blocks: tuple[int, int]) -> Manifest:
    """Write an archive aside, wait for the disk, rename it into place; whatever was half done is begun again.

    ``lines`` come in the order of ids; memory holds one member of them. Raises ``OSError``.
    """
    Path(archive.folder).mkdir(parents=True, exist_ok=True, mode=0o750)
    aside = archive.path.with_suffix(f".aside-{os.getpid()}")
    try:
        with aside.open("wb") as file:
            members, digest = _members_write(file, lines)
            file.flush()
            os.fsync(file.fileno())
        count = sum(member.lines for member in members)
        made = Manifest(archive.name, archive.low, archive.high, count, *blocks, digest, tuple(members))
        failpoint("archive.before_rename", archive=archive.name)
        aside.rename(archive.path)
    finally:
        aside.unlink(missing_ok=True)
    _manifest_write(archive, made)
    _manifest_cached.cache_clear()
    return made


def _members_write(file: BinaryIO, lines: Iterable[Line]) -> tuple[list[Member], str]:
    members: list[Member] = []
    digest, offset = hashlib.sha256(), 0
    for some in _pieces(lines):
        text = b"".join(b"%d\t%d\t%d\t%b\n" % line for line in some)
        packed = gzip.compress(text, 6, mtime=0)
        file.write(packed)
        digest.update(packed)
        members.append(Member(offset, len(packed), len(some), some[0][1], some[-1][1]))
        offset += len(packed)
    return members, digest.hexdigest()


def _pieces(lines: Iterable[Line]) -> Iterator[list[Line]]:
    some: list[Line] = []
    for line in lines:
        if b"\n" in line[3]:
            raise ValueError(f"event {line[1]} has a line break in it")
        some.append(line)
        if len(some) == MEMBER_LINES:
            yield some
            some = []
    if some:
        yield some


def _manifest_write(archive: Archive, made: Manifest) -> None:
    aside = archive.manifest_path.with_suffix(f".aside-{os.getpid()}")
    with aside.open("w") as file:
        file.write(json.dumps({"format": FORMAT, **asdict(made)}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    aside.rename(archive.manifest_path)
    folder = os.open(archive.folder, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def manifest_read(archive: Archive) -> Manifest:
    """Return an archive's manifest; raises ``OSError``, and ``ArchiveDamaged`` for one that is none."""
    return _manifest_cached(archive)


@lru_cache(maxsize=16)
def _manifest_cached(archive: Archive) -> Manifest:
    try:
        told: dict[str, Any] = json.loads(archive.manifest_path.read_text())
        if told.pop("format") != FORMAT:
            raise ArchiveDamaged(f"{archive.manifest_path} is of another format")
        members = tuple(Member(**member) for member in told.pop("members"))
        made = Manifest(**told, members=members)
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveDamaged(f"{archive.manifest_path} is no manifest: {error}") from error
    if (made.name, made.low, made.high) != (archive.name, archive.low, archive.high):
        raise ArchiveDamaged(f"{archive.manifest_path} is of another archive")
    return made


def archive_lines(archive: Archive, low: int, high: int) -> Iterator[Line]:
    """Yield the lines whose ids lie from ``low`` to ``high``, in the order of ids.

    Raises ``OSError`` and ``ArchiveDamaged``; what a line says is for the chain to prove.
    """
    with archive.path.open("rb") as file:
        for member in manifest_read(archive).members:
            if member.last_id >= low and member.first_id <= high:
                file.seek(member.offset)
                yield from _member_lines(file.read(member.length), member, low, high)


def _member_lines(packed: bytes, member: Member, low: int, high: int) -> Iterator[Line]:
    try:
        lines = gzip.decompress(packed).split(b"\n")[:-1]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ArchiveDamaged(f"the piece at byte {member.offset} is damaged: {error}") from error
    if len(lines) != member.lines:
        raise ArchiveDamaged(f"the piece at byte {member.offset} has {len(lines)} lines, not {member.lines}")
    for line in lines:
        xact_id, event_id, user_id, value = line.split(b"\t", 3)
        if low <= int(event_id) <= high:
            yield int(xact_id), int(event_id), int(user_id), value


def archive_digest(archive: Archive) -> str:
    """Return the SHA-256 of the file as it lies there, in hexadecimal digits."""
    with archive.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
