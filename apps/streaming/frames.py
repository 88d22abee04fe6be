"""The frames of the terminal's socket, made from the tape; prices are strings, sizes whole numbers."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, TypedDict

from apps.instruments.calendar import exchange_date
from apps.marketdata.candles import Bar
from apps.marketdata.live import candle_wire
from apps.streaming.bar_feed import Unit
from apps.streaming.depth import DepthChange
from apps.streaming.statuses import status_of

CENT = Decimal("0.01")


class Quote(TypedDict):
    """One symbol now; a price is null until there is one."""

    symbol: str
    last: str | None
    bid: str | None
    ask: str | None
    bid_size: int | None
    ask_size: int | None
    change: str | None
    change_pct: str | None
    volume: int
    high: str | None
    low: str | None
    prev_close: str | None
    t: str


class Quotes(TypedDict):
    """The newest quote of each symbol that moved since the frame before."""

    type: Literal["quotes"]
    quotes: list[Quote]


class Depth(TypedDict):
    """The visible book of one symbol, whole or what changed in it since ``prev``; see ``DepthChange``."""

    type: Literal["depth"]
    symbol: str
    seq: int
    prev: int | None
    snapshot: bool
    bids: list[list[Any]]
    asks: list[list[Any]]
    checksum: int


Candle = dict[str, Any]
"""A candle as ``candle_wire`` writes it, with the exchange's ``date`` of its start."""


class Bars(TypedDict):
    """The minutes and days of one symbol that changed since the frame before, each in its newest state."""

    type: Literal["bars"]
    symbol: str
    minutes: list[Candle]
    days: list[Candle]


class BookStatus(TypedDict):
    """What one book does now, sent when it changes; bands are lower and upper."""

    type: Literal["status"]
    symbol: str
    phase: str
    mode: str
    limit: str
    bands: list[str] | None
    auction: dict[str, Any] | None


class Trade(TypedDict):
    """One execution; ``side`` is the aggressor's, ``id`` text because it exceeds what browsers count."""

    id: str
    price: str
    size: int
    side: str | None
    t: str


class Trades(TypedDict):
    """Executions of one symbol, oldest first, each sent once."""

    type: Literal["trades"]
    symbol: str
    trades: list[Trade]


class Hello(TypedDict):
    """The first frame: the position in the account's stream after which events follow."""

    type: Literal["hello"]
    account_seq: int
    server_time: str


class Heartbeat(TypedDict):
    """Sent each second, so that silence means a broken connection."""

    type: Literal["heartbeat"]
    seq: int
    server_time: str
    feed_age_ms: int | None


class AccountFrame(TypedDict):
    """One event of the account; ``seq`` is null for facts that are not part of its numbered stream."""

    type: Literal["account"]
    seq: int | None
    event: dict[str, Any]


class Problem(TypedDict):
    """What was wrong with the client's last message."""

    type: Literal["error"]
    message: str


def quote_of(frame: dict[str, Any]) -> Quote:
    """Return the quote that a tape frame tells."""
    bids, asks = frame["book"]["bids"], frame["book"]["asks"]
    last, previous = frame.get("last"), frame.get("prev_close")
    change, change_pct = _change(last, previous)
    bid, bid_size = bids[0] if bids else (None, None)
    ask, ask_size = asks[0] if asks else (None, None)
    return Quote(
        symbol=frame["S"],
        last=last,
        bid=bid,
        ask=ask,
        bid_size=bid_size,
        ask_size=ask_size,
        change=change,
        change_pct=change_pct,
        volume=int(frame.get("volume") or 0),
        high=frame.get("high"),
        low=frame.get("low"),
        prev_close=previous,
        t=frame["t"],
    )


def _change(last: str | None, previous: str | None) -> tuple[str | None, str | None]:
    if last is None or previous is None or not Decimal(previous):
        return None, None
    change = Decimal(last) - Decimal(previous)
    return format(change, "f"), format((change * 100 / Decimal(previous)).quantize(CENT), "f")


def depth_of(change: DepthChange) -> Depth:
    """Return a change of depth, or the whole book."""
    return Depth(
        type="depth",
        symbol=change.symbol,
        seq=change.seq,
        prev=change.prev,
        snapshot=change.snapshot,
        bids=change.bids,
        asks=change.asks,
        checksum=change.checksum,
    )


def bars_of(symbol: str, candles: Iterable[tuple[Unit, Bar]]) -> Bars:
    """Return candles of one symbol."""
    told: dict[Unit, list[Candle]] = {"minute": [], "day": []}
    for unit, bar in candles:
        told[unit].append({**candle_wire(bar), "date": exchange_date(bar.time).isoformat()})
    return Bars(type="bars", symbol=symbol, minutes=told["minute"], days=told["day"])


def book_status_of(frame: dict[str, Any]) -> BookStatus:
    """Return the book's status that a tape frame tells."""
    status = status_of(frame)
    return BookStatus(
        type="status",
        symbol=frame["S"],
        phase=status["phase"],
        mode=status.get("mode", "OPEN"),
        limit=status.get("limit", ""),
        bands=status.get("bands"),
        auction=status.get("auction"),
    )


def trade_of(trade: dict[str, Any]) -> Trade:
    """Return one execution of the tape."""
    return Trade(id=str(trade["i"]), price=trade["p"], size=trade["s"], side=trade["side"], t=trade["t"])
