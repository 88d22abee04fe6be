"""Reads of the back office: one order's whole story, in time order."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q

from apps.events.models import Event
from apps.ledger.models import Transaction
from apps.matching.models import MatchingJournal, OrderCommand
from apps.orders.models import LiveOrder, Order, OrderClientKey
from apps.primitives.clock import utc_now
from apps.primitives.errors import Conflict, NotFound
from apps.primitives.ids import Kind, id_floor, public_id_decode
from apps.trades.models import Trade

ID_DIGITS_MAX = 19
TAIL = timedelta(days=1)
"""How long after an order's end its story is read on: late commands and their answers."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One fact about an order: when, which table says so, and what it says."""

    at: datetime
    source: str
    text: str


def _order_id_of(reference: str, account_id: int | None) -> int:
    """Return the order that an id, a public id or a client id names; raises ``NotFound``, ``Conflict``."""
    if reference.isdecimal() and len(reference) <= ID_DIGITS_MAX and _order_exists(int(reference)):
        return int(reference)
    try:
        return public_id_decode(Kind.ORDER, UUID(reference))
    except (ValueError, NotFound):
        pass
    keys = OrderClientKey.objects.filter(client_order_id=reference)
    if account_id is not None:
        keys = keys.filter(account_id=account_id)
    found = list(keys[:2])
    if not found:
        raise NotFound("unknown_order", f"There is no order {reference}.")
    if len(found) > 1:
        raise Conflict("many_orders", f"More than one account used {reference}; say which with --account.")
    return found[0].order_id


def _order_exists(order_id: int) -> bool:
    return Order.objects.filter(pk=order_id).exists()


def order_trace(reference: str, account_id: int | None = None) -> list[TraceLine]:
    """Return everything that is recorded of one order, oldest first.

    ``reference`` is an order id, a public id or a client order id. Raises ``NotFound``, and ``Conflict``
    when a client id needs its account.
    """
    order_id = _order_id_of(reference, account_id)
    order = Order.objects.filter(pk=order_id).first()
    if order is not None and account_id is not None and order.account_id != account_id:
        raise NotFound("unknown_order", f"Account {account_id} has no order {reference}.")
    lines = list(_queued_lines(order_id))
    if order is not None:
        lines += _story(order)
    if not lines:
        raise NotFound("unknown_order", f"There is no order {reference}.")
    return sorted(lines, key=lambda line: line.at)


def _story(order: Order) -> Iterator[TraceLine]:
    trades = _trades(order)
    yield from _order_lines(order)
    yield from _journal_lines(order)
    yield from _trade_lines(order, trades)
    yield from _ledger_lines(order, [trade.trade_id for trade in trades])
    yield from _event_lines(order)


def _window(order: Order) -> tuple[int, int]:
    end = (order.ended_at or utc_now()) + TAIL
    return id_floor(order.created_at - timedelta(minutes=1)), id_floor(end)


def _order_lines(order: Order) -> Iterator[TraceLine]:
    price = f" at {order.price:f}" if order.price is not None else ""
    asked = f"{order.side} {order.quantity} {order.symbol} {order.order_type}{price} {order.time_in_force}"
    yield TraceLine(
        order.created_at,
        "order",
        f"{order.order_id} of account {order.account_id} (client id {order.client_order_id}): {asked}",
    )
    state = f"is {order.status}, {order.filled_quantity} of {order.quantity} filled"
    more = [f"reason {order.reason}"] if order.reason else []
    more += [f"replaces {order.replaces}"] if order.replaces else []
    more += [f"replaced by {order.replaced_by}"] if order.replaced_by else []
    more += [f"{order.leg} of {order.order_class} group {order.group_id}"] if order.group_id else []
    yield TraceLine(order.ended_at or order.updated_at, "order", ", ".join([state, *more]))
    hold = LiveOrder.objects.filter(pk=order.order_id).first()
    if hold is not None:
        figures = f"{hold.remaining} remain, {hold.held_cash} cash and {hold.held_shares} shares held"
        yield TraceLine(order.updated_at, "hold", f"{hold.status}: {figures}")


def _queued_lines(order_id: int) -> Iterator[TraceLine]:
    for row in OrderCommand.objects.filter(Q(order_id=order_id) | Q(orig_order_id=order_id)):
        yield TraceLine(row.created_at, "command", f"{row.kind} {row.command_id} waits for the runner")


def _journal_lines(order: Order) -> Iterator[TraceLine]:
    ids = [order.order_id, *([order.replaced_by] if order.replaced_by else [])]
    rows = MatchingJournal.objects.filter(
        matching_partition=order.matching_partition,
        order_id__in=ids,
        recorded_at__gte=order.created_at - timedelta(minutes=1),
    ).order_by("seq")
    for row in rows:
        text = f"{row.kind} {row.command_id} taken as {row.matching_partition}/{row.seq}, epoch {row.epoch}"
        yield TraceLine(row.recorded_at, "journal", text)


def _trades(order: Order) -> list[Trade]:
    low, high = _window(order)
    side = (
        Q(buyer_id=order.user_id, buy_order_id=order.order_id)
        if order.side == "BUY"
        else Q(seller_id=order.user_id, sell_order_id=order.order_id)
    )
    return list(Trade.objects.filter(side, trade_id__gte=low, trade_id__lt=high).order_by("trade_id"))


def _trade_lines(order: Order, trades: list[Trade]) -> Iterator[TraceLine]:
    for row in trades:
        contra = row.sell_order_id if order.side == "BUY" else row.buy_order_id
        execution = f"execution {row.matching_partition}/{row.match_seq}/{row.match_n}"
        text = f"{row.trade_id}: {row.quantity} at {row.price:f} = {row.trade_value} with order {contra}"
        yield TraceLine(row.executed_at, "trade", f"{text}, {execution}")
        if row.settled_at is not None:
            yield TraceLine(row.settled_at, "trade", f"{row.trade_id}: {row.settlement_status}")


def _ledger_lines(order: Order, trade_ids: list[int]) -> Iterator[TraceLine]:
    low, high = _window(order)
    rows = Transaction.objects.filter(
        account_id=order.account_id,
        reference_id__in=trade_ids,
        transaction_id__gte=low,
        transaction_id__lt=high,
    )
    for row in rows.order_by("transaction_id"):
        text = f"{row.transaction_type} {row.amount}, balance {row.balance_after} ({row.description})"
        yield TraceLine(row.created_at, "ledger", text)


def _event_lines(order: Order) -> Iterator[TraceLine]:
    low, high = _window(order)
    order_id = str(order.order_id)
    rows = Event.objects.filter(
        Q(data__order_id=order_id) | Q(data__order__order_id=order_id) | Q(data__replacement_id=order_id),
        account_id=order.account_id,
        id__gte=low,
        id__lt=high,
    )
    for row in rows.order_by("id"):
        yield TraceLine(row.timestamp, "event", f"{row.event_type} ({row.topic}){_place(row)}")


def _place(row: Any) -> str:
    return f", account event {row.account_seq}" if row.account_seq is not None else ""
