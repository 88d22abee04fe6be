"""What a group of orders does next: a pure decision on how its members stand after a booked batch.

Exits sell what an entry has bought, or what a position holds. Of a pair only the take-profit is in the
engine; the stop-loss waits in the books, armed, until a trade at or beyond its stop. Then the take-profit is
withdrawn, and only when it is gone does the stop-loss go to the engine: no order of events sells the same
shares twice.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

from apps.primitives.fix import LIVE_STATUSES, OrdStatus


class Withdrawal(IntEnum):
    """Why the books themselves take an order off: the argument of their CANCEL command; a person's has 0."""

    GROUP = 1
    OCO = 2


class ActKind(StrEnum):
    RESIZE = "RESIZE"
    """A waiting leg sells ``quantity`` in all."""
    RESERVE = "RESERVE"
    """A waiting leg holds ``quantity`` shares: what its entry has bought so far."""
    RELEASE = "RELEASE"
    """A waiting leg takes its hold and goes to the engine as what it is."""
    ARM = "ARM"
    """From here on a trade at or beyond its stop triggers the waiting stop-loss."""
    TRIGGER = "TRIGGER"
    """The stop-loss was reached."""
    FIRE = "FIRE"
    """The triggered stop-loss takes its hold and goes to the engine to trade at once."""
    WITHDRAW = "WITHDRAW"
    """An order in the engine is to be cancelled, for ``reason``."""
    END = "END"
    """A waiting leg is cancelled, for ``reason``."""


class Act(NamedTuple):
    """One thing to do to one member."""

    kind: ActKind
    order_id: int
    quantity: int = 0
    reason: Withdrawal = Withdrawal.GROUP


@dataclass(frozen=True, slots=True)
class Member:
    """One order of a group as it stands after the batch; ``is_new`` when it replaced another in it."""

    order_id: int
    status: OrdStatus
    quantity: int
    filled: int = 0
    reserved: int = 0
    triggered: bool = False
    is_new: bool = False

    @property
    def is_live(self) -> bool:
        return self.status in LIVE_STATUSES

    @property
    def is_held(self) -> bool:
        return self.status is OrdStatus.HELD

    @property
    def leaves(self) -> int:
        return self.quantity - self.filled


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group's members that were live when the batch began (or what replaced them), and what happened to it.

    ``bought`` is what its entries have filled in all, ``armed`` whether the stop-loss listens, ``reached``
    whether a trade since then was at or beyond its stop, ``by_owner`` whether the take-profit ended because
    its owner or its time said so, ``is_pair`` whether the group was entered with both exits.
    """

    entry: Member | None = None
    take_profit: Member | None = None
    stop_loss: Member | None = None
    bought: int = 0
    armed: bool = False
    reached: bool = False
    by_owner: bool = False
    is_pair: bool = True

    @property
    def exits(self) -> list[Member]:
        return [leg for leg in (self.take_profit, self.stop_loss) if leg is not None]


def group_next(facts: GroupFacts) -> list[Act]:
    """Return what follows for a group from one batch; nothing when nothing does."""
    entry = facts.entry
    if entry is None:
        return _pair_next(facts) if len(facts.exits) == 2 else _single_next(facts)
    if entry.is_live:
        return _waiting_next(facts, entry)
    if entry.status is OrdStatus.FILLED and all(leg.is_live for leg in facts.exits):
        return _entered_next(facts)
    return _end_waiting(facts.exits)


def _end_waiting(legs: list[Member], reason: Withdrawal = Withdrawal.GROUP) -> list[Act]:
    return [Act(ActKind.END, leg.order_id, reason=reason) for leg in legs if leg.is_held]


def _resize(leg: Member, quantity: int) -> list[Act]:
    return [Act(ActKind.RESIZE, leg.order_id, quantity)] if leg.quantity != quantity else []


def _waiting_next(facts: GroupFacts, entry: Member) -> list[Act]:
    """The entry works: its exits wait for all of it, and hold what it has bought."""
    legs = facts.exits
    if any(not leg.is_live for leg in legs):
        return [Act(ActKind.WITHDRAW, entry.order_id), *_end_waiting(legs)]
    if not legs:
        # The exits ended before; a withdrawal is on its way, unless the entry was replaced meanwhile.
        return [Act(ActKind.WITHDRAW, entry.order_id)] if entry.is_new else []
    acts = [act for leg in legs for act in _resize(leg, facts.bought + entry.leaves)]
    if legs[0].reserved != facts.bought:
        acts.append(Act(ActKind.RESERVE, legs[0].order_id, facts.bought))
    return acts


def _entered_next(facts: GroupFacts) -> list[Act]:
    """The entry has just filled: its exits begin, unless its own fill went beyond the stop already."""
    legs, profit, loss = facts.exits, facts.take_profit, facts.stop_loss
    acts = [act for leg in legs for act in _resize(leg, facts.bought)]
    if profit is None or loss is None:
        return acts + [Act(ActKind.RELEASE, leg.order_id) for leg in legs]
    if facts.reached:
        ended = Act(ActKind.END, profit.order_id, reason=Withdrawal.OCO)
        return [*acts, ended, Act(ActKind.TRIGGER, loss.order_id), Act(ActKind.FIRE, loss.order_id)]
    return [*acts, Act(ActKind.RELEASE, profit.order_id), Act(ActKind.ARM, loss.order_id)]


def _single_next(facts: GroupFacts) -> list[Act]:
    """One exit is left. A withdrawal on its way names the order that a replacement has just taken away."""
    profit = facts.take_profit
    if facts.is_pair and profit is not None and profit.is_new and profit.is_live:
        return [Act(ActKind.WITHDRAW, profit.order_id)]
    return []


def _pair_next(facts: GroupFacts) -> list[Act]:
    """Both exits began before: the take-profit is in the engine, the stop-loss waits."""
    profit, loss = facts.take_profit, facts.stop_loss
    assert profit is not None and loss is not None
    if not loss.is_live:
        return [Act(ActKind.WITHDRAW, profit.order_id)] if profit.is_live else []
    if profit.is_live:
        return _resize(loss, profit.leaves) + _watch_next(facts, profit, loss)
    if profit.status is OrdStatus.FILLED:
        return _end_waiting([loss], Withdrawal.OCO)
    if facts.by_owner or not (loss.triggered or facts.reached):
        return _end_waiting([loss])
    acts = _resize(loss, profit.leaves)
    if not loss.triggered:
        acts.append(Act(ActKind.TRIGGER, loss.order_id))
    return [*acts, Act(ActKind.FIRE, loss.order_id)]


def _watch_next(facts: GroupFacts, profit: Member, loss: Member) -> list[Act]:
    withdraw = Act(ActKind.WITHDRAW, profit.order_id, reason=Withdrawal.OCO)
    if loss.triggered:
        # The withdrawal on its way names the order that this one has just replaced.
        return [withdraw] if profit.is_new else []
    if facts.reached:
        return [Act(ActKind.TRIGGER, loss.order_id), withdraw]
    if not facts.armed and profit.status is not OrdStatus.PENDING:
        return [Act(ActKind.ARM, loss.order_id)]
    return []
