"""The market-data book against the open orders: the published depth must be what the database knows."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
from django.db import connections
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from apps.instruments.models import Instrument
from apps.marketdata.tape import DEPTH_LEVELS, tape_key
from apps.operations.services.reconcile import ALIAS, Result, comparison

NAME = "I8.depth"
TITLE = "the published depth of every book is that of its open orders"
ATTEMPTS_MAX = 60
PAUSE_S = 0.05
"""Frames are conflated to one in 50 ms and told after the commit: a difference counts when it stays."""

# Stops and orders for an auction wait beside the book; a triggered stop limit rests in it.
_LEVELS_SQL = """
SELECT o.price, sum(l.remaining)
FROM live_orders l JOIN orders o USING (order_id)
WHERE l.symbol = %s AND o.side = %s AND l.status IN ('NEW', 'PARTIALLY_FILLED')
  AND (o.order_type = 'LIMIT' OR (o.order_type = 'STOP_LIMIT' AND o.triggered_at IS NOT NULL))
  AND o.time_in_force NOT IN ('OPG', 'CLS')
GROUP BY o.price ORDER BY o.price {direction} LIMIT %s
"""

Levels = list[tuple[Decimal, int]]


def depth_reconcile() -> Result:
    """Compare every book's published depth with its open orders; Redis is read, never trusted."""
    return comparison(NAME, TITLE, _differences, RedisError)


def _differences() -> Iterator[dict[str, Any]]:
    symbols = list(Instrument.objects.using(ALIAS).order_by("symbol").values_list("symbol", flat=True))
    return (row for row in map(_symbol_compare, symbols) if row is not None)


def _symbol_compare(symbol: str) -> dict[str, Any] | None:
    """Return the difference that stays through every attempt, or None as soon as both agree."""
    row: dict[str, Any] | None = None
    for _ in range(ATTEMPTS_MAX):
        published = _published(symbol)
        open_orders = {"bids": _levels(symbol, "BUY", "DESC"), "asks": _levels(symbol, "SELL", "ASC")}
        if published == open_orders:
            return None
        row = {"symbol": symbol, "published": published, "open_orders": open_orders}
        time.sleep(PAUSE_S)
    return row


def _levels(symbol: str, side: str, direction: str) -> Levels:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(_LEVELS_SQL.format(direction=direction), (symbol, side, DEPTH_LEVELS))
        return [(price, int(size)) for price, size in cursor.fetchall()]


def _published(symbol: str) -> dict[str, Levels]:
    raw = get_redis_connection("default").get(tape_key(symbol))
    book = orjson.loads(raw)["book"] if raw else {"bids": [], "asks": []}
    return {side: [(Decimal(price), size) for price, size in book[side]] for side in ("bids", "asks")}
