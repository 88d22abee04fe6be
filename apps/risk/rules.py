"""May it pass, and what must be held? Pure decisions on figures that the caller has read under its locks."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from apps.instruments.rules import tick_at
from apps.primitives.errors import Invalid, Refused
from apps.primitives.fix import OrderType, Side, TimeInForce
from apps.primitives.money import CENT, MONEY_MAX, PRICE_MAX
from apps.risk.stops import TRAIL_MAX, Ticks, collar_price, stop_collar, trail_stop

_WAITING = (TimeInForce.DAY, TimeInForce.GTC)
_AUCTIONS = (TimeInForce.OPG, TimeInForce.CLS)

Terms = tuple[Decimal, Decimal | None, Decimal | None]
"""The worst price the engine may trade at, the trigger, and the mark the trigger is measured from."""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account at one instant: free cash and free shares of the order's symbol, both net of holds."""

    account_status: str
    available_cash: Decimal
    available_shares: int


@dataclass(frozen=True, slots=True)
class InstrumentFacts:
    """An instrument at one instant, with the dated rules in force; ticks are (price from, increment)."""

    symbol: str
    status: str
    tradable: bool
    halted: bool
    market_is_open: bool
    last_price: Decimal | None
    limit_bps: int | None
    ticks: Ticks


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What is asked: quantity in shares still to trade, price the limit or None for an order without one.

    ``mark`` is the high-water mark of a trailing stop that is being replaced; a new one starts at the market.
    """

    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    price: Decimal | None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    mark: Decimal | None = None

    @property
    def waits(self) -> bool:
        """Whether the order can wait while nothing trades: for its price, its trigger or its auction."""
        if self.time_in_force in _AUCTIONS:
            return True
        return self.order_type is not OrderType.MARKET and self.time_in_force in _WAITING


@dataclass(frozen=True, slots=True)
class Hold:
    """What an accepted order holds, and the worst price the engine may trade it at.

    ``stop_price`` is its trigger, if it has one, and ``mark`` what a trailing trigger is measured from.
    """

    engine_price: Decimal
    hold_price: Decimal
    cash: Decimal
    shares: int
    stop_price: Decimal | None = None
    mark: Decimal | None = None


def tick_check(symbol: str, price: Decimal, ticks: Ticks, field: str = "limit_price") -> None:
    """Refuse a price between two ticks; the message names the step and the nearest prices."""
    step = tick_at(price, ticks)
    if price % step:
        below = (price // step) * step
        raise Invalid(
            "TICK",
            f"Prices for {symbol} move in steps of {step.normalize():f}: "
            f"use {below.normalize():f} or {(below + step).normalize():f}.",
            increment=str(step),
            field=field,
        )


def hold_price(price: Decimal) -> Decimal:
    """Return the price to hold at: up to the next cent, since each fill is rounded to cents by itself."""
    return price.quantize(CENT, rounding=ROUND_CEILING)


def _instrument_check(order: OrderFacts, instrument: InstrumentFacts) -> None:
    symbol = instrument.symbol
    if instrument.status != "ACTIVE" or not instrument.tradable:
        raise Invalid("NOT_TRADABLE", f'asset "{symbol}" is not tradable', symbol=symbol)
    if instrument.halted and not order.waits:
        raise Refused(
            "HALTED",
            f"{symbol} is halted. Limit and stop orders for the day or good till cancelled wait for the "
            "resumption; "
            "this order type cannot.",
            symbol=symbol,
        )
    if not instrument.market_is_open and not order.waits:
        raise Refused(
            "MARKET_CLOSED",
            "The market is closed. Limit and stop orders for the day or good till cancelled wait for the "
            "open; this order type cannot.",
            symbol=symbol,
        )


def _band(instrument: InstrumentFacts) -> int:
    if instrument.limit_bps is None:
        raise Refused(
            "NO_PRICE_BAND", f"{instrument.symbol} has no price band in force: it cannot be traded."
        )
    return instrument.limit_bps


def _reference(instrument: InstrumentFacts, what: str) -> Decimal:
    if instrument.last_price is None:
        raise Refused(
            "NO_REFERENCE_PRICE",
            f"{instrument.symbol} has no last price yet, which a {what} order needs. Use a limit order.",
        )
    return instrument.last_price


def _collar_check(order: OrderFacts, instrument: InstrumentFacts, reference: Decimal, name: str) -> None:
    """Refuse a limit that gives away more than the band, measured from the last price or its own trigger."""
    assert order.price is not None
    if instrument.limit_bps is None:
        return
    collar = collar_price(order.side, reference, instrument.limit_bps, instrument.ticks)
    if order.price > collar if order.side is Side.BUY else order.price < collar:
        edge = "above" if order.side is Side.BUY else "below"
        raise Refused(
            "PRICE_COLLAR",
            f"{order.price.normalize():f} is more than {Decimal(instrument.limit_bps) / 100:f}% {edge} "
            f"the {name} of {reference}. Orders that far away are refused.",
            collar=str(collar),
            last_price=str(instrument.last_price),
        )


def _stop_check(side: Side, stop_price: Decimal, last_price: Decimal | None) -> None:
    """Refuse a stop that the last price has reached: it would be a market order in disguise."""
    if last_price is None:
        return
    if stop_price <= last_price if side is Side.BUY else stop_price >= last_price:
        wanted = "greater" if side is Side.BUY else "less"
        raise Invalid(
            "STOP_PRICE",
            f"stop price must be {wanted} than current price",
            field="stop_price",
            current_price=str(last_price),
        )


def _market_terms(order: OrderFacts, instrument: InstrumentFacts) -> Terms:
    reference = _reference(instrument, "market")
    return collar_price(order.side, reference, _band(instrument), instrument.ticks), None, None


def _limit_terms(order: OrderFacts, instrument: InstrumentFacts) -> Terms:
    assert order.price is not None
    tick_check(instrument.symbol, order.price, instrument.ticks)
    if instrument.last_price is not None:
        _collar_check(order, instrument, instrument.last_price, "last price")
    return order.price, None, None


def _stop_terms(order: OrderFacts, instrument: InstrumentFacts) -> Terms:
    assert order.stop_price is not None
    tick_check(instrument.symbol, order.stop_price, instrument.ticks, "stop_price")
    _stop_check(order.side, order.stop_price, instrument.last_price)
    if order.price is not None:
        tick_check(instrument.symbol, order.price, instrument.ticks)
        _collar_check(order, instrument, order.stop_price, "stop price")
        return order.price, order.stop_price, None
    worst = stop_collar(order.side, order.stop_price, _band(instrument), instrument.ticks)
    return worst, order.stop_price, None


def _trail_terms(order: OrderFacts, instrument: InstrumentFacts) -> Terms:
    last = _reference(instrument, "trailing stop")
    mark = order.mark if order.mark is not None else last
    if order.trail_amount is not None and order.trail_amount % tick_at(last, instrument.ticks):
        step = tick_at(last, instrument.ticks).normalize()
        raise Invalid(
            "TICK",
            f"Prices for {instrument.symbol} move in steps of {step:f}: so must a trail.",
            field="trail_price",
        )
    stop = trail_stop(order.side, mark, order.trail_amount, order.trail_percent)
    if not 0 < stop <= PRICE_MAX or (order.trail_amount or 0) > TRAIL_MAX:
        raise Invalid("bad_trail", f"A trail that long leaves no stop price at {mark}.", field="trail_price")
    _stop_check(order.side, stop, last)
    return stop_collar(order.side, stop, _band(instrument), instrument.ticks), stop, mark


_TERMS: dict[OrderType, Callable[[OrderFacts, InstrumentFacts], Terms]] = {
    OrderType.MARKET: _market_terms,
    OrderType.LIMIT: _limit_terms,
    OrderType.STOP: _stop_terms,
    OrderType.STOP_LIMIT: _stop_terms,
    OrderType.TRAIL: _trail_terms,
}


def hold_check(order: OrderFacts, account: AccountFacts, symbol: str, need: Hold) -> None:
    """Refuse when the account's free cash or shares do not cover ``need``; the message gives the gap."""
    if order.side is Side.BUY and need.cash > account.available_cash:
        have = max(account.available_cash, Decimal(0))
        raise Refused(
            "INSUFFICIENT_BP",
            f"insufficient buying power: this order needs {need.cash:,.2f} and you have {have:,.2f}, "
            f"short by {need.cash - have:,.2f}. Lower the quantity or deposit funds.",
            buying_power=str(have),
            cost_basis=str(need.cash),
            quantity_possible=int(have // need.hold_price) if need.hold_price else 0,
        )
    if order.side is Side.SELL and need.shares > account.available_shares:
        raise Refused(
            "INSUFFICIENT_SHARES",
            f"insufficient qty available for order (requested: {need.shares}, "
            f"available: {account.available_shares})",
            available=str(account.available_shares),
            symbol=symbol,
        )


def pretrade_hold(order: OrderFacts, instrument: InstrumentFacts) -> Hold:
    """Return what an order must hold; raises ``Invalid`` or ``Refused`` when the instrument forbids it."""
    _instrument_check(order, instrument)
    price, stop, mark = _TERMS[order.order_type](order, instrument)
    if order.side is Side.SELL:
        return Hold(price, Decimal(0), Decimal(0), order.quantity, stop, mark)
    held_at = hold_price(price)
    cash = held_at * order.quantity
    if held_at > PRICE_MAX or cash > MONEY_MAX:
        raise Invalid("ORDER_TOO_LARGE", "This order's value is larger than the system can book.")
    return Hold(price, held_at, cash, 0, stop, mark)


def pretrade_check(order: OrderFacts, account: AccountFacts, instrument: InstrumentFacts) -> Hold:
    """Decide whether an order may pass and return its hold; raises with reason, sentence and figures."""
    if account.account_status != "ACTIVE":
        raise Refused(
            "ACCOUNT_NOT_ACTIVE",
            f"account is not authorized to trade: it is {account.account_status.lower()}.",
        )
    need = pretrade_hold(order, instrument)
    hold_check(order, account, instrument.symbol, need)
    return need
