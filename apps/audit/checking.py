"""Checking an export: by its manifest, the chain's blocks in it and published anchors, without a database.

A manifest can be made to fit whatever the files were made into. So nothing is taken from it that the blocks
can say: an export of everybody has every block from its first to its last, and every event that they sealed
inside the period; an export of one person has that person's alone.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from apps.audit.exports import (
    BLOCKS,
    CLOCK,
    EVENTS,
    MANIFEST,
    WITHHELD,
    Sealed,
    block_facts,
    lines_read,
    manifest_load,
    sealed_read,
    value_id,
    value_whose,
)
from apps.events.anchors import Anchor
from apps.events.chain import HASH_BYTES, block_hash, leaf_hash, leaves_read, places_read
from apps.events.relay import LOOK_BACK_IDS
from apps.primitives.errors import NotFound
from apps.primitives.ids import EPOCH, Kind, id_floor, public_id_decode

SEALING = timedelta(seconds=10)
"""Blocks sealed so shortly before an export began may have been committed after it."""

PROBLEMS_KEPT = 100


@dataclass(slots=True)
class Checked:
    """What checking an export came to; ``problems`` are in the order in which they were met."""

    manifest_sha256: str
    form: str = EVENTS
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
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(text)


def export_check(folder: Path, anchors: Mapping[int, Anchor]) -> Checked:
    """Check an export against itself and against anchors by block number.

    Raises ``Invalid`` for a folder that is no export.
    """
    manifest, digest = manifest_load(folder)
    checked = Checked(digest, manifest["form"])
    named = {MANIFEST, *(facts["name"] for facts in manifest["files"])}
    for strange in sorted({path.name for path in folder.iterdir()} - named):
        checked.problem(f"{strange} is not in the manifest")
    whole = [folder / facts["name"] for facts in manifest["files"] if _file_check(folder, facts, checked)]
    said = _Said.read(manifest)
    if said.until > said.made_at:
        checked.problem("the period ends after the export was made")
    blocks = _Blocks([p for p in whole if p.name.startswith(BLOCKS)], anchors, said, checked)
    leaves = _Leaves(blocks.read())
    _events_check([p for p in whole if p.name.startswith(EVENTS)], leaves, said, checked)
    leaves.rest()
    blocks.ends_check(manifest)
    if manifest["form"] == EVENTS:
        _whole_check(leaves.highest, said, checked)
    return checked


def period_ids(first: datetime, until: datetime) -> range:
    """Return the ids that surely lie inside a period, whatever an id and a time may differ by."""
    return range(id_floor(max(first + CLOCK, EPOCH)), max(id_floor(max(until - CLOCK, EPOCH)), 0))


@dataclass(frozen=True, slots=True)
class _Said:
    """What a manifest says the export is of; ``within`` are ids that surely lie inside its period."""

    made_at: datetime
    until: datetime
    within: range
    user_id: int | None
    account_id: int | None
    with_surveillance: bool

    @classmethod
    def read(cls, manifest: dict[str, Any]) -> "_Said":
        first, until = map(datetime.fromisoformat, manifest["period"])
        return cls(
            made_at=datetime.fromisoformat(manifest["made_at"]),
            until=until,
            within=period_ids(first, until),
            user_id=manifest["user_id"],
            account_id=manifest["account_id"],
            with_surveillance=manifest.get("with_surveillance", True),
        )

    @property
    def is_of_all(self) -> bool:
        return self.user_id is None and self.account_id is None

    def strangeness(self, value: bytes) -> str | None:
        """Return why an event has no place in the export of one person; raises ``ValueError``."""
        kind, user_id, account_id = value_whose(value)
        if self.user_id not in (None, user_id) or self.account_id not in (None, account_id):
            return "is somebody else's"
        if kind in WITHHELD and not self.with_surveillance:
            return "tells what surveillance found"
        return None


@dataclass(slots=True)
class _Leaves:
    """The leaves of the blocks around the event that is looked at: as many as fit into some minutes."""

    blocks: Iterator[tuple[int, int, dict[int, bytes]]]
    near: list[tuple[int, dict[int, bytes]]] = field(default_factory=list)
    reach: int = 0
    highest: int = 0

    def leaf_of(self, event_id: int) -> bytes | None:
        """Return the leaf that was sealed of an event; ids are asked for in rising order."""
        while self.reach < event_id + LOOK_BACK_IDS and self._next():
            pass
        gone = event_id - LOOK_BACK_IDS
        if self.near and self.near[0][0] < gone:
            self.near = [(highest, leaves) for highest, leaves in self.near if highest >= gone]
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


class _Blocks:
    """The chain's blocks as an export has them, judged one after the other."""

    def __init__(
        self, paths: Iterable[Path], anchors: Mapping[int, Anchor], said: _Said, checked: Checked
    ) -> None:
        self.paths, self.anchors, self.said, self.checked = paths, anchors, said, checked
        self.first: Sealed | None = None
        self.last: Sealed | None = None
        self.owed = {
            number
            for number, anchor in anchors.items()
            if said.is_of_all
            and anchor.event_id in said.within
            and anchor.sealed_at <= said.made_at - SEALING
        }
        """Blocks that were anchored, and that an export of everybody has to have."""

    def read(self) -> Iterator[tuple[int, int, dict[int, bytes]]]:
        """Yield each block's bounds and its leaves by event id; a block that does not hold is a problem."""
        for path in self.paths:
            for number, line in enumerate(lines_read(path), 1):
                try:
                    block = sealed_read(line)
                except ValueError as error:
                    self.checked.problem(f"{path.name}: line {number} is no block: {error}")
                    continue
                yield self._block(block)

    def _block(self, block: Sealed) -> tuple[int, int, dict[int, bytes]]:
        checked, anchor = self.checked, self.anchors.get(block.block_no)
        checked.blocks += 1
        for text in self._problems(block, anchor):
            checked.problem(f"block {block.block_no} {text}")
        checked.anchored += anchor is not None and anchor.hash == block.hash
        self.owed.discard(block.block_no)
        self.first, self.last = self.first or block, block
        ids = places_read(block.places)[1]
        checked.sealed_within += sum(number in self.said.within for number in ids)
        return min(ids), max(ids), dict(zip(ids, leaves_read(block.leaves), strict=True))

    def _problems(self, block: Sealed, anchor: Anchor | None) -> Iterator[str]:
        content = (block.places, block.leaves, block.heads, block.previous_hash, block.sealed_at)
        if block_hash(block.block_no, block.total, *content) != block.hash:
            yield "does not have the hash of its content"
        if anchor is not None and anchor.hash != block.hash:
            yield "is not the one that was anchored"
        before = self.last
        if before is None:
            return
        is_next = block.block_no == before.block_no + 1
        if is_next and before.hash != block.previous_hash:
            yield f"does not follow from block {before.block_no}"
        if self.said.is_of_all and not is_next:
            yield f"comes after block {before.block_no}: those in between are not in the export"
        elif is_next and block.total != before.total + len(block.leaves) // HASH_BYTES:
            yield f"counts {block.total} events, and block {before.block_no} {before.total}"

    def ends_check(self, manifest: dict[str, Any]) -> None:
        """Compare the first and the last block with the manifest, and all with the anchors."""
        for end, block in (("first_block", self.first), ("last_block", self.last)):
            try:
                is_same = block_facts(block) == manifest.get(end)
            except ValueError:
                is_same = False
            if not is_same:
                self.checked.problem(f"the {end.replace('_', ' ')} is not the one that the manifest names")
        for number in sorted(self.owed):
            self.checked.problem(f"block {number} was anchored and is not in the export")


def _whole_check(highest: int, said: _Said, checked: Checked) -> None:
    if checked.unsealed_first is not None and checked.unsealed_first < highest - LOOK_BACK_IDS:
        text = f"{checked.unsealed} events, the first of them {checked.unsealed_first}, are in no block"
        checked.problem(f"{text}, and younger ones are")
    missing = checked.sealed_within - checked.proved_within
    if missing and said.is_of_all:
        checked.problem(f"{missing} events of the period were sealed and are not in the export")


def _file_check(folder: Path, facts: dict[str, Any], checked: Checked) -> bool:
    path = folder / facts["name"]
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        lines = sum(1 for _ in lines_read(path)) if found == facts["sha256"] else 0
    except (OSError, EOFError, zlib.error) as error:
        checked.problem(f"{facts['name']} cannot be read: {error}")
        return False
    if found != facts["sha256"] or lines != facts["lines"]:
        checked.problem(f"{facts['name']} is not the file that was exported")
        return False
    if not path.name.startswith(BLOCKS):
        checked.lines += lines
    return True


def _events_check(paths: Iterable[Path], leaves: _Leaves, said: _Said, checked: Checked) -> None:
    """Judge every event; ids rise over all files, so that none is counted twice for one that is gone."""
    last = -1
    for path in paths:
        for value in lines_read(path):
            try:
                event_id = public_id_decode(Kind.EVENT, UUID(value_id(value)))
                strange = None if said.is_of_all else said.strangeness(value)
            except (NotFound, ValueError):
                checked.problem(f"{path.name}: after event {last} comes what is none")
                continue
            if strange:
                checked.problem(f"{path.name}: event {event_id} {strange}")
            if event_id <= last:
                checked.problem(f"{path.name}: event {event_id} is out of order")
                continue
            last = event_id
            _event_check(path, event_id, value, leaves.leaf_of(event_id), said, checked)


def _event_check(
    path: Path, event_id: int, value: bytes, leaf: bytes | None, said: _Said, checked: Checked
) -> None:
    if leaf is None:
        checked.unsealed += 1
        checked.unsealed_first = min(checked.unsealed_first or event_id, event_id)
    elif leaf == leaf_hash(value):
        checked.proved += 1
        checked.proved_within += event_id in said.within
    else:
        checked.problem(f"{path.name}: event {event_id} is not the one that was sealed")
