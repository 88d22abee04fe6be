"""The active-order view in Redis against the live orders: it must show exactly them."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db import connection
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from apps.operations.services.reconcile import Result, comparison
from apps.orders.services.view import (
    PAGE_ORDERS,
    VIEW_PAGE_SQL,
    key_order_id,
    view_marker,
    view_orders,
)
from apps.primitives.clock import utc_now
from apps.primitives.ids import id_floor

NAME = "I8.view"
TITLE = "the active-order view in Redis shows exactly the live orders"
SAMPLE_ORDERS = 500
ATTEMPTS_MAX = 60
PAUSE_S = 0.1
"""The relay writes after the commit: a difference counts when it stays."""

Rows = list[dict[str, Any]]


def view_reconcile(*, complete: bool = False) -> Result:
    """Compare a sample of the live orders with the view, or all of both."""
    return comparison(NAME, TITLE, lambda: _staying(_all_pages() if complete else [_sample()]), RedisError)


def _staying(pages: Iterable[list[int]]) -> Iterator[dict[str, Any]]:
    if not _until(lambda: view_marker() is not None):
        yield {"what": "the view has no marker: it was lost and nobody has rebuilt it"}
        return
    for page in pages:
        rows = _differences(page)
        for _ in range(ATTEMPTS_MAX):
            if not rows:
                break
            time.sleep(PAUSE_S)
            rows = _differences([row["order_id"] for row in rows])
        yield from rows


def _until(holds: Callable[[], bool]) -> bool:
    for _ in range(ATTEMPTS_MAX):
        if holds():
            return True
        time.sleep(PAUSE_S)
    return holds()


def _differences(order_ids: list[int]) -> Rows:
    wanted = {order.order_id: order for order in view_orders(order_ids)}
    redis = get_redis_connection("default")
    with redis.pipeline(transaction=False) as pipe:
        for order_id in order_ids:
            pipe.hgetall(f"order:{order_id}")
            for name in wanted[order_id].listed.sets() if order_id in wanted else ():
                pipe.zscore(name, str(order_id))
        answers = iter(pipe.execute())
    rows: Rows = []
    for order_id in order_ids:
        found = {key.decode(): value.decode() for key, value in next(answers).items()}
        order = wanted.get(order_id)
        missing = [name for name in order.listed.sets() if next(answers) is None] if order else []
        fields = order.fields() if order else {}
        if found != fields or missing:
            rows.append({"order_id": order_id, "view": found, "database": fields, "not_listed_in": missing})
    return rows + _still_listed([order_id for order_id in order_ids if order_id not in wanted])


def _still_listed(order_ids: list[int]) -> Rows:
    """Return those of the ended orders that a sorted set still lists."""
    if not order_ids:
        return []
    redis = get_redis_connection("default")
    rows: Rows = []
    for name in _set_names(redis):
        scores = redis.zmscore(name, [str(order_id) for order_id in order_ids])
        rows += [
            {"order_id": order_id, "still_listed_in": name.decode()}
            for order_id, score in zip(order_ids, scores, strict=True)
            if score is not None
        ]
    return rows


def _sample() -> list[int]:
    """Return some hundred live orders that follow one another from a random place on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(order_id), max(order_id) FROM live_orders")
        low, high = cursor.fetchone()
    if low is None:
        return []
    return _page(random.randint(low - 1, high - 1), SAMPLE_ORDERS)


def _all_pages() -> Iterator[list[int]]:
    """Yield every live order, then every order that the view knows besides."""
    after = 0
    while page := _page(after, PAGE_ORDERS):
        after = page[-1]
        yield page
    redis = get_redis_connection("default")
    newest = id_floor(utc_now())
    known: set[int] = {key_order_id(key) for key in redis.scan_iter("order:*", count=PAGE_ORDERS)}
    for name in _set_names(redis):
        known |= {int(member) for member, _ in redis.zscan_iter(name, count=PAGE_ORDERS)}
        strangers = _not_live(known, newest)
        if strangers:
            yield strangers
        known = set()


def _not_live(order_ids: set[int], newest: int) -> list[int]:
    numbers = [number for number in order_ids if 0 < number < newest]
    live: set[int] = set()
    for start in range(0, len(numbers), PAGE_ORDERS):
        live |= {order.order_id for order in view_orders(numbers[start : start + PAGE_ORDERS])}
    return sorted(set(numbers) - live)


def _set_names(redis: Any) -> Iterator[bytes]:
    for pattern in ("user:*:orders", "symbol:*:orders"):
        yield from redis.scan_iter(pattern, count=PAGE_ORDERS)


def _page(after: int, limit: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(VIEW_PAGE_SQL, {"after": after, "limit": limit})
        return [row[0] for row in cursor.fetchall()]
