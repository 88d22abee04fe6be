"""A maker's ladder, worked out without a market: what should be quoted, and what to change to get there."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.primitives.fix import Side


@dataclass(frozen=True, slots=True)
class Quote:
    """One of the maker's own working orders; prices in units, ``filled`` and ``leaves`` in shares."""

    order_id: int
    side: Side
    price: int
    leaves: int
    filled: int
    is_changing: bool
    """A cancel or replacement is queued already."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a maker wants to show of one share; all prices in units."""

    fair: int
    step: int
    offset: int
    """Where this maker's levels lie between two steps, so that two makers show more prices."""
    spread: int
    """The least distance of a quote from the fair price."""
    skew: int
    """By how much the fair price is moved to shed or gather inventory."""
    levels: int
    kept: int
    """How many levels a side may stand before the furthest are taken back."""


@dataclass(frozen=True, slots=True)
class Move:
    """Take the order at one price and put it at another."""

    quote: Quote
    price: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that bring a ladder to its target, to be made in this order."""

    cancels: list[Quote]
    moves: list[Move]
    adds: list[tuple[Side, int]]


def levels_wanted(target: Target, side: Side) -> list[int]:
    """Return the prices to quote on one side, the best first; none is below one step."""
    centre = target.fair + target.skew - target.offset
    if side is Side.BUY:
        best = (centre - target.spread) // target.step * target.step + target.offset
        prices = [best - n * target.step for n in range(target.levels)]
    else:
        best = -(-(centre + target.spread) // target.step) * target.step + target.offset
        prices = [best + n * target.step for n in range(target.levels)]
    return [price for price in prices if price >= target.step]


def ladder_plan(quotes: Sequence[Quote], target: Target) -> Plan:
    """Return what to cancel, move and add; orders that are changing already are left alone.

    A quote on the wrong side of the fair price is taken back at once, the rest only when more than ``kept``
    stand: levels that the price left behind are the depth of the book.
    """
    plan = Plan([], [], [])
    for side in Side:
        mine = [quote for quote in quotes if quote.side is side]
        _side_plan(plan, mine, levels_wanted(target, side), side, target)
    return plan


def _side_plan(plan: Plan, mine: list[Quote], wanted: list[int], side: Side, target: Target) -> None:
    standing = [quote for quote in mine if not quote.is_changing]
    stale = [quote for quote in standing if _is_wrong(quote, target)]
    # What is wanted is kept first, then what is nearest: an order at a wanted price is never the spare one.
    sound = sorted(
        (quote for quote in standing if quote not in stale),
        key=lambda quote: (quote.price not in wanted, _distance(quote, target)),
    )
    there = {quote.price for quote in mine}
    missing = [price for price in wanted if price not in there]
    spare = sound[target.kept :] + stale
    room = max(2 * target.kept - len(mine), 0)
    for price in missing:
        if spare:
            plan.moves.append(Move(spare.pop(), price))
        elif room:
            plan.adds.append((side, price))
            room -= 1
    plan.cancels.extend(spare)


def _is_wrong(quote: Quote, target: Target) -> bool:
    edge = target.fair + target.skew
    return quote.price > edge if quote.side is Side.BUY else quote.price < edge


def _distance(quote: Quote, target: Target) -> int:
    return abs(quote.price - target.fair)
