"""Figures as traders read them: true minus, signs on changes, exact places, exchange time."""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from apps.primitives.money import CENT, PRICE_QUANTUM

EXCHANGE_ZONE = ZoneInfo("America/New_York")
MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EM DASH}"

_VOLUME_STEPS = ((10**9, "B"), (10**6, "M"), (10**3, "K"))


def _grouped(value: Decimal, quantum: Decimal) -> str:
    rounded = value.quantize(quantum, rounding=ROUND_HALF_EVEN) + 0  # + 0 makes a negative zero plain
    return f"{rounded:,f}".replace("-", MINUS)


def money_text(value: Decimal | None) -> str:
    """Return an amount with two decimals and separators."""
    return MISSING if value is None else _grouped(value, CENT)


def _signed(text: str, value: Decimal) -> str:
    return f"+{text}" if value > 0 and text.strip("0.,%") else text


def money_signed(value: Decimal | None) -> str:
    """Return a change of money, its sign always shown; an exact zero has none."""
    return MISSING if value is None else _signed(money_text(value), value)


def percent_text(value: Decimal | None, places: int = 2) -> str:
    """Return a percentage without a sign of its own for positive values."""
    return MISSING if value is None else _grouped(value, Decimal(1).scaleb(-places)) + "%"


def percent_signed(value: Decimal | None) -> str:
    """Return a percentage change with its sign."""
    return MISSING if value is None else _signed(percent_text(value), value)


def price_places(value: Decimal) -> int:
    """Return how many decimals a price needs: cents, or four when it is finer than a cent."""
    return 2 if value == value.quantize(CENT) else 4


def price_text(value: Decimal | None) -> str:
    """Return a price exactly, in cents or in 1/10,000 when it is finer."""
    if value is None:
        return MISSING
    return _grouped(value, CENT if price_places(value) == 2 else PRICE_QUANTUM)


def price_signed(value: Decimal | None) -> str:
    """Return a price change with its sign."""
    return MISSING if value is None else _signed(price_text(value), value)


def quantity_text(value: int | None) -> str:
    """Return a share count exactly, with separators."""
    return MISSING if value is None else f"{value:,}".replace("-", MINUS)


def volume_text(value: int | None) -> str:
    """Return a traded volume in three significant figures: 3.84 M."""
    if value is None:
        return MISSING
    for step, unit in _VOLUME_STEPS:
        if value >= step:
            return f"{Decimal(value) / step:.2f} {unit}"
    return str(value)


def tone(value: Decimal | int | None) -> str:
    """Return the CSS class of a change: ``up``, ``down`` or nothing."""
    if not value:
        return ""
    return "up" if value > 0 else "down"


def arrow(value: Decimal | int | None) -> str:
    """Return the triangle that says a direction without colour."""
    if not value:
        return ""
    return "\N{BLACK UP-POINTING TRIANGLE}" if value > 0 else "\N{BLACK DOWN-POINTING TRIANGLE}"


def change_pct(last: Decimal | None, prev_close: Decimal | None) -> Decimal | None:
    """Return the change from the previous close in percent."""
    if last is None or not prev_close:
        return None
    return (last - prev_close) / prev_close * 100


def exchange_time(instant: datetime | None) -> str:
    """Return the time of day in New York."""
    return MISSING if instant is None else instant.astimezone(EXCHANGE_ZONE).strftime("%H:%M:%S")


def exchange_stamp(instant: datetime | None) -> str:
    """Return date and time in New York."""
    if instant is None:
        return MISSING
    return instant.astimezone(EXCHANGE_ZONE).strftime("%d %b %Y %H:%M:%S")


def duration_text(seconds: float) -> str:
    """Return a duration in its two largest units: 1 h 56 m."""
    minutes = max(int(seconds), 0) // 60
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} m" if hours else f"{minutes % 60} m"
