"""Snapshot files of a partition's engine: written whole or not at all, and refused unless they are whole.

A file is a header, the engine's own snapshot, a checksum of the header and of each 64 KiB of the content, and
the SHA-256 of all before it; numbers are little-endian. The checksums are zlib's CRC-32, which every Python
has: the engine's bytes carry their own CRC-32C, so that two different polynomials watch each of them.
"""

import hashlib
import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from apps.matching.native import snapshot_facts
from apps.primitives.failpoints import failpoint

logger = logging.getLogger(__name__)

MAGIC = b"OBELSNAP"
VERSION = 1
BLOCK_BYTES = 65_536
KEPT = 3
INTERVAL_S = 1.0
"""How often a snapshot is taken while something changes."""

SHARE_MAX = 0.05
"""Of the leader's time for snapshots: when taking one costs more, the interval stretches to hold this."""

FAILED_PAUSE_S = 10.0
"""How long to wait after a failed write: a full disk is not emptied by trying."""

_HEADER = struct.Struct("<8sHHIQQQQ")
_CHECKSUM = struct.Struct("<I")
_DIGEST_BYTES = 32


class SnapshotRefused(ValueError):
    """A snapshot file that may not be used; the message says why."""


class Committed(NamedTuple):
    """How far a partition's leader has come in the database, and where it last left the hash of its books."""

    epoch: int
    seq: int
    hash_seq: int
    state_hash: str


class SnapshotHeader(NamedTuple):
    """What a snapshot is of, and what must be true of the engine that comes out of it."""

    matching_partition: int
    epoch: int
    seq: int
    order_count: int
    state_hash: int
    content_bytes: int


def snapshot_path(folder: Path, matching_partition: int, epoch: int, seq: int) -> Path:
    """Return the file of one snapshot."""
    return folder / str(matching_partition) / f"{epoch}-{seq}.snapshot"


def snapshots_list(folder: Path, matching_partition: int) -> list[Path]:
    """Return a partition's snapshot files, the newest sequence first."""
    found = (folder / str(matching_partition)).glob("*.snapshot")
    return sorted((path for path in found if _name_of(path)), key=_newness, reverse=True)


def _name_of(path: Path) -> tuple[int, int] | None:
    """Return the (epoch, seq) that a file's name says, or None for a name that nobody here gave."""
    parts = path.stem.split("-")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def snapshot_seq(path: Path) -> int:
    """Return the sequence that a listed file's name says it was taken at."""
    return _newness(path)[0]


def _newness(path: Path) -> tuple[int, int]:
    epoch, seq = _name_of(path) or (0, 0)
    return seq, epoch


def snapshot_read(
    path: Path, matching_partition: int, committed: Committed
) -> tuple[SnapshotHeader, memoryview]:
    """Return a file's header and the engine's bytes; raises ``SnapshotRefused`` unless it may be used."""
    try:
        # Unbuffered: a large file is then read into memory once.
        with path.open("rb", buffering=0) as file:
            header = _header_read(file.read(_HEADER.size))
            _header_check(header, path, matching_partition, committed)
            size = os.fstat(file.fileno()).st_size
            if size != _file_bytes(header.content_bytes):
                raise SnapshotRefused(f"is {size} bytes long and not {_file_bytes(header.content_bytes)}")
            file.seek(0)
            return header, _content_checked(memoryview(file.read()), header.content_bytes)
    except OSError as error:
        raise SnapshotRefused(f"cannot be read: {error.strerror}") from error


def _file_bytes(content_bytes: int) -> int:
    blocks = -(-content_bytes // BLOCK_BYTES)
    return _HEADER.size + content_bytes + (1 + blocks) * _CHECKSUM.size + _DIGEST_BYTES


def _header_read(head: bytes) -> SnapshotHeader:
    if len(head) < _HEADER.size:
        raise SnapshotRefused("is cut short within its header")
    magic, version, *fields = _HEADER.unpack(head)
    if magic != MAGIC:
        raise SnapshotRefused("is no snapshot")
    if version != VERSION:
        raise SnapshotRefused(f"is of version {version}, not {VERSION}")
    return SnapshotHeader(*fields)


def _header_check(header: SnapshotHeader, path: Path, matching_partition: int, committed: Committed) -> None:
    if header.matching_partition != matching_partition:
        raise SnapshotRefused(f"is of partition {header.matching_partition}, not {matching_partition}")
    if _name_of(path) != (header.epoch, header.seq):
        raise SnapshotRefused(f"is of epoch {header.epoch} and sequence {header.seq}, not what its name says")
    if header.seq > committed.seq:
        raise SnapshotRefused(f"is newer than what is committed: {header.seq} is after {committed.seq}")
    if header.epoch > committed.epoch:
        raise SnapshotRefused(f"is of epoch {header.epoch}, and the newest is {committed.epoch}")
    if header.seq > committed.hash_seq or not committed.state_hash:
        raise SnapshotRefused(
            f"cannot be proved: the last hash that a leader left is of {committed.hash_seq}"
        )


def _content_checked(whole: memoryview, content_bytes: int) -> memoryview:
    content = whole[_HEADER.size : _HEADER.size + content_bytes]
    told = whole[_HEADER.size + content_bytes : -_DIGEST_BYTES]
    for number, checksum in enumerate(_checksums(whole[: _HEADER.size], content)):
        if checksum != told[number * _CHECKSUM.size : (number + 1) * _CHECKSUM.size]:
            raise SnapshotRefused(f"is damaged in its {'header' if number == 0 else f'block {number}'}")
    if hashlib.sha256(whole[:-_DIGEST_BYTES]).digest() != whole[-_DIGEST_BYTES:]:
        raise SnapshotRefused("is damaged: its digest is not that of its content")
    return content


def _checksums(header: bytes | memoryview, content: memoryview) -> Iterator[bytes]:
    yield _CHECKSUM.pack(zlib.crc32(header))
    for start in range(0, len(content), BLOCK_BYTES):
        yield _CHECKSUM.pack(zlib.crc32(content[start : start + BLOCK_BYTES]))


def snapshot_write(folder: Path, header: SnapshotHeader, content: bytes) -> Path:
    """Write a snapshot so that its name stands for the whole of it, on the disk, or not at all."""
    path = snapshot_path(folder, header.matching_partition, header.epoch, header.seq)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for leftover in path.parent.glob("*.part"):
        leftover.unlink(missing_ok=True)
    part = path.with_suffix(".part")
    try:
        with open(part, "xb", opener=_private_open) as file:
            _parts_write(file, _HEADER.pack(MAGIC, VERSION, *header), memoryview(content))
            file.flush()
            os.fsync(file.fileno())
        failpoint("snapshot.before_rename")
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _folder_sync(path.parent)
    return path


def _private_open(name: str, flags: int) -> int:
    return os.open(name, flags, mode=0o600)


def _parts_write(file: Any, head: bytes, content: memoryview) -> None:
    middle = len(content) // 2
    checksums = b"".join(_checksums(head, content))
    digest = hashlib.sha256(head)
    digest.update(content)
    digest.update(checksums)
    file.write(head)
    file.write(content[:middle])
    failpoint("snapshot.mid_write")
    file.write(content[middle:])
    file.write(checksums)
    file.write(digest.digest())


def _folder_sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def snapshots_prune(folder: Path, matching_partition: int, epoch: int, seq: int) -> None:
    """Keep the newest three of those that the leader of ``epoch`` can have inherited or written to ``seq``.

    What is of a later epoch is a successor's and stays. What is of ours or an earlier one and beyond ``seq``
    belongs to no history of this database, such as one that was restored to an earlier time: it goes.
    """
    ours = [
        path for path in snapshots_list(folder, matching_partition) if (_name_of(path) or (0, 0))[0] <= epoch
    ]
    possible = [path for path in ours if snapshot_seq(path) <= seq]
    for path in set(ours) - set(possible[:KEPT]):
        path.unlink(missing_ok=True)


def _thread_run(act: Callable[[], None]) -> Callable[[], None]:
    thread = threading.Thread(target=act, name="snapshot", daemon=True)
    thread.start()
    return thread.join


class Snapshotter:
    """Takes the leader's snapshots between its batches; the writing is done beside it, one at a time.

    A failure is logged and nothing else: it neither stops trading nor touches the last good file. ``clock``
    and ``run`` (start an act, return what waits for it) are the machine's unless a caller has others.
    """

    def __init__(
        self,
        folder: Path,
        matching_partition: int,
        clock: Callable[[], float] = time.monotonic,
        run: Callable[[Callable[[], None]], Callable[[], None]] = _thread_run,
    ) -> None:
        self.folder = folder
        self.matching_partition = matching_partition
        self._clock, self._run = clock, run
        self._seq: int | None = None
        self._asked_at: float | None = None
        self._interval_s = INTERVAL_S
        self._is_writing = threading.Event()
        self._wait: Callable[[], None] = lambda: None

    def due(self, now_s: float, seq: int) -> bool:
        """Say whether to take one now: something changed, none is being written, and it is time again."""
        if self._asked_at is None:
            self._asked_at = now_s
        is_time = now_s - self._asked_at >= self._interval_s
        if not is_time or seq == self._seq or self._is_writing.is_set():
            return False
        self._asked_at = now_s
        return True

    def take(self, engine: Any, epoch: int, seq: int) -> int | None:
        """Copy the engine's state, all of it committed up to ``seq``, and have it written.

        Returns the state's hash, or None when there was no memory for the copy.
        """
        started = self._clock()
        self._seq = seq
        try:
            content = engine.snapshot()
        except MemoryError:
            logger.exception("partition %s: there is no memory for a snapshot", self.matching_partition)
            self._interval_s = FAILED_PAUSE_S
            return None
        facts = snapshot_facts(content)
        header = SnapshotHeader(
            self.matching_partition, epoch, seq, facts.order_count, facts.state_hash, len(content)
        )
        self._is_writing.set()
        try:
            self._wait = self._run(lambda: self._write(header, content, started))
        except RuntimeError as error:
            # No thread could be started: the machine is at its limit, and trading is not the one to give way.
            self._failed(seq, error)
        return facts.state_hash

    def wait(self) -> None:
        """Return when nothing is being written any more."""
        self._wait()

    def _write(self, header: SnapshotHeader, content: bytes, started: float) -> None:
        try:
            snapshot_write(self.folder, header, content)
            snapshots_prune(self.folder, header.matching_partition, header.epoch, header.seq)
            self._interval_s = max(INTERVAL_S, (self._clock() - started) / SHARE_MAX)
            self._is_writing.clear()
        except Exception as error:
            self._failed(header.seq, error)

    def _failed(self, seq: int, error: Exception) -> None:
        self._interval_s = FAILED_PAUSE_S
        self._is_writing.clear()
        logger.error(
            "partition %s: the snapshot of sequence %s was not written, the last good one stays: %s",
            self.matching_partition,
            seq,
            error,
            exc_info=not isinstance(error, OSError),
        )
