"""How the past is shown: an account's or an order's state at an instant as text for people, and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.audit.folding import Execution, OrderAt, PositionAt, QueuedReplacement
from apps.audit.selectors import AccountAt, OrderStory
from apps.primitives.clock import iso
from apps.primitives.fix import OrdStatus
from apps.primitives.ids import Kind, public_id_text

NOT_TOLD = (
    "Market values and prices of the day are no events of an account: what the positions were worth is not "
    "told here.",
    "What is dated by an instant may have been committed a moment later; others could see it from then on.",
)
"""What events do not tell, for those who read the answer."""

QUEUED = "REPLACEMENT ASKED FOR"
Facts = dict[str, Any]


def account_facts(found: AccountAt) -> Facts:
    """Return an account at an instant for JSON: ids and amounts as text, so that nothing is rounded."""
    fold = found.fold
    return {
        "instant": iso(found.instant),
        "account_id": fold.account_id,
        "user_id": fold.user_id,
        "account_type": fold.account_type,
        "account_status": fold.status,
        "cash_balance": _plain(found.cash_balance),
        "unsettled_cash": _plain(found.unsettled_cash),
        "held_cash": _plain(found.held_cash),
        "buying_power": _plain(found.buying_power),
        "withdrawable": _plain(found.withdrawable),
        "positions": [_facts(position) for position in _owned(found)],
        "held_shares": found.held_shares,
        "open_orders": [order_facts(order) for order in _by_id(fold.orders.values())],
        "replacements_asked_for": [_facts(queued) for queued in _by_id(fold.queued.values())],
        "not_told": list(NOT_TOLD),
    }


def story_facts(story: OrderStory) -> Facts:
    """Return an order at an instant for JSON, with the ids of its chain and the other orders of its group."""
    fold = story.fold
    order = fold.orders.get(story.order_id)
    return {
        "instant": iso(story.instant),
        "order": None if order is None else order_facts(order),
        "replacement_asked_for": _facts(fold.queued[story.order_id]) if order is None else None,
        "chain": [str(number) for number in story.chain],
        "group": [order_facts(fold.orders[number]) for number in story.legs],
        "not_told": list(NOT_TOLD[1:]),
    }


def order_facts(order: OrderAt) -> Facts:
    """Return one order for JSON, with what it holds."""
    holds = {
        "leaves_quantity": order.leaves_quantity,
        "held_cash": None if order.hold_price is None else _plain(order.held_cash),
        "held_shares": order.held_shares,
    }
    return {"public_id": public_id_text(Kind.ORDER, order.order_id), **_facts(order), **holds}


def _facts(state: OrderAt | QueuedReplacement | PositionAt | Execution) -> Facts:
    return {f.name: _value(f.name, getattr(state, f.name)) for f in fields(state)}


_IDS = ("order_id", "group_id", "replaces", "replaced_by", "trade_id")


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_facts(execution) for execution in value]
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Decimal) or (name in _IDS and value is not None):
        return _plain(value)
    return value


def _plain(value: Decimal | int) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _by_id(orders: Iterable[Any]) -> list[Any]:
    return sorted(orders, key=lambda order: order.order_id)


def _owned(found: AccountAt) -> list[PositionAt]:
    return sorted((p for p in found.fold.positions.values() if p.quantity), key=lambda p: p.symbol)


def account_lines(found: AccountAt) -> list[str]:
    """Return an account at an instant as text: its money, its positions, its open orders with their holds."""
    fold = found.fold
    figures = [
        ("status", f"{fold.status}, {fold.account_type or 'of a type that is not told'}"),
        ("cash", f"{found.cash_balance:,.2f}"),
        ("unsettled", f"{found.unsettled_cash:,.2f}"),
        ("held", f"{found.held_cash:,.2f}"),
        ("buying power", f"{found.buying_power:,.2f}"),
        ("withdrawable", f"{found.withdrawable:,.2f}"),
    ]
    lines = [f"Account {fold.account_id} of user {fold.user_id} at {iso(found.instant)}", ""]
    lines += [f"  {name:<14}{figure:>18}" for name, figure in figures]
    owned = [
        [p.symbol, f"{p.quantity:,}", _plain(p.average_cost), _plain(p.realized_pnl)] for p in _owned(found)
    ]
    lines += _table("Positions", ("symbol", "shares", "average cost", "realised"), owned)
    rows = [_order_row(order) for order in _by_id(fold.orders.values())]
    rows += [_queued_row(queued) for queued in _by_id(fold.queued.values())]
    lines += _table("Open orders", _ORDER_COLUMNS, rows)
    return [*lines, "", *NOT_TOLD]


_ORDER_COLUMNS = ("order", "what", "limit", "stop", "status", "filled", "average", "held cash", "held shares")


def _order_row(order: OrderAt) -> list[str]:
    status = f"{order.status} ({order.reason})" if order.reason else order.status
    return [
        str(order.order_id),
        f"{order.side} {order.quantity} {order.symbol} {order.order_type} {order.time_in_force}",
        _or_dash(order.price),
        _or_dash(order.stop_price),
        status,
        str(order.filled_quantity),
        _or_dash(order.average_price),
        "not told" if order.hold_price is None else _plain(order.held_cash),
        str(order.held_shares),
    ]


def _queued_row(queued: QueuedReplacement) -> list[str]:
    what = f"{queued.quantity} {queued.symbol} for order {queued.replaces}"
    prices = (_or_dash(queued.price), _or_dash(queued.stop_price))
    held = (_plain(queued.held_cash), str(queued.held_shares))
    return [str(queued.order_id), what, *prices, QUEUED, "0", "-", *held]


def _or_dash(value: Decimal | None) -> str:
    return "-" if value is None else _plain(value)


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a titled table; words to the left, figures to the right."""
    if not rows:
        return ["", f"{title}: none"]
    widths = [max(len(row[n]) for row in (names, *rows)) for n in range(len(names))]
    figures = [all(row[n][:1].isdigit() or row[n][:1] == "-" for row in rows) for n in range(len(names))]
    lines = ["", title]
    for row in (names, *rows):
        cells = zip(row, widths, figures, strict=True)
        lines.append("  " + "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in cells).rstrip())
    return lines


def story_lines(story: OrderStory) -> list[str]:
    """Return an order at an instant as text: its terms, its fills, its chain of replacements, its group."""
    fold = story.fold
    order = fold.orders.get(story.order_id)
    lines = [f"Order {story.order_id} ({public_id_text(Kind.ORDER, story.order_id)}) at {iso(story.instant)}"]
    if order is None:
        lines += _table("Not an order yet", _ORDER_COLUMNS, [_queued_row(fold.queued[story.order_id])])
    else:
        lines += ["", *_order_lines(order)]
        fills = [[str(e.trade_id), iso(e.at), _plain(e.price), str(e.quantity)] for e in order.executions]
        lines += _table("Executions", ("trade", "time", "price", "shares"), fills)
    for title, ids in (("Chain of replacements", story.chain), ("Others of its group", story.legs)):
        rows = [_order_row(fold.orders[number]) for number in ids if number in fold.orders]
        rows += [_queued_row(fold.queued[number]) for number in ids if number in fold.queued]
        if len(ids) > 1 or title != "Chain of replacements":
            lines += _table(title, _ORDER_COLUMNS, rows)
    return [*lines, "", *NOT_TOLD[1:]]


def _order_lines(order: OrderAt) -> list[str]:
    figures: list[tuple[str, object]] = [
        ("account", f"{order.account_id} of user {order.user_id}"),
        ("client id", order.client_order_id),
        ("what", f"{order.side} {order.quantity} {order.symbol} {order.order_type} {order.time_in_force}"),
        ("status", f"{order.status} ({order.reason})" if order.reason else order.status),
        ("filled", f"{order.filled_quantity} of {order.quantity}, {order.leaves_quantity} open"),
        ("average price", order.average_price),
        ("limit", order.price),
        ("collar", order.collar_price),
        ("stop", order.stop_price),
        ("trail", order.trail_amount if order.trail_percent is None else f"{order.trail_percent}%"),
        ("high-water mark", order.high_water_mark),
        ("waits for", order.trigger_price),
        ("group", f"{order.leg} of {order.order_class} {order.group_id}" if order.group_id else None),
        ("held cash", order.held_cash if order.is_live and order.hold_price is not None else None),
        ("held shares", order.held_shares if order.is_live else None),
        ("created", order.created_at),
        ("triggered", order.triggered_at),
        ("expires", order.expires_at if order.status != OrdStatus.EXPIRED else None),
        ("ended", order.ended_at),
    ]
    return [f"  {name:<16}{_shown(value)}" for name, value in figures if value is not None]


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    return _plain(value) if isinstance(value, Decimal) else str(value)
