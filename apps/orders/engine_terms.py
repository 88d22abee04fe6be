"""An order's terms between dollars and the engine's units: its type there, its prices, trail and flags."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from apps.matching.codes import OrderFlag
from apps.primitives.fix import OrderType, Side
from apps.primitives.money import price_to_units, units_to_price
from apps.risk.stops import trail_stop

PPM_OF_PERCENT = 10_000

_LIMITED = (OrderType.LIMIT, OrderType.STOP_LIMIT)


class PackedTerms(Protocol):
    """A command, queued or taken, as far as it tells an order's terms."""

    @property
    def side(self) -> str: ...
    @property
    def price_units(self) -> int: ...
    @property
    def stop_price_units(self) -> int: ...
    @property
    def trail(self) -> int: ...
    @property
    def flags(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What an order trades at and waits for, in dollars; ``price`` is its limit, else it has a collar."""

    price: Decimal | None
    collar_price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    trail_percent: Decimal | None
    high_water_mark: Decimal | None


def type_in_engine(order_type: str, *, triggered: bool) -> str:
    """Return what an order is to the engine now: a stop limit that was triggered is a limit order."""
    return OrderType.LIMIT if triggered and order_type == OrderType.STOP_LIMIT else order_type


def trail_units(amount: Decimal | None, percent: Decimal | None) -> int:
    """Return a trail in price units, or in parts per million when it is a percentage; 0 for none."""
    if percent is not None:
        return int(percent * PPM_OF_PERCENT)
    return 0 if amount is None else price_to_units(amount)


def flags_of(side: str, percent: Decimal | None) -> int:
    """Return an order's flags: there are no short positions, so that every sale reduces one."""
    reduces = OrderFlag.REDUCE_ONLY if side == Side.SELL else 0
    return reduces | (OrderFlag.TRAIL_PERCENT if percent is not None else 0)


def stop_units(order_type: str, stop_price: Decimal | None, mark: Decimal | None) -> int:
    """Return the engine's trigger in units: of a trailing stop the mark it is measured from; 0 for none."""
    trigger = mark if order_type == OrderType.TRAIL else stop_price
    return 0 if trigger is None else price_to_units(trigger)


def terms_read(command: PackedTerms, order_type: str) -> Terms:
    """Return the terms that a command gives an order of a (stored) type."""
    price = units_to_price(command.price_units)
    amount = percent = mark = None
    stop = units_to_price(command.stop_price_units) if command.stop_price_units else None
    if order_type == OrderType.TRAIL:
        mark, assumed = stop, units_to_price(command.trail)
        if command.flags & OrderFlag.TRAIL_PERCENT:
            percent = assumed
        else:
            amount = assumed
        assert mark is not None, "a trailing stop has a mark"
        stop = trail_stop(Side(command.side), mark, amount, percent)
    limited = order_type in _LIMITED
    return Terms(
        price=price if limited else None,
        collar_price=None if limited else price,
        stop_price=stop,
        trail_amount=amount,
        trail_percent=percent,
        high_water_mark=mark,
    )
