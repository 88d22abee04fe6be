"""Where stops stand: the trigger of a trailing stop, and how far a triggered order may trade from it."""

from decimal import ROUND_DOWN, ROUND_UP, Decimal

from apps.instruments.rules import tick_at
from apps.primitives.fix import Side
from apps.primitives.money import PRICE_MAX, PRICE_QUANTUM

BPS = 10_000
TRAIL_MAX = Decimal("429496.7295")
"""The longest trail that the engine's 32 bits hold, in its units of 1/10,000."""

Ticks = tuple[tuple[Decimal, Decimal], ...]


def collar_price(side: Side, reference: Decimal, limit_bps: int, ticks: Ticks) -> Decimal:
    """Return an order's worst price: a reference plus or minus the band, on a tick of its own inside it."""
    if side is Side.BUY:
        edge = min(reference * (BPS + limit_bps) / BPS, PRICE_MAX)
        tick = tick_at(edge, ticks)
        return (edge / tick).to_integral_value(ROUND_DOWN) * tick
    edge = reference * (BPS - limit_bps) / BPS
    tick = tick_at(edge, ticks)
    return max((edge / tick).to_integral_value(ROUND_UP), Decimal(1)) * tick


def stop_collar(side: Side, stop_price: Decimal, limit_bps: int, ticks: Ticks) -> Decimal:
    """Return the worst price of what a stop triggers: the band around the stop, never short of the stop."""
    collar = collar_price(side, stop_price, limit_bps, ticks)
    return max(collar, stop_price) if side is Side.BUY else min(collar, stop_price)


def trail_distance(mark: Decimal, amount: Decimal | None, percent: Decimal | None) -> Decimal:
    """Return how far a trailing stop stays behind its mark; percentages round down, to one unit at least."""
    if percent is None:
        assert amount is not None, "a trail is an amount or a percentage"
        return amount
    distance = (mark * percent / 100).quantize(PRICE_QUANTUM, rounding=ROUND_DOWN)
    return max(distance, PRICE_QUANTUM)


def trail_stop(side: Side, mark: Decimal, amount: Decimal | None, percent: Decimal | None) -> Decimal:
    """Return a trailing stop's trigger: above the lowest price for a buy, below the highest for a sell."""
    distance = trail_distance(mark, amount, percent)
    return mark + distance if side is Side.BUY else mark - distance


def mark_better(side: Side, one: Decimal, other: Decimal) -> Decimal:
    """Return the mark that gives the tighter stop: the lower for a buy, the higher for a sell."""
    return min(one, other) if side is Side.BUY else max(one, other)
