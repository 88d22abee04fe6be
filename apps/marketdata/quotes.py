"""The newest book of a symbol as the tape last told it: a view for people, never a ground for booking."""

from dataclasses import dataclass
from decimal import Decimal

import orjson
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from apps.marketdata.tape import tape_key


@dataclass(frozen=True, slots=True)
class BookView:
    """Price levels best first, as (price, shares); empty when nothing was told."""

    bids: tuple[tuple[Decimal, int], ...] = ()
    asks: tuple[tuple[Decimal, int], ...] = ()

    @property
    def best_bid(self) -> Decimal | None:
        return self.bids[0][0] if self.bids else None

    @property
    def best_ask(self) -> Decimal | None:
        return self.asks[0][0] if self.asks else None


def book_latest(symbol: str) -> BookView:
    """Return the newest book of a symbol, empty when Redis is away or has none."""
    try:
        raw = get_redis_connection("default").get(tape_key(symbol))
    except RedisError:
        return BookView()
    if raw is None:
        return BookView()
    book = orjson.loads(raw)["book"]
    return BookView(
        bids=tuple((Decimal(price), size) for price, size in book["bids"]),
        asks=tuple((Decimal(price), size) for price, size in book["asks"]),
    )
