"""Reads of orders, of what they hold, and of what a matching partition's books must contain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet, Sum

from apps.accounts.selectors import account_get
from apps.matching.models import OrderCommand
from apps.orders.engine_terms import terms_read
from apps.orders.models import LiveOrder, Order, OrderClientKey
from apps.positions.selectors import position_list
from apps.primitives.clock import utc_now
from apps.primitives.errors import NotFound
from apps.primitives.fix import TERMINAL_STATUSES, Leg, OrderClass, OrdStatus
from apps.primitives.ids import Kind, id_floor, public_id
from apps.primitives.money import CENT, cost_average

PENDING_CANCEL = "PENDING_CANCEL"
PENDING_REPLACE = "PENDING_REPLACE"
LIST_MAX = 500
WINDOW_DAYS = (1, 7, 31, 92)
"""How far back a list reads before it reads further: most lists end in today's partition."""


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as every edge sees it; ``status`` is the stored one or PENDING_CANCEL / PENDING_REPLACE."""

    order_id: int
    user_id: int
    account_id: int
    matching_partition: int
    client_order_id: str
    symbol: str
    side: str
    order_type: str
    time_in_force: str
    quantity: int
    filled_quantity: int
    price: Decimal | None
    avg_fill_price: Decimal | None
    status: str
    reject_reason: str | None
    created_at: datetime
    updated_at: datetime
    filled_at: datetime | None
    cancelled_at: datetime | None
    expired_at: datetime | None
    replaced_at: datetime | None
    failed_at: datetime | None
    expires_at: datetime | None
    replaces: int | None
    replaced_by: int | None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    high_water_mark: Decimal | None = None
    triggered_at: datetime | None = None
    order_class: str = OrderClass.SIMPLE
    group_id: int | None = None
    leg: str | None = None

    @property
    def public_id(self) -> UUID:
        return public_id(Kind.ORDER, self.order_id)

    @property
    def leaves_quantity(self) -> int:
        return self.quantity - self.filled_quantity

    @property
    def is_live(self) -> bool:
        return self.status not in TERMINAL_STATUSES

    @property
    def is_parent(self) -> bool:
        """Whether the order leads its group: the entry, or the take-profit of a pair without one."""
        return self.leg == (Leg.TAKE_PROFIT if self.order_class == OrderClass.OCO else Leg.ENTRY)


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """An account's money now, in dollars and cents; ``buying_power`` is net of holds."""

    cash: Decimal
    unsettled_cash: Decimal
    held_cash: Decimal
    withdrawable: Decimal
    buying_power: Decimal
    long_market_value: Decimal
    equity: Decimal
    last_equity: Decimal
    unrealized_pnl: Decimal
    day_pnl: Decimal
    day_pnl_pct: Decimal | None


def order_view(row: Order) -> OrderView:
    """Return the stored row as edges see it, without what is queued for it."""
    ended = row.ended_at
    return OrderView(
        order_id=row.order_id,
        user_id=row.user_id,
        account_id=row.account_id,
        matching_partition=row.matching_partition,
        client_order_id=row.client_order_id,
        symbol=row.symbol,
        side=row.side,
        order_type=row.order_type,
        time_in_force=row.time_in_force,
        quantity=row.quantity,
        filled_quantity=row.filled_quantity,
        price=row.price,
        avg_fill_price=cost_average(row.filled_value, row.filled_quantity) if row.filled_quantity else None,
        status=row.status,
        reject_reason=row.reason,
        created_at=row.created_at,
        updated_at=row.updated_at,
        filled_at=row.filled_at,
        cancelled_at=row.cancelled_at,
        expired_at=ended if row.status == OrdStatus.EXPIRED else None,
        replaced_at=ended if row.status == OrdStatus.REPLACED else None,
        failed_at=ended if row.status == OrdStatus.REJECTED else None,
        expires_at=row.expires_at,
        replaces=row.replaces,
        replaced_by=row.replaced_by,
        stop_price=row.stop_price,
        trail_amount=row.trail_amount,
        trail_percent=row.trail_percent,
        high_water_mark=row.high_water_mark,
        triggered_at=row.triggered_at,
        order_class=row.order_class,
        group_id=row.group_id,
        leg=row.leg,
    )


def _with_queued(views: list[OrderView]) -> list[OrderView]:
    live = [view.order_id for view in views if view.is_live]
    if not live:
        return views
    queued: dict[int, str] = dict(
        OrderCommand.objects.filter(orig_order_id__in=live, kind__in=["CANCEL", "REPLACE"])
        .order_by("-kind")
        .values_list("orig_order_id", "kind")
    )
    return [
        replace(view, status=f"PENDING_{queued[view.order_id]}") if view.order_id in queued else view
        for view in views
    ]


def _replacements_queued(commands: Sequence[OrderCommand]) -> list[OrderView]:
    """Return replacements that wait for the runner: the old order with what the command changes."""
    olds = Order.objects.in_bulk([command.orig_order_id for command in commands])
    return [_replacement_queued(command, olds[command.orig_order_id]) for command in commands]


def _replacement_queued(command: OrderCommand, old: Order) -> OrderView:
    terms = terms_read(command, old.order_type)
    return replace(
        order_view(old),
        order_id=command.order_id,
        client_order_id=command.client_order_id,
        time_in_force=command.time_in_force,
        quantity=command.quantity,
        filled_quantity=0,
        price=terms.price,
        stop_price=terms.stop_price or old.stop_price,
        trail_amount=terms.trail_amount,
        trail_percent=terms.trail_percent,
        avg_fill_price=None,
        status=OrdStatus.PENDING,
        created_at=command.created_at,
        updated_at=command.created_at,
        filled_at=None,
        expires_at=None,
        replaces=command.orig_order_id,
        replaced_by=None,
    )


def replacement_queued_of(view: OrderView) -> list[OrderView]:
    """Return the replacement that is queued for an order, if there is one."""
    queued = OrderCommand.objects.filter(orig_order_id=view.order_id, kind="REPLACE")
    return _replacements_queued(list(queued[:1]))


def order_row(account_id: int, order_id: int) -> Order:
    """Return an account's own order; raises ``NotFound`` for another's as for none."""
    user_id = account_get(account_id).user_id
    row = Order.objects.filter(pk=order_id, user_id=user_id, account_id=account_id).first()
    if row is None:
        raise NotFound("unknown_order", f"order not found for {public_id(Kind.ORDER, order_id)}")
    return row


def order_get(account_id: int, order_id: int) -> OrderView:
    """Return an account's own order, a replacement that is still queued included; raises ``NotFound``."""
    try:
        return _with_queued([order_view(order_row(account_id, order_id))])[0]
    except NotFound:
        queued = OrderCommand.objects.filter(order_id=order_id, account_id=account_id, kind="REPLACE")
        if waiting := _replacements_queued(list(queued[:1])):
            return waiting[0]
        # The replacement may have been booked between the two reads.
        return order_view(order_row(account_id, order_id))


def order_get_by_client_id(account_id: int, client_order_id: str) -> OrderView:
    """Return the order that used a client id; raises ``NotFound``."""
    key = OrderClientKey.objects.filter(account_id=account_id, client_order_id=client_order_id).first()
    if key is None:
        raise NotFound("unknown_order", f"order not found for {client_order_id[:128]}")
    return order_get(account_id, key.order_id)


def _in_window(rows: "QuerySet[Order]", limit: int, oldest: int, newest: int | None) -> list[Order]:
    """Read newest first in id windows that widen into the past, so that few partitions are opened."""
    found: list[Order] = []
    top = newest
    for days in (*WINDOW_DAYS, None):
        floor = max(oldest, id_floor(utc_now() - timedelta(days=days))) if days else oldest
        window = rows.filter(order_id__gte=floor)
        if top is not None:
            window = window.filter(order_id__lt=top)
        found += window.order_by("-order_id")[: limit - len(found)]
        if len(found) >= limit or floor <= oldest:
            break
        top = floor
    return found


def order_list(
    account_id: int,
    status: str = "open",
    limit: int = 50,
    symbols: Sequence[str] | None = None,
    after: datetime | None = None,
    until: datetime | None = None,
    side: str | None = None,
    direction: str = "desc",
    nested: bool = False,
    before_id: int | None = None,
    after_id: int | None = None,
) -> list[OrderView]:
    """Return an account's orders by submission time: open, closed or all; times and ids are exclusive bounds.

    With ``nested`` the children of a parent that is in the list are left out: ``legs_of`` has them.
    """
    limit = max(1, min(limit, LIST_MAX))
    user_id = account_get(account_id).user_id
    rows = Order.objects.filter(user_id=user_id, account_id=account_id)
    given = {
        "symbol__in": symbols or None,
        "side": side or None,
        "created_at__gt": after,
        "created_at__lt": until,
        "order_id__gt": after_id,
        "order_id__lt": before_id,
    }
    rows = rows.filter(**{name: value for name, value in given.items() if value is not None})
    if status == "open":
        live_ids = LiveOrder.objects.filter(account_id=account_id).values_list("order_id", flat=True)
        rows = rows.filter(order_id__in=list(live_ids))
        found = list(rows.order_by("order_id" if direction == "asc" else "-order_id")[:limit])
    else:
        if status == "closed":
            rows = rows.filter(status__in=[s.value for s in TERMINAL_STATUSES])
        oldest = id_floor(after) if after else 0
        newest = id_floor(until + timedelta(seconds=1)) if until else None
        if direction == "asc":
            found = list(rows.filter(order_id__gte=oldest).order_by("order_id")[:limit])
        else:
            found = _in_window(rows, limit, oldest, newest)
    views = _with_queued([order_view(row) for row in found])
    return _without_children(views) if nested else views


def _without_children(views: list[OrderView]) -> list[OrderView]:
    led = {view.group_id for view in views if view.is_parent}
    return [view for view in views if view.is_parent or view.group_id is None or view.group_id not in led]


def legs_of(views: Sequence[OrderView]) -> dict[int, list[OrderView]]:
    """Return the other legs of each group among orders of one account, by the id of the order that leads it.

    Of a leg that was replaced the newest is returned, whichever order of the parent's was asked for.
    """
    parents = [view for view in views if view.is_parent]
    groups = {view.group_id for view in parents if view.group_id is not None}
    if not groups:
        return {}
    rows = Order.objects.filter(
        user_id=parents[0].user_id, group_id__in=groups, order_id__gte=min(groups)
    ).exclude(status=OrdStatus.REPLACED)
    members = _with_queued([order_view(row) for row in rows.order_by("order_id")])
    return {
        parent.order_id: [m for m in members if m.group_id == parent.group_id and not m.is_parent]
        for parent in parents
    }


def held_cash(account_id: int) -> Decimal:
    """Return what an account's live orders hold in cash: the sum, never a counter that can drift."""
    total = LiveOrder.objects.filter(account_id=account_id).aggregate(total=Sum("held_cash"))["total"]
    return total or Decimal("0.00")


def held_shares(account_id: int) -> dict[str, int]:
    """Return what an account's live orders hold in shares, by symbol."""
    rows = LiveOrder.objects.filter(account_id=account_id, held_shares__gt=0)
    return dict(rows.values_list("symbol").annotate(total=Sum("held_shares")))


def account_summary(account_id: int) -> AccountSummary:
    """Return an account's money and value at the last prices; every figure from one reading."""
    account, held = account_get(account_id), held_cash(account_id)
    positions = position_list(account_id)
    value = sum((p.market_value for p in positions), Decimal("0.00"))
    day_pnl = sum((p.day_pnl for p in positions), Decimal("0.00"))
    equity = account.cash_balance + value
    last_equity = equity - day_pnl
    settled = account.cash_balance - max(account.unsettled_cash, Decimal("0.00"))
    return AccountSummary(
        cash=account.cash_balance,
        unsettled_cash=account.unsettled_cash,
        held_cash=held,
        withdrawable=max(settled - held, Decimal("0.00")),
        buying_power=max(account.buying_power - held, Decimal("0.00")),
        long_market_value=value,
        equity=equity,
        last_equity=last_equity,
        unrealized_pnl=sum((p.unrealized_pnl for p in positions), Decimal("0.00")),
        day_pnl=day_pnl,
        day_pnl_pct=(day_pnl * 100 / last_equity).quantize(CENT) if last_equity > 0 else None,
    )


def orders_expired(now: datetime, limit: int) -> list[dict[str, Any]]:
    """Return live orders whose time has come and for which no expiry is queued yet.

    A leg that waits in the books ends with the order it waits for.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT o.order_id, o.symbol, i.instrument_id, o.account_id, o.user_id, o.matching_partition "
            "FROM live_orders l JOIN orders o USING (order_id) JOIN instruments i ON i.symbol = o.symbol "
            "WHERE o.expires_at <= %s AND l.status <> 'HELD' AND NOT EXISTS (SELECT 1 FROM order_commands c "
            "WHERE c.orig_order_id = o.order_id AND c.kind = 'EXPIRE') ORDER BY o.order_id LIMIT %s",
            (now, limit),
        )
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
