"""Simulated minutes of a real day: they open, close, reach and trade exactly what the day did.

All arithmetic is on whole numbers: prices in 1/10,000 of a dollar, noise from integer random numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from apps.demo.history import DailyBar, SessionHours
from apps.marketdata.selectors import Bar
from apps.primitives.money import PRICE_SCALE, price_to_units, units_to_price

CENT_UNITS = PRICE_SCALE // 100
STEPS_PER_RANGE = 19
"""The largest step of one minute as a part of the day's range.

A day's range is about 1.67 standard deviations of its return (Parkinson 1980), a minute's deviation is the
day's over the root of 390, and a uniform step of at most ``a`` has deviation ``a`` over the root of 3.
"""


@dataclass(frozen=True, slots=True)
class _Span:
    """The prices that a day's path may take, in units."""

    low: int
    high: int

    def fold(self, price: int) -> int:
        """Reflect a price at the edges until it lies inside."""
        width = self.high - self.low
        if width == 0:
            return self.low
        offset = (price - self.low) % (2 * width)
        return self.low + min(offset, 2 * width - offset)

    def snap(self, price: int) -> int:
        """Return the nearest whole cent inside, or the price itself when there is none."""
        cents = (price + CENT_UNITS // 2) // CENT_UNITS * CENT_UNITS
        return cents if self.low <= cents <= self.high else price


def minute_bars(symbol: str, day: DailyBar, hours: SessionHours, seed: int = 0) -> list[Bar]:
    """Return one bar a minute of the session; the same arguments give the same bars.

    The first opens at the day's open, the last closes at its close, the highest high, the lowest low and
    the sum of volumes are the day's; each bar opens where the one before closed.
    """
    rng = Random(f"{seed}:{symbol}:{day.date.isoformat()}")
    span = _Span(price_to_units(day.low), price_to_units(day.high))
    path = _path(rng, span, price_to_units(day.open), price_to_units(day.close), hours.minutes)
    volumes = _volumes(rng, day.volume, hours.minutes)
    return [
        _bar(rng, span, hours, minute, path[minute], path[minute + 1], volumes[minute])
        for minute in range(hours.minutes)
    ]


def _bar(
    rng: Random, span: _Span, hours: SessionHours, minute: int, opened: int, closed: int, volume: int
) -> Bar:
    wick = max((span.high - span.low) // (2 * STEPS_PER_RANGE), 1)
    high = min(span.snap(max(opened, closed) + rng.randint(0, wick)), span.high)
    low = max(span.snap(min(opened, closed) - rng.randint(0, wick)), span.low)
    return Bar(
        time=hours.opens_at + timedelta(minutes=minute),
        open=units_to_price(opened),
        high=units_to_price(max(high, opened, closed)),
        low=units_to_price(min(low, opened, closed)),
        close=units_to_price(closed),
        volume=volume,
    )


def _path(rng: Random, span: _Span, opened: int, closed: int, minutes: int) -> list[int]:
    """Return ``minutes + 1`` prices that begin and end as given and touch both edges of the span."""
    pins = {0: opened, minutes: closed}
    inner = rng.sample(range(1, minutes), 2)
    for minute, edge in zip(inner, (span.high, span.low), strict=True):
        if edge not in pins.values():
            pins[minute] = edge
    path = [opened]
    for start, end in zip(sorted(pins), sorted(pins)[1:], strict=False):
        path += _bridge(rng, span, pins[start], pins[end], end - start)
    return path


def _bridge(rng: Random, span: _Span, start: int, end: int, steps: int) -> list[int]:
    """Return a random walk of ``steps`` from ``start``, bent so that it arrives at ``end``."""
    largest = max((span.high - span.low) // STEPS_PER_RANGE, 1)
    walk = [0]
    for _ in range(steps):
        walk.append(walk[-1] + rng.randint(-largest, largest))
    gap = end - start - walk[-1]
    inner = (start + walk[n] + gap * n // steps for n in range(1, steps))
    return [*(span.snap(span.fold(price)) for price in inner), end]


def _volumes(rng: Random, total: int, minutes: int) -> list[int]:
    """Split a day's volume over its minutes exactly, more at the open and at the close."""
    weights = [rng.randint(50, 150) * _shape(minute, minutes) for minute in range(minutes)]
    return shares_split(total, weights)


def _shape(minute: int, minutes: int) -> int:
    from_middle = abs(2 * minute - minutes + 1) * 100 // minutes
    return 100 + from_middle * from_middle // 25


def shares_split(total: int, weights: Sequence[int]) -> list[int]:
    """Split a whole number by weights so that the parts sum to it: largest remainders get the rest."""
    weight = sum(weights)
    parts = [total * one // weight for one in weights]
    rest = total - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda n: (-(total * weights[n] % weight), n))
    for n in by_remainder[:rest]:
        parts[n] += 1
    return parts
