"""May it pass, and what must be held? Pure decisions on figures that the caller has read under its locks."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_UP, Decimal

from apps.instruments.rules import tick_at
from apps.primitives.errors import Invalid, Refused
from apps.primitives.fix import OrderType, Side, TimeInForce
from apps.primitives.money import CENT, MONEY_MAX

BPS = 10_000


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
    ticks: tuple[tuple[Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What is asked: quantity in shares still to trade, price the limit or None for market."""

    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Hold:
    """What an accepted order holds, and the worst price the engine may trade it at."""

    engine_price: Decimal
    hold_price: Decimal
    cash: Decimal
    shares: int


def tick_check(symbol: str, price: Decimal, ticks: tuple[tuple[Decimal, Decimal], ...]) -> None:
    """Refuse a price between two ticks; the message names the step and the nearest prices."""
    step = tick_at(price, ticks)
    if price % step:
        below = (price // step) * step
        raise Invalid(
            "TICK",
            f"Prices for {symbol} move in steps of {step.normalize():f}: "
            f"use {below.normalize():f} or {(below + step).normalize():f}.",
            increment=str(step),
        )


def collar_price(side: Side, last_price: Decimal, limit_bps: int, tick: Decimal) -> Decimal:
    """Return a market order's worst price: the last price plus or minus the band, on a tick inside it."""
    if side is Side.BUY:
        edge = last_price * (BPS + limit_bps) / BPS
        return (edge / tick).to_integral_value(ROUND_DOWN) * tick
    edge = last_price * (BPS - limit_bps) / BPS
    return max((edge / tick).to_integral_value(ROUND_UP), Decimal(1)) * tick


def hold_price(price: Decimal) -> Decimal:
    """Return the price to hold at: up to the next cent, since each fill is rounded to cents by itself."""
    return price.quantize(CENT, rounding=ROUND_CEILING)


def _instrument_check(order: OrderFacts, instrument: InstrumentFacts) -> None:
    symbol = instrument.symbol
    if instrument.status != "ACTIVE" or not instrument.tradable:
        raise Invalid("NOT_TRADABLE", f'asset "{symbol}" is not tradable', symbol=symbol)
    rests = order.order_type is OrderType.LIMIT and order.time_in_force in (TimeInForce.DAY, TimeInForce.GTC)
    if instrument.halted and not rests:
        raise Refused(
            "HALTED",
            f"{symbol} is halted. Limit orders for the day or good till cancelled wait for the resumption; "
            "this order type cannot.",
            symbol=symbol,
        )
    if not instrument.market_is_open and not rests:
        raise Refused(
            "MARKET_CLOSED",
            "The market is closed. Limit orders for the day or good till cancelled wait for the open; "
            "this order type cannot.",
            symbol=symbol,
        )


def _collar(order: OrderFacts, instrument: InstrumentFacts) -> Decimal | None:
    if instrument.last_price is None or instrument.limit_bps is None:
        return None
    tick = tick_at(instrument.last_price, instrument.ticks)
    return collar_price(order.side, instrument.last_price, instrument.limit_bps, tick)


def _engine_price(order: OrderFacts, instrument: InstrumentFacts) -> Decimal:
    collar = _collar(order, instrument)
    if order.price is None:
        if collar is None:
            raise Refused(
                "NO_REFERENCE_PRICE",
                f"{instrument.symbol} has no last price yet, which a market order needs. Use a limit order.",
            )
        return collar
    tick_check(instrument.symbol, order.price, instrument.ticks)
    aggressive = collar is not None and (
        order.price > collar if order.side is Side.BUY else order.price < collar
    )
    if aggressive:
        edge = "above" if order.side is Side.BUY else "below"
        raise Refused(
            "PRICE_COLLAR",
            f"{order.price.normalize():f} is more than {Decimal(instrument.limit_bps or 0) / 100:f}% {edge} "
            f"the last price of {instrument.last_price}. Orders that far away are refused.",
            collar=str(collar),
            last_price=str(instrument.last_price),
        )
    return order.price


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
    price = _engine_price(order, instrument)
    if order.side is Side.SELL:
        return Hold(price, Decimal(0), Decimal(0), order.quantity)
    held_at = hold_price(price)
    cash = held_at * order.quantity
    if cash > MONEY_MAX:
        raise Invalid("ORDER_TOO_LARGE", "This order's value is larger than the system can book.")
    return Hold(price, held_at, cash, 0)


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
