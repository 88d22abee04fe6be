"""The active-order view in Redis: a copy of the live orders for quick reads, never the truth.

``order:{id}``, ``user:{id}:orders`` and ``symbol:{s}:orders`` have one writer at a time: the relay, or a
rebuild, which takes the relay's marker away first. What is written is always the database's present word on
an order, so neither a repeated nor a late event can bring back an order that has ended.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection
from django_redis import get_redis_connection
from redis.exceptions import LockError, WatchError

from apps.primitives.clock import iso
from apps.primitives.errors import Conflict
from apps.primitives.ids import ID_MAX, id_floor, id_time

ORDER_TTL_S = 86_400
"""A rebuild every eight hours renews it while the order lives."""

PAGE_ORDERS = 1_000
MARKER_KEY = "orders:view"
"""Up to which place in the events the view is whole; missing while it is not."""

LOCK_KEY = "orders:view:rebuilding"
LOCK_S = 10

VIEW_LIVE_SQL = "SELECT order_id, status FROM live_orders WHERE order_id = ANY(%(order_ids)s)"

VIEW_PAGE_SQL = """
SELECT order_id FROM live_orders WHERE order_id > %(after)s ORDER BY order_id LIMIT %(limit)s
"""

VIEW_ORDERS_SQL = """
SELECT order_id, user_id, symbol, side, price, quantity, status, created_at FROM orders
WHERE order_id = ANY(%(order_ids)s)
"""

# What committed before the oldest open transaction is in every page read from now on.
VIEW_PLACE_SQL = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, clock_timestamp()"

VIEW_COUNT_SQL = "SELECT count(*) FROM live_orders"


class Listed(NamedTuple):
    """Where an order is listed while it lives."""

    order_id: int
    user_id: int
    symbol: str

    def sets(self) -> tuple[str, str]:
        """Return the names of the sorted sets."""
        return f"user:{self.user_id}:orders", f"symbol:{self.symbol}:orders"


class ViewOrder(NamedTuple):
    """One live order as the view shows it."""

    order_id: int
    user_id: int
    symbol: str
    side: str
    price: Decimal | None
    quantity: int
    status: str
    created_at: datetime

    def fields(self) -> dict[str, str]:
        """Return the hash of ``order:{id}``."""
        return {
            "user_id": str(self.user_id),
            "symbol": self.symbol,
            "side": self.side,
            "price": "" if self.price is None else f"{self.price:f}",
            "quantity": str(self.quantity),
            "status": self.status,
            "created_at": iso(self.created_at),
        }

    @property
    def listed(self) -> Listed:
        return Listed(self.order_id, self.user_id, self.symbol)


class ViewMissing(RuntimeError):
    """The view has no marker: it was lost, or somebody is rebuilding it."""


def view_marker() -> tuple[int, int] | None:
    """Return the place (transaction, event) up to which the view is whole, or None."""
    found = get_redis_connection("default").hmget(MARKER_KEY, "xact_id", "event_id")
    return None if None in found else (int(found[0]), int(found[1]))


def view_is_rebuilding() -> bool:
    return bool(get_redis_connection("default").exists(LOCK_KEY))


def view_forget() -> None:
    """Declare the view lost: the relay rebuilds it at its next look."""
    get_redis_connection("default").delete(MARKER_KEY)


def view_update(touched: Sequence[Listed], place: tuple[int, int]) -> None:
    """Bring these orders up to the database's present word, and the marker to ``place``, all or nothing.

    Raises ``ViewMissing`` when there is no marker, or it goes away meanwhile.
    """
    live = {order.order_id: order for order in view_orders([one.order_id for one in touched])}
    with get_redis_connection("default").pipeline(transaction=True) as pipe:
        pipe.watch(MARKER_KEY)
        if not pipe.exists(MARKER_KEY):
            raise ViewMissing("the active-order view is not there")
        pipe.multi()
        for one in touched:
            order = live.get(one.order_id)
            _order_drop(pipe, one) if order is None else _order_put(pipe, order)
        _marker_put(pipe, place)
        try:
            pipe.execute()
        except WatchError:
            raise ViewMissing("the active-order view is being rebuilt") from None


def view_rebuild(tell: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Make the view anew from the live orders while trading goes on; returns how many there are.

    Read in pages, each of a snapshot of its own; the relay waits and then repeats what happened meanwhile.
    ``tell`` is told how many orders are done, of how many. Raises ``Conflict`` when somebody else is at it.
    """
    redis = get_redis_connection("default")
    lock = redis.lock(LOCK_KEY, timeout=LOCK_S)
    if not lock.acquire(blocking=False):
        raise Conflict("view_is_rebuilding", "The active-order view is being rebuilt already.")
    try:
        view_forget()
        xact_id, now = _fetch(VIEW_PLACE_SQL)[0]
        total, done = _fetch(VIEW_COUNT_SQL)[0][0], 0
        for page in _pages():
            with redis.pipeline(transaction=False) as pipe:
                for order in page:
                    _order_put(pipe, order)
                pipe.execute()
            done += len(page)
            tell(done, max(total, done))
            lock.reacquire()
        for _ in _strangers_sweep(redis):
            lock.reacquire()
        _marker_put(redis, (xact_id, id_floor(now)))
    finally:
        try:
            lock.release()
        except LockError:
            pass  # It ran out, and with it our right to the marker, which the next holder takes away again.
    return done


def view_orders(order_ids: Sequence[int]) -> list[ViewOrder]:
    """Return those of the orders that are live, as the view must show them; at most a page."""
    live = _live_statuses(order_ids)
    rows = _fetch(VIEW_ORDERS_SQL, order_ids=list(live))
    return [ViewOrder(*row)._replace(status=live[row[0]]) for row in rows]


def _pages() -> Iterator[list[ViewOrder]]:
    after = 0
    while rows := _fetch(VIEW_PAGE_SQL, after=after, limit=PAGE_ORDERS):
        after = rows[-1][0]
        yield view_orders([row[0] for row in rows])


def _live_statuses(order_ids: Sequence[int]) -> dict[int, str]:
    return dict(_fetch(VIEW_LIVE_SQL, order_ids=list(order_ids)))


def _strangers_sweep(redis: Any) -> Iterator[None]:
    """Take out what is not live, page by page: hashes first, then the sets' members."""
    for keys in _paged(redis.scan_iter("order:*", count=PAGE_ORDERS)):
        ids = {key: key_order_id(key) for key in keys}
        live = _live_statuses([number for number in ids.values() if number])
        gone = [key for key, number in ids.items() if number and number not in live]
        if gone:
            redis.unlink(*gone)
        yield
    for pattern in ("user:*:orders", "symbol:*:orders"):
        for name in redis.scan_iter(pattern, count=PAGE_ORDERS):
            for members in _paged(member for member, _ in redis.zscan_iter(name, count=PAGE_ORDERS)):
                live = _live_statuses([_number(member) for member in members])
                gone = [member for member in members if _number(member) not in live]
                if gone:
                    redis.zrem(name, *gone)
            yield


def _paged(found: Iterable[bytes]) -> Iterator[list[bytes]]:
    remaining = iter(found)
    while page := list(islice(remaining, PAGE_ORDERS)):
        yield page


def key_order_id(key: bytes) -> int:
    """Return the order that an ``order:{id}`` key names; 0 for a key of another form."""
    return _number(key.partition(b":")[2])


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) <= 19 and int(text) <= ID_MAX else 0


def _order_put(pipe: Any, order: ViewOrder) -> None:
    key = f"order:{order.order_id}"
    pipe.hset(key, mapping=order.fields())
    pipe.expire(key, ORDER_TTL_S)
    placed_at = id_time(order.order_id).timestamp()
    for name in order.listed.sets():
        pipe.zadd(name, {str(order.order_id): placed_at})


def _order_drop(pipe: Any, order: Listed) -> None:
    pipe.delete(f"order:{order.order_id}")
    for name in order.sets():
        pipe.zrem(name, str(order.order_id))


def _marker_put(pipe: Any, place: tuple[int, int]) -> None:
    pipe.hset(MARKER_KEY, mapping={"xact_id": place[0], "event_id": place[1]})


def _fetch(sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchall()
