"""Reads of positions, valued at the last price."""

from dataclasses import dataclass
from decimal import Decimal

from apps.instruments.selectors import InstrumentView, instrument_list
from apps.positions.models import Position
from apps.primitives.errors import NotFound
from apps.primitives.money import CENT, trade_value

ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class PositionView:
    """A position at the last price; P&L in dollars, percentages of cost, weight of all positions' value."""

    symbol: str
    name: str
    instrument: InstrumentView
    quantity: int
    average_cost: Decimal
    cost_basis: Decimal
    last: Decimal
    prev_close: Decimal
    market_value: Decimal
    unrealized_pnl: Decimal
    unrealized_pct: Decimal | None
    day_pnl: Decimal
    realized_pnl: Decimal
    weight_pct: Decimal


def _view(row: Position, instrument: InstrumentView, total: Decimal) -> PositionView:
    last = instrument.last_price or row.average_cost
    previous = instrument.prev_close or last
    value, cost = trade_value(last, row.quantity), trade_value(row.average_cost, row.quantity)
    return PositionView(
        symbol=row.symbol,
        name=instrument.name,
        instrument=instrument,
        quantity=row.quantity,
        average_cost=row.average_cost,
        cost_basis=cost,
        last=last,
        prev_close=previous,
        market_value=value,
        unrealized_pnl=value - cost,
        unrealized_pct=((value - cost) * 100 / cost).quantize(CENT) if cost else None,
        day_pnl=value - trade_value(previous, row.quantity),
        realized_pnl=row.realized_pnl,
        weight_pct=(value * 100 / total).quantize(Decimal("0.1")) if total else ZERO,
    )


def position_list(account_id: int) -> list[PositionView]:
    """Return an account's positions, largest value first."""
    rows = list(Position.objects.filter(account_id=account_id, quantity__gt=0))
    listed = {view.symbol: view for view in instrument_list(row.symbol for row in rows)}
    total = sum(
        (trade_value(listed[row.symbol].last_price or row.average_cost, row.quantity) for row in rows), ZERO
    )
    views = [_view(row, listed[row.symbol], total) for row in rows]
    return sorted(views, key=lambda view: view.market_value, reverse=True)


def position_get(account_id: int, symbol: str) -> PositionView:
    """Return one position; raises ``NotFound`` when the account has none in that symbol."""
    for view in position_list(account_id):
        if view.symbol == symbol:
            return view
    raise NotFound("no_position", "position does not exist", symbol=symbol)


def position_quantity(account_id: int, symbol: str) -> int:
    """Return the shares an account owns in a symbol, zero when none."""
    row = Position.objects.filter(account_id=account_id, symbol=symbol).values_list("quantity", flat=True)
    return row.first() or 0
