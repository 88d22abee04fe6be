"""What a replacement asks of the order it replaces, of its group, of the account and of the market."""

import hashlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from decimal import Decimal

from apps.instruments.rules import auction_entry_check
from apps.instruments.selectors import market_calendar
from apps.orders.combinations import AUCTIONS, LASTING, exits_base_check, exits_check
from apps.orders.engine_terms import type_in_engine
from apps.orders.entry_facts import EntryFacts
from apps.orders.intents import ReplaceIntent, percent_parse
from apps.orders.models import LiveOrder, Order
from apps.orders.services.transaction import Held
from apps.primitives.errors import Conflict, Invalid
from apps.primitives.fix import Leg, OrderType, OrdStatus, Side, TimeInForce
from apps.primitives.money import QUANTITY_MAX
from apps.risk.rules import Hold, OrderFacts, hold_check, hold_price, pretrade_check, tick_check

_TOO_LATE = "unable to replace order in current state."
_CHANGEABLE: dict[OrderType, tuple[str, ...]] = {
    OrderType.LIMIT: ("price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("price", "stop_price"),
    OrderType.TRAIL: ("trail",),
}
_FIELDS = {"price": "limit_price", "stop_price": "stop_price", "trail": "trail"}


@dataclass(frozen=True, slots=True)
class Replacement:
    """An order as it is to become: its type in the engine, its new total, its prices and time in force."""

    client_order_id: str
    order_id: int
    order_type: OrderType
    quantity: int
    price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    trail_percent: Decimal | None
    time_in_force: TimeInForce

    def request_hash(self) -> str:
        """Return what tells a repeated request from another one with the same client id."""
        return hashlib.sha256("|".join(map(str, astuple(self)[1:])).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ReplacementPlan:
    """A replacement's terms, what is open of it, and what it holds beyond the order it replaces."""

    terms: Hold
    open_quantity: int
    extra: Hold
    held: Held


def changes_read(row: Order, intent: ReplaceIntent) -> Replacement:
    """Return the order as it is to become; raises ``Invalid`` for a change that its type does not have."""
    kind = OrderType(type_in_engine(row.order_type, triggered=row.triggered_at is not None))
    if kind not in _CHANGEABLE:
        raise Invalid("not_replaceable", "unable to replace order: market orders cannot be replaced")
    if kind is OrderType.STOP and row.triggered_at is not None:
        raise Conflict("TOO_LATE", f"{_TOO_LATE} Its stop has been triggered.")
    for name, field in _FIELDS.items():
        if getattr(intent, name) is not None and name not in _CHANGEABLE[kind]:
            raise Invalid("not_replaceable", f"this order has no {field} to change", field=field)
    total = intent.quantity if intent.quantity is not None else row.quantity
    if total <= row.filled_quantity:
        raise Invalid(
            "bad_quantity",
            f"qty must be greater than the {row.filled_quantity} that have filled already.",
            field="qty",
        )
    amount, percent = _trail(row, intent)
    asked = Replacement(
        client_order_id=intent.client_order_id,
        order_id=row.order_id,
        order_type=kind,
        quantity=total,
        price=intent.price if intent.price is not None else row.price,
        stop_price=None if kind is OrderType.LIMIT else intent.stop_price or row.stop_price,
        trail_amount=amount,
        trail_percent=percent,
        time_in_force=intent.time_in_force or TimeInForce(row.time_in_force),
    )
    _time_check(row, asked)
    _leg_check(row, asked)
    return asked


def _trail(row: Order, intent: ReplaceIntent) -> tuple[Decimal | None, Decimal | None]:
    """Return the trail in the kind that the order has: an amount or a percentage."""
    if intent.trail is None:
        return row.trail_amount, row.trail_percent
    if row.trail_percent is not None:
        return None, percent_parse(intent.trail, "trail")
    return intent.trail, None


def _time_check(row: Order, asked: Replacement) -> None:
    changed = asked.time_in_force != row.time_in_force
    allowed = LASTING if changed else (*LASTING, *AUCTIONS)
    if not {asked.time_in_force, TimeInForce(row.time_in_force)} <= set(allowed):
        raise Invalid(
            "not_replaceable", "a replacement is good for the day or till cancelled", field="time_in_force"
        )
    if changed and row.group_id is not None:
        raise Invalid(
            "not_replaceable", "the orders of a group keep their time in force", field="time_in_force"
        )


def _leg_check(row: Order, asked: Replacement) -> None:
    """Refuse what a leg that waits cannot change, and exits on the wrong side of one another."""
    if row.status == OrdStatus.HELD and row.triggered_at is not None:
        raise Conflict("TOO_LATE", f"{_TOO_LATE} Its stop has been triggered.")
    if row.status == OrdStatus.HELD and asked.quantity != row.quantity:
        raise Invalid(
            "not_replaceable",
            "the quantity of a leg that waits follows its group's other orders",
            field="qty",
        )


def replacement_plan(row: Order, asked: Replacement, facts: EntryFacts) -> ReplacementPlan:
    """Return what a replacement needs; raises ``Invalid``, ``Refused`` or ``Conflict``."""
    auction_entry_check(asked.time_in_force, market_calendar(), facts.now)
    if row.group_id is not None:
        _group_check(row, asked, facts)
    held = _held(row)
    open_quantity = asked.quantity - row.filled_quantity
    if row.status == OrdStatus.HELD:
        return _waiting_plan(row, asked, facts, held, open_quantity)
    order = _order_facts(row, asked, open_quantity)
    account = facts.account(cash=held.cash, shares=held.shares)
    need = _collar_keep(row, asked, open_quantity, pretrade_check(order, account, facts.instrument))
    # The old order may fill at its own price first: then what is added needs all of its cash.
    added_cash = max(open_quantity - held.remaining, 0) * need.hold_price
    extra_cash = max(need.cash - held.cash, added_cash, Decimal(0))
    hold_check(order, account, row.symbol, replace(need, cash=held.cash + extra_cash))
    extra = replace(need, cash=extra_cash, shares=max(need.shares - held.shares, 0))
    return ReplacementPlan(need, open_quantity, extra, held)


def _order_facts(row: Order, asked: Replacement, quantity: int) -> OrderFacts:
    return OrderFacts(
        side=Side(row.side),
        order_type=asked.order_type,
        time_in_force=asked.time_in_force,
        quantity=quantity,
        price=asked.price,
        stop_price=asked.stop_price,
        trail_amount=asked.trail_amount,
        trail_percent=asked.trail_percent,
        mark=row.high_water_mark,
    )


def _waiting_plan(
    row: Order, asked: Replacement, facts: EntryFacts, held: Held, quantity: int
) -> ReplacementPlan:
    """A leg that waits sells what its group will own: it takes nothing more, whatever it asks for."""
    none = Decimal(0)
    if row.leg == Leg.TAKE_PROFIT:
        assert asked.price is not None
        tick_check(row.symbol, asked.price, facts.instrument.ticks)
        terms = Hold(asked.price, none, none, 0)
    else:
        free = replace(facts.account(), available_shares=quantity)
        terms = pretrade_check(_order_facts(row, asked, quantity), free, facts.instrument)
    return ReplacementPlan(terms, quantity, Hold(terms.engine_price, none, none, 0), held)


def _collar_keep(row: Order, asked: Replacement, quantity: int, need: Hold) -> Hold:
    """Keep the collar where the trigger stays, so that a smaller stop keeps its place."""
    trigger = (row.stop_price, row.trail_amount, row.trail_percent)
    wanted = (asked.stop_price, asked.trail_amount, asked.trail_percent)
    if row.collar_price is None or trigger != wanted:
        return need
    if row.side == Side.SELL:
        return replace(need, engine_price=row.collar_price)
    held_at = hold_price(row.collar_price)
    return replace(need, engine_price=row.collar_price, hold_price=held_at, cash=held_at * quantity)


def _group_check(row: Order, asked: Replacement, facts: EntryFacts) -> None:
    """Measure exits against one another, and what has changed against the entry and the market."""
    live = LiveOrder.objects.filter(group_id=row.group_id).values_list("order_id", flat=True)
    members = {member.leg: member for member in Order.objects.filter(order_id__in=list(live))}
    _group_size_check(row, asked, members.values())
    prices = {leg: (member.price, member.stop_price) for leg, member in members.items()}
    prices[row.leg] = (asked.price, asked.stop_price)
    entry, _ = prices.get(Leg.ENTRY, (None, None))
    take_profit, _ = prices.get(Leg.TAKE_PROFIT, (None, None))
    _, stop_price = prices.get(Leg.STOP_LOSS, (None, None))
    exits_check(take_profit, stop_price)
    exits_base_check(
        entry=entry,
        last=facts.row.last_price,
        take_profit=take_profit if row.leg != Leg.STOP_LOSS else None,
        stop_price=stop_price if row.leg != Leg.TAKE_PROFIT else None,
        opens=Leg.ENTRY in members,
    )


def _group_size_check(row: Order, asked: Replacement, members: Iterable[Order]) -> None:
    """Refuse a larger entry when its exits, which sell all that it ever bought, would become too large."""
    if row.leg != Leg.ENTRY:
        return
    largest = max((member.quantity for member in members if member.leg != Leg.ENTRY), default=0)
    if largest + asked.quantity - row.quantity > QUANTITY_MAX:
        raise Invalid(
            "bad_quantity", f"the exits of a group can sell at most {QUANTITY_MAX:,} shares", field="qty"
        )


def _held(row: Order) -> Held:
    hold = LiveOrder.objects.filter(pk=row.order_id).first()
    if hold is None:
        raise Conflict("TOO_LATE", f"{_TOO_LATE} The order has ended.")
    return Held(row.order_id, hold.held_cash, hold.held_shares, hold.remaining)
