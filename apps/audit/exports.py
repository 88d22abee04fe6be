"""Exports of events: a folder with a file for each day, the chain's blocks that cover it, and a manifest.

Whoever gets one needs nothing of ours to check it: the manifest has the SHA-256 of every file, each event's
own hash stands in a block, and the blocks' hashes in anchors that were published when the events were young.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from uuid import UUID

import orjson

from apps.events.chain import block_hash, leaf_hash, leaves_read, places_read
from apps.primitives.clock import iso
from apps.primitives.errors import Invalid, NotFound
from apps.primitives.ids import EPOCH, SEQUENCE_BITS, Kind, id_floor, public_id_decode

FORMAT = "openbell export 1"
MANIFEST = "manifest.json"
EVENTS, CAT, BLOCKS = "events", "cat", "blocks"
FORMS = (EVENTS, CAT)
CLOCK = timedelta(seconds=1)
"""By how much an event's id and its time may differ."""

_ID_AT, _TIME_AT = slice(13, 49), slice(64, 91)
"""Where an event's bytes say which it is and when it was written: what comes before is as long always."""


def value_id(value: bytes) -> str:
    """Return an event's public id, as its bytes say it."""
    return value[_ID_AT].decode()


def value_time(value: bytes) -> str:
    """Return when an event was written, as its bytes say it."""
    return value[_TIME_AT].decode()


@dataclass(slots=True)
class FileFacts:
    """What one file of an export holds; ``last`` and ``first`` are events' public ids."""

    name: str
    lines: int = 0
    size: int = 0
    sha256: str = ""
    first: str | None = None
    last: str | None = None


class _Hashing:
    """A file that knows the hash and the size of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


class LinesFile:
    """One gzip file of lines: made when its first line comes, on the disk when it is closed."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self.facts = FileFacts(name)
        self._raw: _Hashing | None = None
        self._packed: Any = None

    def write(self, line: bytes, event_id: str | None = None) -> None:
        """Append a line, which says which event it is of."""
        if self._raw is None:
            self._raw = _Hashing(self.path.open("wb"))
            self._packed = gzip.GzipFile(filename="", fileobj=self._raw, mode="wb", compresslevel=6, mtime=0)
        self._packed.write(line + b"\n")
        facts = self.facts
        facts.lines += 1
        facts.first, facts.last = facts.first or event_id, event_id or facts.last

    def close(self) -> FileFacts | None:
        """Return what the file holds, once the disk has it; None when there was nothing to write."""
        if self._raw is None:
            return None
        self._packed.close()
        self._raw.flush()
        os.fsync(self._raw.file.fileno())
        self._raw.file.close()
        self.facts.size, self.facts.sha256 = self._raw.size, self._raw.digest.hexdigest()
        return self.facts


def lines_read(path: Path) -> Iterator[bytes]:
    """Yield the lines of one file of an export, without their ends; raises ``OSError`` and ``EOFError``."""
    with gzip.open(path, "rb") as file:
        for line in file:
            yield line.removesuffix(b"\n")


def manifest_write(folder: Path, facts: dict[str, Any]) -> str:
    """Write the manifest, wait for the disk, and return its SHA-256 in hexadecimal digits."""
    text = (json.dumps({"format": FORMAT, **facts}, indent=1) + "\n").encode()
    with (folder / MANIFEST).open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(text).hexdigest()


def manifest_load(folder: Path) -> tuple[dict[str, Any], str]:
    """Return an export's manifest and its SHA-256; raises ``Invalid`` for a folder that is no export."""
    try:
        text = (folder / MANIFEST).read_bytes()
        found: dict[str, Any] = json.loads(text)
        if found["format"] != FORMAT:
            raise ValueError("it is of another format")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid("no_export", f"{folder} is no export: {error}") from None
    return found, hashlib.sha256(text).hexdigest()


@dataclass(slots=True)
class Checked:
    """What checking an export came to; ``problems`` are in the order in which they were met."""

    manifest_sha256: str
    lines: int = 0
    proved: int = 0
    proved_within: int = 0
    """How many of them surely lie inside the period."""
    sealed_within: int = 0
    """How many the blocks say were sealed there."""
    unsealed: int = 0
    unsealed_first: int | None = None
    blocks: int = 0
    anchored: int = 0
    problems: list[str] = field(default_factory=list)
    problem_count: int = 0

    def problem(self, text: str) -> None:
        """Count one, and keep the first hundred."""
        self.problem_count += 1
        if len(self.problems) < 100:
            self.problems.append(text)


class Sealed(NamedTuple):
    """One block of the chain as an export has it."""

    block_no: int
    total: int
    places: bytes
    leaves: bytes
    heads: bytes
    previous_hash: bytes
    hash: bytes
    sealed_at: datetime


def sealed_line(block: Sealed) -> bytes:
    """Return a block as a line of an export: JSON, bytes in hexadecimal digits."""
    return orjson.dumps({name: _shown(value) for name, value in block._asdict().items()})


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return iso(value) if isinstance(value, datetime) else value


def sealed_read(line: bytes) -> Sealed:
    """Return the block that a line of an export says."""
    told = orjson.loads(line)
    sealed_at = datetime.fromisoformat(told.pop("sealed_at"))
    parts: dict[str, Any] = {n: bytes.fromhex(v) if isinstance(v, str) else v for n, v in told.items()}
    return Sealed(**parts, sealed_at=sealed_at)


_SKEW = 600_000 << SEQUENCE_BITS
"""How much smaller than those before it an id can be in commit order: ten minutes of ids."""


@dataclass(slots=True)
class _Leaves:
    """The leaves of the blocks around the event that is looked at: as many as fit into some minutes."""

    blocks: Iterator[tuple[int, int, dict[int, bytes]]]
    near: list[tuple[int, dict[int, bytes]]] = field(default_factory=list)
    reach: int = 0
    highest: int = 0

    def leaf_of(self, event_id: int) -> bytes | None:
        """Return the leaf that was sealed of an event; ids are asked for in rising order."""
        while self.reach < event_id + _SKEW and self._next():
            pass
        if self.near and self.near[0][0] < event_id - _SKEW:
            self.near = [(highest, leaves) for highest, leaves in self.near if highest >= event_id - _SKEW]
        return next((leaves[event_id] for _, leaves in self.near if event_id in leaves), None)

    def rest(self) -> None:
        """Look at the blocks that no event asked for."""
        while self._next():
            self.near.clear()

    def _next(self) -> bool:
        block = next(self.blocks, None)
        if block is None:
            return False
        lowest, highest, leaves = block
        self.reach, self.highest = max(self.reach, lowest), max(self.highest, highest)
        self.near.append((highest, leaves))
        return True


def export_check(folder: Path, anchors: dict[int, bytes]) -> Checked:
    """Check an export from its manifest, its files and the chain's blocks in it, without a database.

    ``anchors`` are published hashes by block number. Raises ``Invalid`` for a folder that is no export.
    """
    manifest, digest = manifest_load(folder)
    checked = Checked(digest)
    named = {MANIFEST, *(facts["name"] for facts in manifest["files"])}
    for strange in sorted({path.name for path in folder.iterdir()} - named):
        checked.problem(f"{strange} is not in the manifest")
    whole = [folder / facts["name"] for facts in manifest["files"] if _file_check(folder, facts, checked)]
    within = period_ids(*map(datetime.fromisoformat, manifest["period"]))
    leaves = _Leaves(_blocks_read([p for p in whole if p.name.startswith(BLOCKS)], anchors, within, checked))
    for path in whole:
        if path.name.startswith(EVENTS):
            _events_check(path, leaves, within, checked)
    leaves.rest()
    _whole_check(manifest, leaves.highest, checked)
    return checked


def period_ids(first: datetime, until: datetime) -> range:
    """Return the ids that surely lie inside a period, whatever an id and a time may differ by."""
    return range(id_floor(max(first + CLOCK, EPOCH)), max(id_floor(max(until - CLOCK, EPOCH)), 0))


def _whole_check(manifest: dict[str, Any], highest: int, checked: Checked) -> None:
    if manifest["form"] != EVENTS:
        return
    if checked.unsealed_first is not None and checked.unsealed_first < highest - _SKEW:
        text = f"{checked.unsealed} events, the first of them {checked.unsealed_first}, are in no block"
        checked.problem(f"{text}, and younger ones are")
    is_filtered = manifest["user_id"] is not None or manifest["account_id"] is not None
    missing = checked.sealed_within - checked.proved_within
    if missing and not is_filtered:
        checked.problem(f"{missing} events of the period were sealed and are not in the export")


def _file_check(folder: Path, facts: dict[str, Any], checked: Checked) -> bool:
    path = folder / facts["name"]
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        lines = sum(1 for _ in lines_read(path)) if found == facts["sha256"] else 0
    except (OSError, EOFError) as error:
        checked.problem(f"{facts['name']} cannot be read: {error}")
        return False
    if found != facts["sha256"] or lines != facts["lines"]:
        checked.problem(f"{facts['name']} is not the file that was exported")
        return False
    if not path.name.startswith(BLOCKS):
        checked.lines += lines
    return True


def _events_check(path: Path, leaves: _Leaves, within: range, checked: Checked) -> None:
    last = -1
    for value in lines_read(path):
        try:
            event_id = public_id_decode(Kind.EVENT, UUID(value_id(value)))
        except (NotFound, ValueError):
            checked.problem(f"{path.name}: after event {last} comes what is none")
            continue
        if event_id <= last:
            checked.problem(f"{path.name}: event {event_id} is out of order")
        last = event_id
        leaf = leaves.leaf_of(event_id)
        if leaf is None:
            checked.unsealed += 1
            checked.unsealed_first = min(checked.unsealed_first or event_id, event_id)
        elif leaf == leaf_hash(value):
            checked.proved += 1
            checked.proved_within += event_id in within
        else:
            checked.problem(f"{path.name}: event {event_id} is not the one that was sealed")


def _blocks_read(
    paths: Iterable[Path], anchors: dict[int, bytes], within: range, checked: Checked
) -> Iterator[tuple[int, int, dict[int, bytes]]]:
    """Yield each block's bounds and its leaves by event id; a block that does not hold is a problem."""
    before: Sealed | None = None
    for path in paths:
        for line in lines_read(path):
            block = sealed_read(line)
            checked.blocks += 1
            for text in _block_problems(block, before, anchors):
                checked.problem(f"block {block.block_no} {text}")
            checked.anchored += anchors.get(block.block_no) == block.hash
            before = block
            ids = places_read(block.places)[1]
            checked.sealed_within += sum(number in within for number in ids)
            yield min(ids), max(ids), dict(zip(ids, leaves_read(block.leaves), strict=True))


def _block_problems(block: Sealed, before: Sealed | None, anchors: dict[int, bytes]) -> Iterator[str]:
    content = (block.places, block.leaves, block.heads, block.previous_hash, block.sealed_at)
    if block_hash(block.block_no, block.total, *content) != block.hash:
        yield "does not have the hash of its content"
    if before and before.block_no == block.block_no - 1 and before.hash != block.previous_hash:
        yield f"does not follow from block {before.block_no}"
    if anchors.get(block.block_no, block.hash) != block.hash:
        yield "is not the one that was anchored"
