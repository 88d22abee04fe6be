"""What verifying can find wrong with the audit log, each finding as near to the record as the proof goes."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from apps.primitives.ids import ID_MAX, Kind, id_time, public_id_text

KEPT_MAX = 1_000
"""Findings kept of one piece of work: all are counted, and the first of them say where to look."""


_NEVER = datetime.max.replace(tzinfo=UTC)


class What(StrEnum):
    """How a record, a block or the chain as a whole differs from what was sealed."""

    CHANGED = "changed"
    DELETED = "deleted"
    INSERTED = "inserted"
    MOVED = "out of order"
    BLOCK_ALTERED = "block altered"
    BLOCK_MISSING = "block missing"
    ANCHOR_DIFFERS = "differs from its anchor"
    TAIL_CUT = "tail cut"
    SET_BACK = "set back"
    ANCHOR_DAMAGED = "anchors damaged"
    ARCHIVE_DAMAGED = "archive damaged"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: with an event, with blocks, or with what is kept elsewhere."""

    what: What
    text: str
    event_id: int | None = None
    block_no: int | None = None
    at: datetime | None = None

    def __str__(self) -> str:
        where = [] if self.block_no is None else [f"block {self.block_no}"]
        if self.event_id is not None:
            where.append(f"event {self.event_id}{_public(self.event_id)}")
        if self.at is not None:
            where.append(f"of {self.at:%Y-%m-%d %H:%M:%S.%f}Z")
        return f"{self.what}: {' '.join(where)}{': ' if where else ''}{self.text}"

    @property
    def order(self) -> tuple[datetime, int]:
        """Return what findings are sorted by: time, where what has none comes last, and block."""
        return (self.at or _NEVER, self.block_no or 0)


def _public(event_id: int) -> str:
    return f" ({public_id_text(Kind.EVENT, event_id)})" if 0 <= event_id <= ID_MAX else ""


@dataclass(slots=True)
class Findings:
    """The first findings and the count of all, by what they are."""

    kept_max: int = KEPT_MAX
    kept: list[Finding] = field(default_factory=list)
    counts: Counter[What] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Count one, and keep it while there is room."""
        self.counts[finding.what] += 1
        if len(self.kept) < self.kept_max:
            self.kept.append(finding)

    def event(self, what: What, text: str, event_id: int, block_no: int | None = None) -> None:
        """Add a finding about one event."""
        self.add(Finding(what, text, event_id, block_no, _time(event_id)))

    def block(self, what: What, text: str, block_no: int, at: datetime | None = None) -> None:
        """Add a finding about one block."""
        self.add(Finding(what, text, None, block_no, at))

    def missing(self, first: int, last: int, at: datetime | None = None) -> None:
        """Add that blocks are not there; ``at`` is when the one after them was sealed."""
        self.block(What.BLOCK_MISSING, f"blocks {first} to {last} are not there", first, at)

    def merge(self, others: "Findings") -> None:
        """Take in what another piece of work found."""
        self.counts.update(others.counts)
        self.kept.extend(others.kept[: max(self.kept_max - len(self.kept), 0)])


def _time(event_id: int) -> datetime | None:
    return id_time(event_id) if 0 <= event_id <= ID_MAX else None
