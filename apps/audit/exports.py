"""Exports of events: a folder with a file for each day, the chain's blocks that cover it, and a manifest.

Whoever gets one needs nothing of ours to check it: the manifest has the SHA-256 of every file, each event's
own hash stands in a block, and the blocks' hashes in anchors that were published when the events were young.
"""

import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from apps.events.chain import HASH_BYTES, heads_read
from apps.events.types import EventType
from apps.primitives.clock import iso
from apps.primitives.errors import Invalid
from apps.primitives.ids import ID_MAX

FORMAT = "openbell export 1"
MANIFEST = "manifest.json"
EVENTS, CAT, BLOCKS = "events", "cat", "blocks"
FORMS = (EVENTS, CAT)
CLOCK = timedelta(seconds=1)
"""By how much an event's id and its time may differ."""

WITHHELD = tuple(kind for kind in EventType if kind.startswith("SURVEILLANCE_"))
"""What is of a person and not for them: it names other parties, and tells that they are watched."""

_ID_AT, _TIME_AT = slice(13, 49), slice(64, 91)
"""Where an event's bytes say which it is and when it was written: what comes before is as long always."""

_WHOSE = re.compile(
    rb'.{91}","topic":"[^"]*","event_type":"([^"]*)","user_id":(-?[0-9]+),"account_id":(-?[0-9]+|null),', re.S
)


def value_id(value: bytes) -> str:
    """Return an event's public id, as its bytes say it."""
    return value[_ID_AT].decode()


def value_time(value: bytes) -> str:
    """Return when an event was written, as its bytes say it."""
    return value[_TIME_AT].decode()


def value_whose(value: bytes) -> tuple[str, int, int | None]:
    """Return an event's type, user and account, as its bytes say them; raises ``ValueError``."""
    found = _WHOSE.match(value)
    if found is None:
        raise ValueError("these bytes are no event")
    kind, user_id, account_id = found.groups()
    return kind.decode(), int(user_id), None if account_id == b"null" else int(account_id)


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
        _manifest_check(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Invalid("no_export", f"{folder} is no export: {error or repr(error)}") from None
    return found, hashlib.sha256(text).hexdigest()


def _manifest_check(found: dict[str, Any]) -> None:
    """Raise ``ValueError`` or the like for a manifest that cannot be gone by."""
    if found["form"] not in FORMS or not isinstance(found.get("with_surveillance", True), bool):
        raise ValueError("its manifest is none")
    instants = [datetime.fromisoformat(text) for text in (*found["period"], found["made_at"])]
    if len(instants) != 3 or any(instant.tzinfo is None for instant in instants):
        raise ValueError("its period is none")
    if any(not isinstance(found[name], int | None) for name in ("user_id", "account_id")):
        raise ValueError("it is of nobody")
    for facts in found["files"]:
        if Path(facts["name"]).name != facts["name"] or not isinstance(facts["lines"] + 0, int):
            raise ValueError(f"{facts['name']!r} is no file of it")
        if not isinstance(facts["sha256"], str):
            raise ValueError(f"{facts['name']} has no digest")


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
    """Return the block that a line of an export says; raises ``ValueError`` for a line that is none."""
    try:
        told = orjson.loads(line)
        sealed_at = datetime.fromisoformat(told.pop("sealed_at"))
        parts: dict[str, Any] = {n: bytes.fromhex(told.pop(n)) for n in _BYTES}
        block = Sealed(**told, **parts, sealed_at=sealed_at)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no block: {error!r}") from error
    numbers = (block.block_no, block.total)
    if sealed_at.tzinfo is None or not all(type(n) is int and 0 < n <= ID_MAX for n in numbers):
        raise ValueError("its numbers or its instant are none")
    count = len(block.places) // PLACE_BYTES
    if not count or len(block.places) % PLACE_BYTES or len(block.leaves) != count * HASH_BYTES:
        raise ValueError("its places and its leaves are not of the same events")
    return block


_BYTES = ("places", "leaves", "heads", "previous_hash", "hash")
PLACE_BYTES = 16


def block_facts(block: Sealed | None) -> dict[str, Any] | None:
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
