"""Limit up, limit down: how far a share may move from its reference price, as pure rules on dated values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from apps.instruments.calendar import Session
from apps.primitives.money import PRICE_MAX

BPS = 10_000


@dataclass(frozen=True, slots=True)
class BandWidth:
    """How wide the bands of a tier are from ``price_from`` upwards: of both limits the smaller counts.

    A flag doubles the width in the last minutes of the session.
    """

    tier: int
    price_from: Decimal
    limit_bps: int
    limit_amount: Decimal | None
    doubled_at_close: bool


@dataclass(frozen=True, slots=True)
class BandTimes:
    """The plan's clock and its threshold, from a date."""

    effective_from: date
    reference_window: timedelta
    reference_hold: timedelta
    reference_move_bps: int
    limit_state: timedelta
    pause: timedelta
    close_span: timedelta


BAND_TIMES = (
    BandTimes(
        effective_from=date(2012, 4, 8),
        reference_window=timedelta(minutes=5),
        reference_hold=timedelta(seconds=30),
        reference_move_bps=100,
        limit_state=timedelta(seconds=15),
        pause=timedelta(minutes=5),
        close_span=timedelta(minutes=25),
    ),
)
"""Newest first."""

BAND_WIDTHS_FROM = date(2019, 4, 11)
"""Since Amendment 18 of the plan widths are not doubled at the open any more."""

_ABOVE_THREE = Decimal("3.0001")
BAND_WIDTHS = (
    BandWidth(1, _ABOVE_THREE, 500, None, doubled_at_close=True),
    BandWidth(1, Decimal("0.7500"), 2000, None, doubled_at_close=True),
    BandWidth(1, Decimal("0.0001"), 7500, Decimal("0.1500"), doubled_at_close=True),
    BandWidth(2, _ABOVE_THREE, 1000, None, doubled_at_close=False),
    BandWidth(2, Decimal("0.7500"), 2000, None, doubled_at_close=True),
    BandWidth(2, Decimal("0.0001"), 7500, Decimal("0.1500"), doubled_at_close=True),
)
"""The plan to address extraordinary market volatility: above 3.00, from 0.75 to 3.00, below 0.75."""


def band_times(on: date) -> BandTimes:
    """Return the times in force on a trade date."""
    return next((times for times in BAND_TIMES if times.effective_from <= on), BAND_TIMES[-1])


def band_width(widths: Sequence[BandWidth], tier: int, price: Decimal) -> BandWidth | None:
    """Return the width of a tier at a price: that of yesterday's close, which classes a share for the day."""
    fitting = [row for row in widths if row.tier == tier and row.price_from <= price]
    return max(fitting, key=lambda row: row.price_from, default=None)


def band_is_doubled(width: BandWidth, session: Session, now: datetime, times: BandTimes) -> bool:
    """Return whether the last minutes of the session double the width."""
    return width.doubled_at_close and now >= session.closes_at - times.close_span


def bands_around(
    reference: Decimal, width: BandWidth, doubled: bool, tick: Decimal
) -> tuple[Decimal, Decimal]:
    """Return the lower and upper band around a reference price, each on the nearest tick."""
    away = reference * width.limit_bps / BPS
    if width.limit_amount is not None:
        away = min(away, width.limit_amount)
    away *= 2 if doubled else 1
    upper = min(_nearest(reference + away, tick), PRICE_MAX // tick * tick)
    return max(_nearest(reference - away, tick), tick), upper


def _nearest(price: Decimal, tick: Decimal) -> Decimal:
    return (price / tick).to_integral_value(ROUND_HALF_UP) * tick


def reference_moved(old: Decimal, new: Decimal, times: BandTimes) -> bool:
    """Return whether a new mean is far enough from the reference in force to replace it."""
    return abs(new - old) * BPS >= old * times.reference_move_bps
