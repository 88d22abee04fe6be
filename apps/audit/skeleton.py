"""The chain's blocks in order, cut into units of work, and compared with their anchors on the way."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from apps.audit.archives import Archive
from apps.audit.findings import KEPT_MAX, Finding, Findings, What
from apps.audit.units import Standing, Unit
from apps.events.anchors import Anchor
from apps.events.chain import HEADS_EVERY, NOTHING, heads_kept, heads_read, ids_range
from apps.primitives.ids import ID_MAX, id_span

ID_MIN = -(2**63)
UNIT_EVENTS = 40_000
UNIT_BLOCKS = 2_000
PAGE_BLOCKS = 2_000

NEAR = id_span(timedelta(hours=1))
"""How far around a stretch without blocks its neighbours are looked for at first, in ids."""

GAP_BLOCKS, GAP_TIME = 20, timedelta(minutes=1)
"""More blocks than that, in a longer time than that, are never without an anchor where anchors are told."""

PAGE_SQL = f"""
SELECT block_no, events, total, lowest_event_id, highest_event_id, heads, hash, sealed_at
FROM event_blocks WHERE block_no > %s AND block_no <= %s ORDER BY block_no LIMIT {PAGE_BLOCKS}
"""

BEFORE_SQL = (
    "SELECT block_no, total, hash FROM event_blocks WHERE block_no < %s ORDER BY block_no DESC LIMIT 1"
)

STRETCH_SQL = """
SELECT min(block_no), max(block_no) FROM event_blocks
WHERE int8range(lowest_event_id - 1, highest_event_id) && int8range(%s, %s)
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which records are verified: ids from ``low`` to ``high``; everything by default."""

    low: int = ID_MIN
    high: int = ID_MAX

    @property
    def is_whole(self) -> bool:
        return self == Stretch()

    @property
    def is_open(self) -> bool:
        """Say whether it has no end: then the chain's last block is its last."""
        return self.high >= ID_MAX


@dataclass(frozen=True, slots=True)
class Bone:
    """What a block says of itself, without its leaves and places."""

    block_no: int
    events: int
    total: int
    low: int
    high: int
    heads: bytes
    hash: bytes
    sealed_at: datetime


def bones_read(session: Any, first: int, last: int) -> Iterator[Bone]:
    """Yield the blocks from ``first`` to ``last`` in order, by pages: no snapshot is held on the way."""
    after = first - 1
    while rows := session.execute(PAGE_SQL, (after, last), binary=True).fetchall():
        for row in rows:
            yield Bone(*row)
        after = rows[-1][0]


class Cutting:
    """Cuts blocks into units that together cover every id of the stretch, each id once.

    It remembers what comes before the next unit: its hash, its count and, where they are known, its heads.
    """

    def __init__(
        self,
        stretch: Stretch,
        standing: Standing,
        archives: Iterable[Archive],
        session: Any,
        kept_max: int = KEPT_MAX,
    ) -> None:
        self.stretch, self.standing, self.archives = stretch, standing, tuple(archives)
        self.kept_max = kept_max
        self.session = session
        self.first, self.last = self._bounds()
        self._reach = stretch.low - 1
        self._next_no = self.first
        self.before_no = 0
        """The block before the first as it is there: any other than ``first - 1`` says that some are gone."""
        self._hash, self._total, self._heads = self._before()
        self.before_hash, self.before_total = self._hash, self._total

    def _bounds(self) -> tuple[int, int]:
        if self.stretch.is_whole:
            row = self.session.execute("SELECT 1, max(block_no) FROM event_blocks").fetchone()
        else:
            row = self.session.execute(STRETCH_SQL, ids_range(self.stretch.low, self.stretch.high)).fetchone()
        if row and row[1] is not None:
            return row[0], row[1]
        nearest = 0 if self.stretch.is_whole else self._nearest_below()
        return nearest + 1, nearest

    def _nearest_below(self) -> int:
        """Return the last block of the ids below a stretch that has none, 0 where no block is."""
        width = NEAR
        while self.stretch.low > ID_MIN:
            low = self.stretch.low - width
            row = self.session.execute(STRETCH_SQL, ids_range(low, self.stretch.low - 1)).fetchone()
            if row[1] is not None or low <= ID_MIN:
                return row[1] or 0
            width *= 4
        return 0

    def _before(self) -> tuple[bytes | None, int, dict[int, bytes] | None]:
        if self.first == 1:
            return NOTHING, 0, {}
        row = self.session.execute(BEFORE_SQL, (self.first,), binary=True).fetchone()
        self.before_no = row[0] if row else 0
        if self.before_no != self.first - 1:
            return None, 0, None
        return row[2], row[1], self._heads_before()

    def _heads_before(self) -> dict[int, bytes] | None:
        """Return the heads before the first block, from the last that keeps them all and those since."""
        whole_no = (self.first - 1) - (self.first - 1) % HEADS_EVERY
        heads: dict[int, bytes] = {}
        expected_no = max(whole_no, 1)
        for bone in bones_read(self.session, expected_no, self.first - 1):
            if bone.block_no != expected_no:
                return None
            heads |= _heads_of(bone)
            expected_no += 1
        return heads

    def units(self, bones: Iterable[Bone]) -> Iterator[Unit]:
        """Yield the units, the records between and after the blocks among them."""
        some: list[Bone] = []
        events = 0
        for bone in bones:
            some.append(bone)
            events += bone.events
            if events >= UNIT_EVENTS or len(some) >= UNIT_BLOCKS:
                yield self._unit(some)
                some, events = [], 0
        if some:
            yield self._unit(some)
        if self._reach < self.stretch.high:
            yield self._made(self._next_no, self._next_no - 1, self._reach + 1, self.stretch.high)

    def _unit(self, bones: list[Bone]) -> Unit:
        high = max(max(bone.high for bone in bones), self._reach)
        low = min(min(bone.low for bone in bones), self._reach + 1)
        unit = self._made(self._next_no, bones[-1].block_no, low, high)
        self._pass(bones)
        self._reach = high
        return unit

    def _made(self, first: int, last: int, low: int, high: int) -> Unit:
        archives = tuple(a for a in self.archives if a.low <= high and a.high >= low)
        heads = None if self._heads is None else heads_kept(0, self._heads, set())
        return Unit(
            first, last, low, high, self._hash, self._total, heads, self.standing, archives, self.kept_max
        )

    def _pass(self, bones: list[Bone]) -> None:
        for bone in bones:
            if bone.block_no != self._next_no:
                self._heads = None
            if self._heads is not None:
                self._heads |= _heads_of(bone)
            elif bone.block_no % HEADS_EVERY == 0:
                self._heads = _heads_of(bone)
            self._hash, self._total, self._next_no = bone.hash, bone.total, bone.block_no + 1


def _heads_of(bone: Bone) -> dict[int, bytes]:
    try:
        return heads_read(bone.heads)
    except ValueError:
        return {}


@dataclass(slots=True)
class Anchored:
    """What comparing with anchors came to."""

    matched: int = 0
    voided: int = 0
    newest_no: int = 0
    """The last block that an anchor speaks of."""
    gaps: list[tuple[Bone, Bone]] = field(default_factory=list)
    """From which block to which anchors are missing that would have been told."""
    first_differing: Anchor | None = None
    last_matching: Anchor | None = None

    def merge(self, other: "Anchored") -> None:
        """Add what another place's anchors came to."""
        self.matched += other.matched
        self.gaps += other.gaps


class AnchorWatch:
    """Holds the blocks that pass by against the anchors, which come in the order of their blocks."""

    def __init__(self, anchors: Iterable[Anchor], findings: Findings) -> None:
        self.anchored = Anchored()
        self.findings = findings
        self._anchors = iter(anchors)
        self._next = next(self._anchors, None)
        self._since: Bone | None = None

    @property
    def next_no(self) -> int:
        """Return the block of the next anchor, 0 when there is none."""
        return self._next.block_no if self._next is not None else 0

    def pass_by(self, bone: Bone) -> None:
        """Compare the anchors of this block, and tell those of blocks before it that are not there."""
        self._since = self._since or bone
        while self._next is not None and self._next.block_no <= bone.block_no:
            anchor = self._next
            self._next = next(self._anchors, None)
            if anchor.block_no < bone.block_no:
                self._differs(anchor, "no such block is there")
            elif anchor.hash != bone.hash:
                self._differs(anchor, "the block has another hash than was anchored")
            elif anchor.events != bone.total:
                self._differs(anchor, f"it was anchored with {anchor.events} events, not {bone.total}")
            else:
                self.anchored.matched += 1
                self._vouched(bone)
                if self.anchored.first_differing is None:
                    self.anchored.last_matching = anchor

    def end(self, last_no: int, total: int, newest_no: Callable[[], int]) -> None:
        """Tell what was anchored beyond the last block, unless it was sealed while we were reading."""
        rest = [self._next, *self._anchors] if self._next is not None else []
        sealed_no = newest_no() if rest else 0
        rest = [anchor for anchor in rest if anchor is not None and anchor.block_no > sealed_no]
        if not rest:
            return
        newest = rest[-1]
        after = f"block {last_no}" if last_no else "the beginning"
        text = (
            f"blocks after {after} were anchored up to block {newest.block_no}, and are not there: at least "
            f"{max(newest.events - total, 0)} events of the tail are missing"
        )
        self.findings.add(Finding(What.TAIL_CUT, text, None, newest.block_no, newest.sealed_at))

    def _vouched(self, bone: Bone) -> None:
        first, self._since = self._since or bone, None
        many = bone.block_no - first.block_no > GAP_BLOCKS
        if many and bone.sealed_at - first.sealed_at > GAP_TIME:
            self.anchored.gaps.append((first, bone))

    def _differs(self, anchor: Anchor, text: str) -> None:
        if self.anchored.first_differing is None:
            self.anchored.first_differing = anchor
            matching = self.anchored.last_matching
            since = "the beginning" if matching is None else f"block {matching.block_no}"
            text += f"; what was sealed after {since} may have been made anew"
        finding = Finding(What.ANCHOR_DIFFERS, text, None, anchor.block_no, anchor.sealed_at)
        self.findings.add(finding)
