"""Fair prices: a seeded random walk as large as the real bars say, pulled back to the day's start.

Whole numbers only: a price is kept in millionths of a price unit, so that small steps are not lost.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from math import isqrt
from random import Random

from apps.primitives.money import PRICE_SCALE

PPM = 1_000_000
CENT_UNITS = PRICE_SCALE // 100
SESSION_S = 23_400
"""The real bars' deviation is that of a session of six and a half hours."""

BAND_SIGMAS = 3
"""A day's fair price stays within three standard deviations of where the day began."""

PULL_S = 2 * SESSION_S
"""How slowly the pull works: with twice a session the walk's own spread settles at one deviation."""

SIGMA_PPM_MIN, SIGMA_PPM_MAX = 5_000, 30_000
"""Between 0.5 % and 3 % a day: three times that is inside the market's band of 10 %."""

_UNIFORMS = 4
_UNIFORM_MAX = 1_000
_UNIFORM_SIGMA = isqrt(_UNIFORMS * _UNIFORM_MAX * (_UNIFORM_MAX + 1) // 3)


def sigma_measure(closes: Sequence[Decimal]) -> int:
    """Return the standard deviation of daily returns in millionths, kept between 0.5 % and 3 %."""
    returns = [after / before - 1 for before, after in zip(closes, closes[1:], strict=False)]
    if len(returns) < 2:
        return SIGMA_PPM_MIN
    mean = sum(returns, Decimal(0)) / len(returns)
    variance = sum(((one - mean) ** 2 for one in returns), Decimal(0)) / (len(returns) - 1)
    sigma = int((variance.sqrt() * PPM).to_integral_value(ROUND_HALF_EVEN))
    return max(SIGMA_PPM_MIN, min(sigma, SIGMA_PPM_MAX))


class PricePath:
    """One share's fair price in units of 1/10,000; the same seed and steps give the same path."""

    def __init__(self, seed: object, symbol: str, start: int, sigma_ppm: int) -> None:
        self._rng = Random(f"{seed}:{symbol}")
        self._value = start * PPM
        self.sigma_ppm = sigma_ppm
        self.day_begin(start)

    def day_begin(self, anchor: int) -> None:
        """Set the price that the day's band lies around; a path outside the band is brought to its edge."""
        self.anchor = anchor
        self.band = max(anchor * self.sigma_ppm * BAND_SIGMAS // PPM, 1)
        low, high = self._edges()
        self._value = min(max(self._value, low), high)

    @property
    def units(self) -> int:
        """The fair price now, in price units."""
        return max(self._value // PPM, 1)

    @property
    def second_units(self) -> int:
        """How far the price typically moves in one second, in price units."""
        return self.anchor * self.sigma_ppm // (PPM * isqrt(SESSION_S))

    def step(self, elapsed_ms: int) -> int:
        """Let time pass and return the new fair price."""
        root_ppm = isqrt(elapsed_ms * PPM * PPM // (SESSION_S * 1_000))
        sigma = self.anchor * self.sigma_ppm * root_ppm // PPM
        noise = sum(self._rng.randint(-_UNIFORM_MAX, _UNIFORM_MAX) for _ in range(_UNIFORMS))
        pull = (self.anchor * PPM - self._value) * elapsed_ms // (PULL_S * 1_000)
        self._value = self._fold(self._value + pull + sigma * noise // _UNIFORM_SIGMA)
        return self.units

    def _edges(self) -> tuple[int, int]:
        return max(self.anchor - self.band, 1) * PPM, (self.anchor + self.band) * PPM

    def _fold(self, value: int) -> int:
        low, high = self._edges()
        if value > high:
            return max(2 * high - value, low)
        return min(2 * low - value, high) if value < low else value


def cents_up(units: int, step: int) -> int:
    """Return the first multiple of ``step`` units at or above a price."""
    return -(-units // step) * step


def step_units(path: PricePath) -> int:
    """Return the distance between two levels of a maker's ladder: what the price moves in about a second."""
    return max(cents_up(path.second_units, CENT_UNITS), CENT_UNITS)
