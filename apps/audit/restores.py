"""Where anchors say that the chain was set back: a restore does that, and whoever hides a cut tail."""

from collections.abc import Iterable
from dataclasses import dataclass

from apps.audit.findings import Finding, What
from apps.audit.skeleton import Stretch
from apps.events.anchors import Anchor
from apps.events.relay import LOOK_BACK_IDS


@dataclass(frozen=True, slots=True)
class SetBack:
    """A new start that voids anchors: ``newest`` is the last of them, and what it vouched for is gone."""

    start: Anchor
    newest: Anchor

    def touches(self, stretch: Stretch) -> bool:
        """Return whether what was lost may have been sealed in the stretch."""
        since = min(self.start.event_id, self.newest.event_id)
        return stretch.low - LOOK_BACK_IDS <= self.newest.event_id and since - LOOK_BACK_IDS <= stretch.high

    def __str__(self) -> str:
        lost = max(self.newest.events - self.start.events, 0)
        return (
            f"the anchors begin anew here, and had been told up to block {self.newest.block_no}: at least "
            f"{lost} events that were sealed are not in this chain"
        )

    @property
    def finding(self) -> Finding:
        """Return it as what is wrong, unless somebody answers for the restore."""
        return Finding(What.SET_BACK, str(self), None, self.start.block_no, self.start.sealed_at)


class NewStarts:
    """The new starts of one place of anchors, read in the order in which they were told."""

    def __init__(self, lines: Iterable[tuple[str, Anchor | str]]) -> None:
        self.set_backs: list[SetBack] = []
        self._starts: list[tuple[int, int]] = []
        newest: Anchor | None = None
        for number, (_, anchor) in enumerate(lines):
            if isinstance(anchor, str):
                continue
            if anchor.is_new_start:
                self._starts.append((number, anchor.block_no))
                if newest is not None and _loses(anchor, newest):
                    self.set_backs.append(SetBack(anchor, newest))
                newest = anchor
            elif newest is None or anchor.block_no >= newest.block_no:
                newest = anchor

    def void(self, number: int, anchor: Anchor) -> bool:
        """Return whether a later new start voids what the line of this number says."""
        return any(number < start and anchor.block_no >= block_no for start, block_no in self._starts)


def _loses(start: Anchor, newest: Anchor) -> bool:
    is_same = start.block_no == newest.block_no and start.hash == newest.hash
    return start.block_no <= newest.block_no and not is_same
