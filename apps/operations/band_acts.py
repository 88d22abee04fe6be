"""Limit up, limit down for one book: what the moment asks for, as a pure decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto

from apps.instruments.bands import (
    BandTimes,
    BandWidth,
    band_is_doubled,
    band_width,
    bands_around,
    reference_moved,
)
from apps.instruments.calendar import Session
from apps.instruments.rules import tick_at
from apps.matching.codes import Phase

Bands = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class BandPlan:
    """The rules of a trade date, and its session."""

    widths: Sequence[BandWidth]
    times: BandTimes
    ticks: tuple[tuple[Decimal, Decimal], ...]
    session: Session


@dataclass(frozen=True, slots=True)
class BandPrices:
    """A share's tier and prices: the last, yesterday's close, and the mean of the window's trades."""

    tier: int
    last: Decimal
    prev_close: Decimal
    mean: Decimal | None


@dataclass(frozen=True, slots=True)
class BandState:
    """What a book was last told of bands, and the limit state that was last noted of it."""

    phase: str
    bands: Bands | None
    reference: Decimal | None
    banded_at: datetime | None
    limit_side: str
    limit_since: datetime | None
    paused_until: datetime | None


class BandStep(Enum):
    SET = auto()
    LIMIT = auto()
    PAUSE = auto()
    RESUME = auto()


@dataclass(frozen=True, slots=True)
class BandAct:
    """One step: new bands around a reference, a limit state to note, a pause, or its end."""

    step: BandStep
    bands: Bands | None = None
    reference: Decimal | None = None
    side: str = ""
    since: datetime | None = None


def band_act(
    state: BandState, seen: tuple[str, datetime | None], prices: BandPrices, plan: BandPlan, now: datetime
) -> BandAct | None:
    """Return what is to be done to a book now; ``seen`` is the side of its limit state, and since when.

    A pause ends after its time. A limit state that has lasted too long begins one; while it lasts, the
    reference price stands.
    """
    if state.phase == Phase.PAUSED.name:
        is_over = state.paused_until is not None and now >= state.paused_until
        return BandAct(BandStep.RESUME) if is_over else None
    if state.phase != Phase.CONTINUOUS.name:
        return None
    if state.bands is not None and (seen[0] or state.limit_side):
        return _limit_act(state, seen, plan.times, now)
    return _bands_act(state, prices, plan, now)


def _limit_act(
    state: BandState, seen: tuple[str, datetime | None], times: BandTimes, now: datetime
) -> BandAct | None:
    side, seen_since = seen
    if not side:
        return BandAct(BandStep.LIMIT)
    noted = state.limit_since if state.limit_side == side else None
    since = seen_since or noted or now
    if now - since >= times.limit_state:
        return BandAct(BandStep.PAUSE, side=side, since=since)
    return None if noted == since else BandAct(BandStep.LIMIT, side=side, since=since)


def _bands_act(state: BandState, prices: BandPrices, plan: BandPlan, now: datetime) -> BandAct | None:
    width = band_width(plan.widths, prices.tier, prices.prev_close)
    if width is None:
        return None
    reference = _reference(state, prices, plan.times, now)
    doubled = band_is_doubled(width, plan.session, now, plan.times)
    bands = bands_around(reference, width, doubled, tick_at(reference, plan.ticks))
    if (bands, reference) == (state.bands, state.reference):
        return None
    return BandAct(BandStep.SET, bands=bands, reference=reference)


def _reference(state: BandState, prices: BandPrices, times: BandTimes, now: datetime) -> Decimal:
    """Return the reference price: at first the last price, then the mean when it has moved far enough."""
    old, mean = state.reference, prices.mean
    if old is None or state.banded_at is None:
        return prices.last
    held = now - state.banded_at >= times.reference_hold
    return mean if held and mean is not None and reference_moved(old, mean, times) else old
