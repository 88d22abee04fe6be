"""What an order would cost, before it is sent: the same rules as entry, on one reading, writing nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apps.marketdata.quotes import BookView, StatusView, book_latest
from apps.orders.combinations import AUCTIONS, STOPS
from apps.orders.entry_facts import EntryFacts
from apps.orders.intents import OrderIntent
from apps.orders.services.plan import order_facts, orders_count, orders_plan
from apps.orders.services.transaction import facts_read
from apps.primitives.errors import BrokerageError
from apps.primitives.fix import OrderType, Side, TimeInForce
from apps.primitives.money import QUANTITY_MAX, trade_value
from apps.risk.rules import Hold, pretrade_hold

ZERO = Decimal("0.00")
COMMISSION = ZERO
"""Openbell charges no commission in this version; the fee schedule will be dated rows."""

_CONTINUOUS = "CONTINUOUS"
_STANDSTILLS = {
    "PRE_OPEN": "The market has not opened yet",
    "OPENING_AUCTION": "Orders are collected for the opening auction",
    "HALTED": "Trading is halted",
    "PAUSED": "Trading is paused",
    "CLOSING_AUCTION": "Orders are collected for the closing auction",
    "CLOSED": "The market is closed",
}
_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why entry would refuse: a stable reason, a sentence, its figures, and the field it is about, if any."""

    reason: str
    message: str
    details: Mapping[str, Any]
    field: str = ""


@dataclass(frozen=True, slots=True)
class OrderPreview:
    """An order's effect if it were sent now; amounts in dollars and cents, quantities in shares.

    ``worst_price`` is the worst that an order without a limit may trade at, ``stop_price`` where its trigger
    would stand; None where there is none.
    """

    estimated_cost: Decimal
    fees: Decimal
    total: Decimal
    buying_power_before: Decimal
    buying_power_after: Decimal
    position_before: int
    position_after: int
    best_bid: Decimal | None
    best_ask: Decimal | None
    max_quantity: int
    hint: str
    refusal: Refusal | None
    worst_price: Decimal | None = None
    stop_price: Decimal | None = None


def order_preview(intent: OrderIntent) -> OrderPreview:
    """Return what ``intent`` would do; raises ``NotFound`` for an unknown symbol or account."""
    facts = facts_read(intent.account_id, intent.symbol, intent.client_order_id, orders_count(intent))
    book, hold, refusal = book_latest(intent.symbol), None, None
    try:
        hold = pretrade_hold(order_facts(intent), facts.instrument)
        orders_plan(intent, facts)
    except BrokerageError as error:
        refusal = Refusal(error.reason, error.message, error.details, str(error.details.get("field", "")))
    return _preview(intent, facts, book, hold, refusal)


def _preview(
    intent: OrderIntent, facts: EntryFacts, book: BookView, hold: Hold | None, refusal: Refusal | None
) -> OrderPreview:
    cost, worst = _cost_estimate(intent, facts, book)
    available, owned = facts.account().available_cash, facts.row.position_quantity
    before = max(available, ZERO)
    sign = 1 if intent.side is Side.BUY else -1
    return OrderPreview(
        estimated_cost=cost,
        fees=COMMISSION,
        total=cost + COMMISSION,
        buying_power_before=before,
        buying_power_after=max(before - (hold.cash if hold else ZERO), ZERO),
        position_before=owned,
        position_after=owned + sign * intent.quantity,
        best_bid=book.best_bid,
        best_ask=book.best_ask,
        max_quantity=_quantity_max(intent, facts, hold),
        hint=_hint(intent, book, worst),
        refusal=refusal,
        worst_price=hold.engine_price if hold and intent.price is None else None,
        stop_price=hold.stop_price if hold else intent.stop_price,
    )


def _quantity_max(intent: OrderIntent, facts: EntryFacts, hold: Hold | None) -> int:
    account = facts.account()
    if intent.side is Side.SELL:
        return max(account.available_shares, 0)
    if hold is None or not hold.hold_price:
        return 0
    return min(max(int(account.available_cash // hold.hold_price), 0), QUANTITY_MAX)


def _cost_estimate(intent: OrderIntent, facts: EntryFacts, book: BookView) -> tuple[Decimal, Decimal]:
    """Return the likely value and its worst case: through the book for what crosses, else at its price."""
    reference = intent.price or intent.stop_price or facts.row.last_price or Decimal(0)
    worst = trade_value(reference, intent.quantity)
    if intent.order_type is not OrderType.MARKET:
        return worst, worst
    levels = book.asks if intent.side is Side.BUY else book.bids
    left, value = intent.quantity, ZERO
    for price, size in levels:
        taken = min(left, size)
        value += price * taken
        left -= taken
        reference = price
    value += reference * left
    return trade_value(value, 1), trade_value(reference, intent.quantity)


def _hint(intent: OrderIntent, book: BookView, worst: Decimal) -> str:
    touch = book.best_ask if intent.side is Side.BUY else book.best_bid
    if book.status and (told := _mode_hint(intent, book.status)):
        return told
    if intent.time_in_force in AUCTIONS:
        return "It waits outside the book for its auction."
    if intent.order_type in STOPS:
        return _stop_hint(intent)
    if book.status and (told := _status_hint(intent, book.status)):
        return told
    if touch is None:
        return "Nobody is quoting on the other side right now."
    if intent.order_type is OrderType.MARKET:
        best = trade_value(touch, intent.quantity)
        low, high = sorted((best, worst))
        return f"About {low:,.2f} to {high:,.2f} for {intent.quantity} shares now."
    return _limit_hint(intent, touch)


def _mode_hint(intent: OrderIntent, status: StatusView) -> str:
    """Return what the book's mode would do to an order: there are no short positions, so sales reduce one."""
    if status.mode == "CANCEL_ONLY":
        return "The book takes only cancellations right now: this order would be rejected."
    if status.mode == "REDUCE_ONLY" and intent.side is Side.BUY:
        return "The book takes only orders that reduce a position right now: this order would be rejected."
    return ""


def _status_hint(intent: OrderIntent, status: StatusView) -> str:
    if status.phase != _CONTINUOUS:
        return _standstill_hint(intent, status)
    if status.bands is None or intent.price is None:
        return ""
    lower, upper = status.bands
    if intent.side is Side.BUY and intent.price > upper:
        return f"This price is above the upper price band of {_figure(upper)}: this order would be rejected."
    if intent.side is Side.SELL and intent.price < lower:
        return f"This price is below the lower price band of {_figure(lower)}: this order would be rejected."
    return ""


def _standstill_hint(intent: OrderIntent, status: StatusView) -> str:
    why = _STANDSTILLS.get(status.phase, "Nothing trades right now")
    if intent.order_type is OrderType.MARKET or intent.time_in_force in _AT_ONCE:
        return f"{why}: an order that must trade at once would be rejected."
    price = f", which would now trade at {_figure(status.auction.price)}" if status.auction else ""
    return f"{why}: this order waits for the auction{price}."


def _figure(price: Decimal) -> str:
    return f"{price.normalize():f}"


def _stop_hint(intent: OrderIntent) -> str:
    where = "rises to" if intent.side is Side.BUY else "falls to"
    if intent.stop_price is None:
        return "The stop follows the price and never moves away from it."
    return f"It waits outside the book until the price {where} {_figure(intent.stop_price)}."


def _limit_hint(intent: OrderIntent, touch: Decimal) -> str:
    assert intent.price is not None
    buys = intent.side is Side.BUY
    crosses = intent.price >= touch if buys else intent.price <= touch
    others, price = ("sellers", "ask") if buys else ("buyers", "bid")
    if crosses:
        return f"This price reaches the {price} of {_figure(touch)}, so the order can fill at once."
    if intent.time_in_force in _AT_ONCE:
        return f"This price does not reach the {price} of {_figure(touch)}, so it would end unfilled."
    side = "below" if buys else "above"
    return f"This price is {side} the {price}, so the order will wait in the book until {others} reach it."
