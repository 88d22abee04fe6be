"""The live tape: after each commit, trades, top of book and depth go to Redis, best effort and conflated."""

import logging
import time
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from apps.events.relay import WAKE_CHANNEL
from apps.instruments.selectors import InstrumentView, closing_is_near, instrument_list, market_session
from apps.matching.codes import ExecType, Mode, Phase, Side
from apps.matching.messages import Batch, Booked
from apps.primitives.clock import iso, utc_now
from apps.primitives.money import units_to_price

logger = logging.getLogger(__name__)

DEPTH_LEVELS = 10
FRAME_INTERVAL_S = 0.05
"""At most twenty frames a second and symbol; what is left over is sent by ``flush`` within one interval."""

AUCTION_INTERVAL_S = 1.0
"""How often a book that collects is told: what an auction would bring costs a walk over all that crosses."""

RETRY_S = 1.0
FRAME_TRADES_MAX = 500
"""More trades of one symbol go in several frames."""

TRADES_HELD_MAX = 5_000
"""Trades of a symbol that wait while Redis is away; with more, readers find a gap and read the store."""


def tape_channel(symbol: str) -> str:
    """Return the Redis channel of a symbol's frames."""
    return f"md:{symbol}"


def tape_key(symbol: str) -> str:
    """Return the Redis key of a symbol's newest frame."""
    return f"md:last:{symbol}"


@dataclass(slots=True)
class DayFigures:
    """A symbol's prices of the day as the tape shows them."""

    trade_date: date
    last: Decimal | None
    prev_close: Decimal | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    volume: int

    def trade(self, price: Decimal, quantity: int, trade_date: date) -> None:
        if trade_date != self.trade_date:
            self.trade_date, self.prev_close = trade_date, self.last
            self.open = self.high = self.low = None
            self.volume = 0
        self.last = price
        self.open = self.open or price
        self.high = max(self.high or price, price)
        self.low = min(self.low or price, price)
        self.volume += quantity


def _figures(view: InstrumentView) -> DayFigures:
    return DayFigures(
        trade_date=market_session().trade_date,
        last=view.last_price,
        prev_close=view.prev_close,
        open=view.day_open,
        high=view.day_high,
        low=view.day_low,
        volume=view.day_volume,
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _limit_sides(batch: Batch) -> dict[int, int]:
    """Return the side of each book that a batch took into the limit state or, as 0, out of it."""
    rows = batch.events[batch.events["exec_type"] == ExecType.LIMIT_STATE]
    return dict(zip(rows["symbol_id"].tolist(), rows["side"].tolist(), strict=True))


def _levels(levels: list[tuple[int, int, int]]) -> list[list[Any]]:
    return [[_text(units_to_price(price)), quantity] for price, quantity, _ in levels]


class Tape:
    """Publishes frames for the symbols that a batch touched; losing Redis loses frames, never trades."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.figures: dict[str, DayFigures] = {}
        self.seqs: dict[str, int] = {}
        self.trades: dict[str, list[dict[str, Any]]] = {}
        self.dirty: dict[str, int] = {}
        self.sent_at: dict[str, float] = {}
        self.limited_at: dict[int, str] = {}
        self.auctions: dict[int, tuple[float, dict[str, Any] | None]] = {}
        self.collecting: set[str] = set()
        self.is_closing = False
        self.broken_until = 0.0

    def tell(self, engine: Any, symbols: dict[int, str], batch: Batch, booked: Booked) -> None:
        """Take in one committed batch and publish what is due."""
        session = market_session(batch.transact_time)
        trade_date, self.is_closing = session.trade_date, closing_is_near(session, batch.transact_time)
        at = iso(batch.transact_time)
        for command in batch.commands:
            self.dirty[command.symbol] = command.instrument_id
            if command.kind == "PHASE":
                self.collecting.discard(command.symbol)
                self.auctions.pop(command.instrument_id, None)
        for symbol_id, side in _limit_sides(batch).items():
            if side:
                self.limited_at[symbol_id] = at
            else:
                self.limited_at.pop(symbol_id, None)
        for trade in booked.trades:
            symbol, price = symbols[trade.symbol_id], units_to_price(trade.price_units)
            self._figures_of(symbol).trade(price, trade.quantity, trade_date)
            frame = {
                "i": trade.trade_id,
                "p": _text(price),
                "s": trade.quantity,
                "side": trade.aggressor_side,
                "t": at,
            }
            self._trade_hold(symbol, frame)
        self._wake_relay()
        self.flush(engine)

    def _trade_hold(self, symbol: str, frame: dict[str, Any]) -> None:
        held = self.trades.setdefault(symbol, [])
        held.append(frame)
        if len(held) > TRADES_HELD_MAX:
            held.clear()
            self._seq_next(symbol)

    def _wake_relay(self) -> None:
        if time.monotonic() < self.broken_until:
            return
        try:
            self.redis.publish(WAKE_CHANNEL, b"1")
        except RedisError as error:
            self.broken_until = time.monotonic() + RETRY_S
            logger.warning("the relay was not woken: %s", error)

    def flush(self, engine: Any) -> None:
        """Publish every symbol whose interval has passed."""
        now = time.monotonic()
        if now < self.broken_until:
            return
        due = [s for s in self.dirty if now - self.sent_at.get(s, 0.0) >= self._interval_s(s)]
        if not due:
            return
        try:
            self._publish(engine, due)
        except RedisError as error:
            self.broken_until = time.monotonic() + RETRY_S
            logger.warning("the tape is interrupted: %s", error)
            return
        for symbol in due:
            self.sent_at[symbol] = now
            self.dirty.pop(symbol)
            self.trades.pop(symbol, None)

    def _interval_s(self, symbol: str) -> float:
        return AUCTION_INTERVAL_S if symbol in self.collecting else FRAME_INTERVAL_S

    def announce(self, engine: Any, symbols: dict[int, str]) -> None:
        """Mark every symbol for publishing, so that readers have a book right after a start."""
        self.dirty.update({symbol: symbol_id for symbol_id, symbol in symbols.items()})
        self.flush(engine)

    def _publish(self, engine: Any, due: list[str]) -> None:
        with self.redis.pipeline(transaction=False) as pipe:
            for symbol in due:
                self._queue(pipe, symbol, self._frame(engine, symbol))
            pipe.execute()

    def _queue(self, pipe: Any, symbol: str, frame: dict[str, Any]) -> None:
        """Queue a symbol's book with its trades, which are sent whole: in several frames if they must."""
        trades = self.trades.get(symbol, [])
        for start in range(0, max(len(trades), 1), FRAME_TRADES_MAX):
            frame["seq"] = self._seq_next(symbol)
            told = {**frame, "trades": trades[start : start + FRAME_TRADES_MAX]}
            pipe.publish(tape_channel(symbol), orjson.dumps(told))
        pipe.set(tape_key(symbol), orjson.dumps(frame))

    def _seq_next(self, symbol: str) -> int:
        """Return the next place in a symbol's sequence; a new leader begins after its predecessor's."""
        self.seqs[symbol] = self.seqs.get(symbol, time.time_ns() // 1_000_000) + 1
        return self.seqs[symbol]

    def _frame(self, engine: Any, symbol: str) -> dict[str, Any]:
        bids, asks = engine.depth(self.dirty[symbol], DEPTH_LEVELS)
        figures = self._figures_of(symbol)
        return {
            "S": symbol,
            "t": iso(utc_now()),
            "trades": [],
            "book": {"bids": _levels(bids), "asks": _levels(asks)},
            "status": self._status(engine, symbol),
            "last": _text(figures.last),
            "prev_close": _text(figures.prev_close),
            "open": _text(figures.open),
            "high": _text(figures.high),
            "low": _text(figures.low),
            "volume": figures.volume,
        }

    def _status(self, engine: Any, symbol: str) -> dict[str, Any]:
        """Return the phase, mode, bands and limit state of a book, and what an auction would bring now."""
        symbol_id = self.dirty[symbol]
        known = engine.book_status(symbol_id) or (Phase.CONTINUOUS, Mode.OPEN, 0, 0, 0, 0)
        phase, mode, limit_side, lower, upper, _ = known
        if phase != Phase.CONTINUOUS:
            self.collecting.add(symbol)
        return {
            "phase": Phase(phase).name,
            "mode": Mode(mode).name,
            "limit": Side(limit_side).name if limit_side else "",
            "limit_at": self.limited_at.get(symbol_id) if limit_side else None,
            "bands": [_text(units_to_price(lower)), _text(units_to_price(upper))] if upper else None,
            "auction": self._auction(engine, symbol_id, Phase(phase)),
        }

    def _auction(self, engine: Any, symbol_id: int, phase: Phase) -> dict[str, Any] | None:
        """Return what an uncross would bring now, found anew at most once a second."""
        if phase is Phase.CONTINUOUS and not self.is_closing:
            return None
        found_at, auction = self.auctions.get(symbol_id, (float("-inf"), None))
        if time.monotonic() - found_at >= AUCTION_INTERVAL_S:
            found = engine.indication(symbol_id)
            auction = found and {"p": _text(units_to_price(found[0])), "v": found[1], "i": found[2]}
            self.auctions[symbol_id] = (time.monotonic(), auction)
        return auction

    def _figures_of(self, symbol: str) -> DayFigures:
        if symbol not in self.figures:
            self.figures[symbol] = _figures(instrument_list([symbol])[0])
        return self.figures[symbol]
