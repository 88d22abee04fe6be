"""The rules of surveillance: from what an account did in a window to the pattern it makes, or to none.

A pattern is a reason to look, not a verdict: intent, which the laws ask for, is for people to judge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from apps.surveillance.limits import Kind, Values

EVIDENCE_MAX = 50
"""Events that a pattern names: its newest."""

_HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class WatchedTrade:
    """One trade with both its sides; ``price`` in dollars a share."""

    trade_id: int
    symbol: str
    price: Decimal
    quantity: int
    executed_at: datetime
    buy_account_id: int
    sell_account_id: int
    buy_event_id: int
    sell_event_id: int


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An order that its owner took back: what was open of it, at which limit, and how long it stood."""

    order_id: int
    account_id: int
    symbol: str
    side: str
    price: Decimal
    quantity: int
    entered_at: datetime
    withdrawn_at: datetime
    event_id: int


@dataclass(frozen=True, slots=True)
class Fill:
    """One account's side of a trade."""

    side: str
    price: Decimal
    quantity: int
    executed_at: datetime
    event_id: int


@dataclass(frozen=True, slots=True)
class MessageCount:
    """What an account sent and traded in one symbol in one window; volumes in shares."""

    account_id: int
    symbol: str
    begins_at: datetime
    messages: int
    trades: int
    volume_ordered: int
    volume_traded: int
    last_at: datetime
    last_event_id: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a rule found: about whom, when, the figures it measured, and the events that show it.

    ``other_account_id`` is 0 where one account acted alone.
    """

    kind: Kind
    account_id: int
    other_account_id: int
    symbol: str
    first_at: datetime
    last_at: datetime
    measured: dict[str, Decimal]
    event_ids: tuple[int, ...]


def self_trades_find(trades: Sequence[WatchedTrade], limits: Values) -> Pattern | None:
    """Find trades whose two sides belong to one beneficial owner; ``trades`` are such, of one symbol.

    Sources: Securities Exchange Act 9(a)(1) (no change in beneficial ownership); FINRA Rule 5210.02, which
    asks for procedures that review trading for patterns of self-trades; FINRA Rule 6140(b).
    """
    if len(trades) < limits["trades_min"]:
        return None
    accounts = sorted({a for t in trades for a in (t.buy_account_id, t.sell_account_id)})
    return _trades_pattern(
        Kind.SELF_TRADE,
        accounts,
        trades,
        {"trades": Decimal(len(trades)), "quantity": Decimal(sum(t.quantity for t in trades))},
    )


def wash_trades_find(
    trades: Sequence[WatchedTrade], volumes: dict[int, int], limits: Values
) -> Pattern | None:
    """Find two accounts that trade back and forth with each other so that little changes hands.

    ``trades`` are all between the two, in one symbol and window; ``volumes`` are the shares each account
    traded there with anybody. A market maker trades with everybody: what counts is how much of either
    one's trading is with the other.

    Sources: Securities Exchange Act 9(a)(1), FINRA Rule 6140(b); Market Abuse Regulation (EU) 596/2014
    Art. 12(1)(a) with Annex I A(c) (transactions that lead to no change in beneficial ownership).
    """
    if len(trades) < limits["trades_min"]:
        return None
    one, other = sorted({trades[0].buy_account_id, trades[0].sell_account_id})
    gross = sum(t.quantity for t in trades)
    net = abs(sum(t.quantity if t.buy_account_id == one else -t.quantity for t in trades))
    net_pct = _percent(net, gross)
    pair_pct = min(_percent(gross, volumes[one]), _percent(gross, volumes[other]))
    if net_pct > limits["net_pct_max"] or pair_pct < limits["pair_pct_min"]:
        return None
    measured = {
        "trades": Decimal(len(trades)),
        "quantity": Decimal(gross),
        "net_quantity": Decimal(net),
        "net_pct": net_pct,
        "pair_pct": pair_pct,
    }
    return _trades_pattern(Kind.WASH_TRADES, [one, other], trades, measured)


def order_ratio_find(count: MessageCount, limits: Values) -> Pattern | None:
    """Find an account that sends far more messages, or orders far more shares, than it trades.

    Source: Commission Delegated Regulation (EU) 2017/566 Art. 3: total orders over total transactions, less
    one, in number and in volume, for each instrument; either ratio alone can be exceeded. An order is every
    message: entry, change and cancellation (Art. 1(a)). Who has not traded counts as if it had once.
    """
    if count.messages < limits["messages_min"]:
        return None
    ratio = _ratio(count.messages, max(count.trades, 1)) - 1
    volume_ratio = _ratio(count.volume_ordered, max(count.volume_traded, 1)) - 1
    if ratio <= limits["ratio_max"] and volume_ratio <= limits["volume_ratio_max"]:
        return None
    measured = {
        "messages": Decimal(count.messages),
        "trades": Decimal(count.trades),
        "ratio": ratio,
        "volume_ratio": volume_ratio,
    }
    where = (Kind.ORDER_RATIO, count.account_id, 0, count.symbol, count.begins_at, count.last_at)
    return Pattern(*where, measured, (count.last_event_id,))


def layering_find(withdrawals: Sequence[Withdrawal], fills: Sequence[Fill], limits: Values) -> Pattern | None:
    """Find large orders that stood near the price while the other side traded, and were then taken back.

    All are of one account, symbol and window. An order counts when it was withdrawn soon after its entry,
    and while it stood the same account traded on the other side alone, for much less than was withdrawn. A
    market maker trades on both sides, and withdraws as much when nothing was traded.

    Sources: FINRA Rule 5210.03 (orders on one side, executions on the other, cancellation of the first, as a
    frequent pattern); Market Abuse Regulation (EU) 596/2014 Art. 12(2)(c) and Annex I A(f); Securities
    Exchange Act 9(a)(2).
    """
    quick = [order for order in withdrawals if _was_quick(order, limits)]
    found = [(order, against) for order in quick if (against := _traded_against(order, fills, limits))]
    if not found or len(found) < limits["times_min"]:
        return None
    pattern_pct = _percent(len(found), len(quick))
    if pattern_pct < limits["pattern_pct_min"]:
        return None
    orders = [order for order, _ in found]
    used = {fill.event_id: fill for _, against in found for fill in against}
    measured = {
        "times": Decimal(len(orders)),
        "pattern_pct": pattern_pct,
        "withdrawn_quantity": Decimal(sum(order.quantity for order in orders)),
        "traded_quantity": Decimal(sum(fill.quantity for fill in used.values())),
    }
    events = sorted({*(order.event_id for order in orders), *used})
    first, last = min(order.entered_at for order in orders), max(order.withdrawn_at for order in orders)
    where = (Kind.LAYERING, orders[0].account_id, 0, orders[0].symbol, first, last)
    return Pattern(*where, measured, tuple(events[-EVIDENCE_MAX:]))


def _was_quick(order: Withdrawal, limits: Values) -> bool:
    lived_s = (order.withdrawn_at - order.entered_at) // timedelta(seconds=1)
    return lived_s <= limits["lifetime_s"] and order.price * order.quantity >= limits["value_min"]


def _traded_against(order: Withdrawal, fills: Sequence[Fill], limits: Values) -> list[Fill]:
    """Return what its owner traded on the other side while the order stood, if that fits the pattern."""
    stood = [fill for fill in fills if order.entered_at <= fill.executed_at <= order.withdrawn_at]
    near = [f for f in stood if abs(order.price - f.price) * 10_000 <= limits["near_bps_max"] * f.price]
    traded = sum(fill.quantity for fill in near)
    if any(fill.side == order.side for fill in stood) or order.quantity < limits["size_ratio_min"] * traded:
        return []
    return near


def _trades_pattern(
    kind: Kind, accounts: Sequence[int], trades: Sequence[WatchedTrade], measured: dict[str, Decimal]
) -> Pattern:
    times = [trade.executed_at for trade in trades]
    events = sorted({event for trade in trades for event in (trade.buy_event_id, trade.sell_event_id)})
    other = accounts[1] if len(accounts) > 1 else 0
    where = (kind, accounts[0], other, trades[0].symbol, min(times), max(times))
    return Pattern(*where, measured, tuple(events[-EVIDENCE_MAX:]))


def _ratio(part: int, whole: int) -> Decimal:
    return (Decimal(part) / Decimal(whole)).quantize(_HUNDREDTH, rounding=ROUND_HALF_EVEN)


def _percent(part: int, whole: int) -> Decimal:
    return _ratio(100 * part, whole)
