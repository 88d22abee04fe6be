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
from apps.matching.journal import symbols_halted
from apps.matching.messages import BookState, OpenOrder
from apps.matching.models import OrderCommand
from apps.orders.models import LiveOrder, Order, OrderClientKey
from apps.positions.selectors import position_list
from apps.primitives.clock import utc_now
from apps.primitives.errors import NotFound
from apps.primitives.fix import TERMINAL_STATUSES, OrdStatus
from apps.primitives.ids import Kind, id_floor, public_id
from apps.primitives.money import CENT, cost_average, price_to_units, units_to_price

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

    @property
    def public_id(self) -> UUID:
        return public_id(Kind.ORDER, self.order_id)

    @property
    def leaves_quantity(self) -> int:
        return self.quantity - self.filled_quantity

    @property
    def is_live(self) -> bool:
        return self.status not in TERMINAL_STATUSES


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


def _replacement_queued(command: OrderCommand) -> OrderView:
    return OrderView(
        order_id=command.order_id,
        user_id=command.user_id,
        account_id=command.account_id,
        matching_partition=command.matching_partition,
        client_order_id=command.client_order_id,
        symbol=command.symbol,
        side=command.side,
        order_type=command.order_type,
        time_in_force=command.time_in_force,
        quantity=command.quantity,
        filled_quantity=0,
        price=units_to_price(command.price_units),
        avg_fill_price=None,
        status=OrdStatus.PENDING,
        reject_reason=None,
        created_at=command.created_at,
        updated_at=command.created_at,
        filled_at=None,
        cancelled_at=None,
        expired_at=None,
        replaced_at=None,
        failed_at=None,
        expires_at=None,
        replaces=command.orig_order_id,
        replaced_by=None,
    )


def replacement_queued_of(view: OrderView) -> list[OrderView]:
    """Return the replacement that is queued for an order, if there is one."""
    queued = OrderCommand.objects.filter(orig_order_id=view.order_id, kind="REPLACE")
    return [_replacement_queued(command) for command in queued[:1]]


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
        queued = OrderCommand.objects.filter(order_id=order_id, account_id=account_id, kind="REPLACE").first()
        if queued is None:
            # The replacement may have been booked between the two reads.
            return order_view(order_row(account_id, order_id))
        return _replacement_queued(queued)


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
) -> list[OrderView]:
    """Return an account's orders by submission time: open, closed or all; times are exclusive bounds."""
    limit = max(1, min(limit, LIST_MAX))
    user_id = account_get(account_id).user_id
    rows = Order.objects.filter(user_id=user_id, account_id=account_id)
    if symbols:
        rows = rows.filter(symbol__in=symbols)
    if side:
        rows = rows.filter(side=side)
    if after:
        rows = rows.filter(created_at__gt=after)
    if until:
        rows = rows.filter(created_at__lt=until)
    live_ids = LiveOrder.objects.filter(account_id=account_id).values_list("order_id", flat=True)
    if status == "open":
        rows = rows.filter(order_id__in=list(live_ids))
        order = "order_id" if direction == "asc" else "-order_id"
        return _with_queued([order_view(row) for row in rows.order_by(order)[:limit]])
    if status == "closed":
        rows = rows.filter(status__in=[s.value for s in TERMINAL_STATUSES])
    oldest = id_floor(after) if after else 0
    newest = id_floor(until + timedelta(seconds=1)) if until else None
    if direction == "asc":
        found = list(rows.filter(order_id__gte=oldest).order_by("order_id")[:limit])
    else:
        found = _in_window(rows, limit, oldest, newest)
    return _with_queued([order_view(row) for row in found])


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


_OPEN_ORDERS_SQL = """
SELECT o.order_id, o.account_id, i.instrument_id, o.side, o.price, o.collar_price,
       o.quantity, o.filled_quantity, o.time_in_force
FROM live_orders l
JOIN orders o ON o.order_id = l.order_id
JOIN instruments i ON i.symbol = o.symbol
WHERE l.matching_partition = %s AND l.status IN ('NEW', 'PARTIALLY_FILLED')
ORDER BY l.priority, l.order_id
"""


def _open_order(
    order_id: int,
    account_id: int,
    symbol_id: int,
    side: str,
    price: Decimal | None,
    collar: Decimal | None,
    quantity: int,
    filled: int,
    time_in_force: str,
) -> OpenOrder:
    worst = price if price is not None else collar
    assert worst is not None, "a resting order has a price"
    return OpenOrder(
        order_id=order_id,
        owner=account_id,
        symbol_id=symbol_id,
        side=side,
        price_units=price_to_units(worst),
        quantity=quantity,
        cum_quantity=filled,
        time_in_force=time_in_force,
    )


def book_state_load(cursor: Any, matching_partition: int) -> BookState:
    """Return what a matching partition's books hold, in priority order, read on the runner's cursor."""
    cursor.execute(
        "SELECT i.instrument_id, i.symbol, p.last_price, p.day_volume FROM instruments i "
        "LEFT JOIN instrument_prices p USING (symbol) WHERE i.matching_partition = %s",
        (matching_partition,),
    )
    listed = cursor.fetchall()
    halted = symbols_halted(cursor, matching_partition)
    cursor.execute(_OPEN_ORDERS_SQL, (matching_partition,))
    orders = [_open_order(*row) for row in cursor.fetchall()]
    return BookState(
        symbols={symbol_id: symbol for symbol_id, symbol, *_ in listed},
        halted=frozenset(symbol_id for symbol_id, symbol, *_ in listed if symbol in halted),
        open_orders=orders,
        last_prices={
            symbol_id: (price_to_units(price), volume)
            for symbol_id, _, price, volume in listed
            if price is not None
        },
    )


def orders_expired(now: datetime, limit: int) -> list[dict[str, Any]]:
    """Return live orders whose time has come and for which no expiry is queued yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT o.order_id, o.symbol, i.instrument_id, o.account_id, o.user_id, o.matching_partition "
            "FROM live_orders l JOIN orders o USING (order_id) JOIN instruments i ON i.symbol = o.symbol "
            "WHERE o.expires_at <= %s AND NOT EXISTS (SELECT 1 FROM order_commands c "
            "WHERE c.orig_order_id = o.order_id AND c.kind = 'EXPIRE') ORDER BY o.order_id LIMIT %s",
            (now, limit),
        )
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
