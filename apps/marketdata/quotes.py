"""The newest book of a symbol as the tape last told it: a view for people, never a ground for booking."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from apps.marketdata.tape import tape_key


@dataclass(frozen=True, slots=True)
class AuctionView:
    """What an auction would bring now; the imbalance is what is bid minus what is offered at its price."""

    price: Decimal
    volume: int
    imbalance: int


@dataclass(frozen=True, slots=True)
class StatusView:
    """How a book stands: its phase and mode, its price bands, the side of its limit state and since when."""

    phase: str
    mode: str
    limit_side: str
    limit_since: datetime | None
    bands: tuple[Decimal, Decimal] | None
    auction: AuctionView | None


@dataclass(frozen=True, slots=True)
class BookView:
    """Price levels best first, as (price, shares); empty when nothing was told."""

    bids: tuple[tuple[Decimal, int], ...] = ()
    asks: tuple[tuple[Decimal, int], ...] = ()
    status: StatusView | None = None
    told_at: datetime | None = None

    @property
    def best_bid(self) -> Decimal | None:
        return self.bids[0][0] if self.bids else None

    @property
    def best_ask(self) -> Decimal | None:
        return self.asks[0][0] if self.asks else None


def book_latest(symbol: str) -> BookView:
    """Return the newest book of a symbol, empty when Redis is away or has none."""
    return (books_latest([symbol]) or {}).get(symbol, BookView())


def books_latest(symbols: Sequence[str]) -> dict[str, BookView] | None:
    """Return the newest books of those symbols that have one; None when Redis is away."""
    if not symbols:
        return {}
    try:
        rows = get_redis_connection("default").mget([tape_key(symbol) for symbol in symbols])
    except RedisError:
        return None
    pairs = zip(symbols, rows, strict=True)
    return {symbol: _book_view(orjson.loads(raw)) for symbol, raw in pairs if raw is not None}


def _book_view(frame: dict[str, Any]) -> BookView:
    book, status = frame["book"], frame.get("status")
    return BookView(
        bids=tuple((Decimal(price), size) for price, size in book["bids"]),
        asks=tuple((Decimal(price), size) for price, size in book["asks"]),
        status=status and status_view(status),
        told_at=datetime.fromisoformat(frame["t"]) if "t" in frame else None,
    )


def status_view(told: dict[str, Any]) -> StatusView:
    """Return the status that a frame of the tape tells."""
    bands, auction, since = told["bands"], told["auction"], told["limit_at"]
    return StatusView(
        phase=told["phase"],
        mode=told["mode"],
        limit_side=told["limit"],
        limit_since=datetime.fromisoformat(since) if since else None,
        bands=(Decimal(bands[0]), Decimal(bands[1])) if bands else None,
        auction=AuctionView(Decimal(auction["p"]), auction["v"], auction["i"]) if auction else None,
    )
