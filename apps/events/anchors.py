"""Anchors: where the chain stood, told to places that whoever rules the database does not rule.

Only they show that a tail was cut together with its blocks, or that the whole chain was made anew. An anchor
has the form of an event of type CHAIN_ANCHORED and user 0, in a file one a line and in Kafka.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from apps.events.chain import Tip
from apps.events.facts import SYSTEM_METADATA
from apps.events.sealing import tip_read
from apps.events.types import EventType
from apps.primitives.clock import iso
from apps.primitives.failpoints import failpoint

logger = logging.getLogger(__name__)

EVERY_S = 5.0
"""How often the chain's tip is anchored: what is younger can be cut unseen."""

HEADS_EVERY = timedelta(minutes=10)
"""How often an anchor carries the heads of all topic partitions; in between its hash vouches for them."""

_TAIL_BYTES = 64 * 1024
"""More than the longest line, which carries a hundred heads."""

_FILES = "anchors_*.jsonl"

_LAST_SQL = "SELECT last_xact_id, last_event_id, sealed_at FROM event_blocks WHERE block_no = %s"
_HASH_SQL = "SELECT hash FROM event_blocks WHERE block_no = %s"


class AnchorDisagrees(RuntimeError):
    """The chain in the database is not the one that was anchored: nothing is written over that."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The chain's tip at one moment; ``is_new_start`` voids what earlier anchors say of later blocks."""

    block_no: int
    hash: bytes
    xact_id: int
    event_id: int
    events: int
    sealed_at: datetime
    heads: dict[int, bytes] | None = None
    is_new_start: bool = False

    def value(self, with_heads: bool = True) -> bytes:
        """Return the anchor's message; the same block gives the same event id."""
        data: dict[str, Any] = {
            "block_no": self.block_no,
            "hash": self.hash.hex(),
            "xact_id": self.xact_id,
            "event_id": self.event_id,
            "events": self.events,
        }
        if with_heads and self.heads is not None:
            data["heads"] = {str(partition): head.hex() for partition, head in sorted(self.heads.items())}
        if self.is_new_start:
            data["is_new_start"] = True
        message = {
            "event_id": str(_public_id(self.hash)),
            "timestamp": iso(self.sealed_at),
            "topic": EventType.CHAIN_ANCHORED.topic,
            "event_type": EventType.CHAIN_ANCHORED,
            "user_id": 0,
            "account_id": None,
            "account_seq": None,
            "data": data,
            "metadata": SYSTEM_METADATA,
        }
        return orjson.dumps(message)


def _public_id(block_hash: bytes) -> UUID:
    """Return a UUIDv8 of the first bits of a block's hash."""
    free = int.from_bytes(block_hash[:16], "big") & ~(0xF << 76 | 0x3 << 62)
    return UUID(int=free | 8 << 76 | 2 << 62)


def anchor_read(value: bytes) -> Anchor:
    """Return the anchor that a message says; raises ``ValueError`` for anything else."""
    try:
        message = orjson.loads(value)
        if message["event_type"] != EventType.CHAIN_ANCHORED or message["user_id"] != 0:
            raise ValueError("it is no anchor")
        data = message["data"]
        heads = data.get("heads")
        return Anchor(
            block_no=int(data["block_no"]),
            hash=bytes.fromhex(data["hash"]),
            xact_id=int(data["xact_id"]),
            event_id=int(data["event_id"]),
            events=int(data["events"]),
            sealed_at=datetime.fromisoformat(message["timestamp"]),
            heads=None if heads is None else {int(p): bytes.fromhex(head) for p, head in heads.items()},
            is_new_start=bool(data.get("is_new_start", False)),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no anchor: {error!r}") from error


def anchor_newest() -> Anchor | None:
    """Return the anchor of the chain's present tip; None before the first block."""
    with connection.cursor() as cursor:
        tip: Tip = tip_read(cursor)
        if not tip.block_no:
            return None
        cursor.execute(_LAST_SQL, (tip.block_no,))
        xact_id, event_id, sealed_at = cursor.fetchone()
    return Anchor(tip.block_no, tip.hash, xact_id, event_id, tip.total, sealed_at, dict(tip.heads))


def block_hash_read(block_no: int) -> bytes | None:
    """Return the hash of a block as the database has it now; None when it has no such block."""
    with connection.cursor() as cursor:
        cursor.execute(_HASH_SQL, (block_no,))
        row = cursor.fetchone()
    return None if row is None else bytes(row[0])


def anchor_succeeds(
    last: Anchor, anchor: Anchor, hash_of: Callable[[int], bytes | None] = block_hash_read
) -> bool:
    """Return whether an anchor says more than the last one told; raises ``AnchorDisagrees``."""
    if anchor.is_new_start:
        return True
    if anchor.block_no == last.block_no and anchor.hash == last.hash:
        return False
    if anchor.block_no <= last.block_no or hash_of(last.block_no) != last.hash:
        raise AnchorDisagrees(
            f"block {last.block_no} was anchored with the hash {last.hash.hex()[:16]}…, and the database "
            "has another, or no such block: the chain was cut or made anew. Look with "
            "`manage.py audit_verify`. After a restore, `manage.py events_rebase` begins a new start."
        )
    return True


class AnchorFiles:
    """The folder of daily files, each line of which is on the disk before the next is written."""

    def __init__(self, folder: Path, hash_of: Callable[[int], bytes | None] = block_hash_read) -> None:
        self.folder = folder
        self.hash_of = hash_of
        self._heads_at: datetime | None = None

    def __call__(self, anchor: Anchor) -> None:
        """Append an anchor unless it is the last already.

        Raises ``AnchorDisagrees`` when the database no longer has the block that was anchored last, and
        ``OSError``.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = os.open(self.folder, os.O_RDONLY)
        try:
            # Two relays may run for a moment: each line follows from the one before it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            path, last = self._last()
            if last is None or anchor_succeeds(last, anchor, self.hash_of):
                self._append(anchor, path, lock)
        finally:
            os.close(lock)

    def _last(self) -> tuple[Path | None, Anchor | None]:
        """Return the newest file and its last whole line; a line that a crash cut off is taken away."""
        for path in sorted(self.folder.glob(_FILES), reverse=True):
            with path.open("rb+") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - _TAIL_BYTES, 0))
                whole, newline, torn = file.read().rpartition(b"\n")
                if torn:
                    logger.warning("%s ended in half a line, which is taken away", path)
                    file.truncate(size - len(torn))
            if newline:
                return path, anchor_read(whole.rpartition(b"\n")[2])
        return None, None

    def _append(self, anchor: Anchor, newest: Path | None, folder: int) -> None:
        path = self.folder / f"anchors_{anchor.sealed_at:%Y_%m_%d}.jsonl"
        if newest is not None and newest > path:
            path = newest
        is_new = not path.exists()
        due = self._heads_at is None or anchor.sealed_at - self._heads_at >= HEADS_EVERY
        line = anchor.value(with_heads=is_new or due) + b"\n"
        with path.open("ab", buffering=0) as file:
            file.write(line[:40])
            failpoint("anchor.mid_write", block_no=anchor.block_no)
            file.write(line[40:])
            os.fsync(file.fileno())
        if is_new:
            os.fsync(folder)
        if is_new or due:
            self._heads_at = anchor.sealed_at


def anchors_list(folder: Path) -> Iterator[tuple[str, Anchor | str]]:
    """Yield every line of the files in order: where it stands, and its anchor or why it is none.

    A last line that a crash cut off counts as never written.
    """
    for path in sorted(folder.glob(_FILES)):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    yield f"{path.name}:{number}", anchor_read(line)
                except ValueError as error:
                    yield f"{path.name}:{number}", str(error)


def anchors_run(
    tell: Callable[[Anchor], None], wait: Callable[[float], object], stopping: Callable[[], bool]
) -> None:
    """Tell the chain's tip every few seconds until asked to stop.

    What cannot be told now is told later, with whatever the tip is then: an anchor vouches for all before it.
    A chain that is not the one that was told is an alarm, a place that is away is a warning.
    """
    trouble = ""
    while not stopping():
        anchor = anchor_newest()
        try:
            if anchor is not None:
                tell(anchor)
            if trouble:
                logger.warning("the chain is anchored again")
            trouble = ""
        except AnchorDisagrees as error:
            if str(error) != trouble:
                logger.error("the chain is not anchored: %s", error)
            trouble = str(error)
        except OSError as error:
            if str(error) != trouble:
                logger.warning("the anchor is not told yet: %s", error)
            trouble = str(error)
        wait(EVERY_S)


def anchors_restart(folder: Path) -> Anchor | None:
    """Begin a new start where the files disagree with the chain after a restore; returns its anchor, if any.

    The lines before stay: verifying goes on to say what they had and is gone, until somebody answers for it.
    """
    anchor = anchor_newest()
    files = AnchorFiles(folder)
    if anchor is None:
        return None
    try:
        files(anchor)
    except AnchorDisagrees:
        files(replace(anchor, is_new_start=True))
        return anchor
    return None
