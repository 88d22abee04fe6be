"""How prices move: pure rules on the dated rows."""

from decimal import Decimal

from apps.primitives.money import PRICE_QUANTUM


def tick_at(price: Decimal, ticks: tuple[tuple[Decimal, Decimal], ...]) -> Decimal:
    """Return the smallest price step at ``price`` (SEC Rule 612 as dated rows)."""
    return max((row for row in ticks if row[0] <= price), default=(PRICE_QUANTUM, PRICE_QUANTUM))[1]
