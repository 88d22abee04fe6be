"""Simulated minutes of a real day: they open, close, reach and trade exactly what the day did.

All arithmetic is on whole numbers: prices in 1/10,000 of a dollar, noise from integer random numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from apps.demo.history import DailyBar, SessionHours, day_start
from apps.marketdata.selectors import Bar
from apps.primitives.money import PRICE_SCALE, price_to_units, units_to_price

CENT_UNITS = PRICE_SCALE // 100
STEPS_PER_RANGE = 19
"""The largest step of one minute as a part of the day's range.

A day's range is about 1.67 standard deviations of its return (Parkinson 1980), a minute's deviation is the
day's over the root of 390, and a uniform step of at most ``a`` has deviation ``a`` over the root of 3.
"""

TRADE_SHARES = 200
"""Shares of an average trade: about what they were when the real bars were made."""

SESSION_MINUTES = 390
AVERAGE_QUANTUM = Decimal("0.000001")


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
    the sums of volumes and of trades are the day's; each bar opens where the one before closed.
    """
    rng = Random(f"{seed}:{symbol}:{day.date.isoformat()}")
    span = _Span(price_to_units(day.low), price_to_units(day.high))
    path = _path(rng, span, price_to_units(day.open), price_to_units(day.close), hours.minutes)
    volumes = _volumes(rng, day.volume, hours.minutes)
    counts = trades_split(trades_of(day.volume), volumes)
    bars = []
    for minute in range(hours.minutes):
        prices = _prices(rng, span, path[minute], path[minute + 1])
        start = hours.opens_at + timedelta(minutes=minute)
        bars.append(Bar(start, *prices, volumes[minute], counts[minute], average_price(*prices)))
    return bars


def day_bar(day: DailyBar, minutes: Sequence[Bar] = ()) -> Bar:
    """Return a day as it is imported: with the average price of its minutes where there are any.

    The count of trades and the average price are simulated: the real bars do not have them.
    """
    prices = (day.open, day.high, day.low, day.close)
    average = average_price(*prices)
    if minutes and day.volume:
        turnover = sum(((bar.vwap or Decimal(0)) * bar.volume for bar in minutes), Decimal(0))
        average = (turnover / day.volume).quantize(AVERAGE_QUANTUM, ROUND_HALF_UP)
    return Bar(day_start(day.date), *prices, day.volume, trades_of(day.volume), average)


def average_price(opened: Decimal, high: Decimal, low: Decimal, closed: Decimal) -> Decimal:
    """Return a price between low and high, to six decimals."""
    return ((opened + high + low + closed) / 4).quantize(AVERAGE_QUANTUM, ROUND_HALF_UP)


def trades_of(volume: int) -> int:
    """Return in how many trades a day's shares changed hands: one a minute at least, if shares suffice."""
    return max(volume // TRADE_SHARES, min(volume, SESSION_MINUTES))


def trades_split(count: int, volumes: Sequence[int]) -> list[int]:
    """Split a day's trades over minutes of these volumes: one at least where shares were traded."""
    traded = [min(volume, 1) for volume in volumes]
    rest = count - sum(traded)
    if not rest:
        return traded
    more = shares_split(rest, [volume - one for volume, one in zip(volumes, traded, strict=True)])
    return [one + other for one, other in zip(traded, more, strict=True)]


def _prices(rng: Random, span: _Span, opened: int, closed: int) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Return a minute's open, high, low and close."""
    wick = max((span.high - span.low) // (2 * STEPS_PER_RANGE), 1)
    high = min(span.snap(max(opened, closed) + rng.randint(0, wick)), span.high)
    low = max(span.snap(min(opened, closed) - rng.randint(0, wick)), span.low)
    return (
        units_to_price(opened),
        units_to_price(max(high, opened, closed)),
        units_to_price(min(low, opened, closed)),
        units_to_price(closed),
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
