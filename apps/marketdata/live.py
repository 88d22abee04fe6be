"""Live candles: after ticks are stored, the candles that they changed go to Redis, as the store has them.

Delivery is at least once: it is done before the relay's cursor moves, for every minute of the ticks at hand
and not only for those that were new, so a crash in between tells the same candles again. What Redis could
not take waits here for the next ticks; what is lost even so, whoever shows candles reads from the store when
a minute has closed. A candle only ever gains trades: of two states of one candle, the one with more trades
is the newer.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from apps.marketdata.candles import LEVELS, Bar, Tick
from apps.marketdata.selectors import bars_at
from apps.primitives.clock import iso

logger = logging.getLogger(__name__)

MINUTE = timedelta(minutes=1)
CHANNEL_PREFIX, KEY_PREFIX = "bars:", "bars:last:"
KEPT_S = 7 * 86_400
"""How long the newest candles of a symbol that trades no more are kept for late joiners."""

WAITING_MAX = 10_000
"""Minutes that wait for Redis; beyond them the oldest are left to the readers at the minute's close."""

RETRY_S = 2.0

CandleKey = tuple[str, datetime]


def minute_of(instant: datetime) -> datetime:
    """Return the start of an instant's minute."""
    return LEVELS[0].floor(instant)


def day_of(instant: datetime) -> datetime:
    """Return the start of an instant's day: midnight in New York."""
    return LEVELS[-1].floor(instant)


def candle_wire(bar: Bar) -> dict[str, Any]:
    """Return a candle as it travels: times and prices as text."""
    return {
        "t": iso(bar.time),
        "o": format(bar.open, "f"),
        "h": format(bar.high, "f"),
        "l": format(bar.low, "f"),
        "c": format(bar.close, "f"),
        "v": bar.volume,
        "n": bar.trade_count,
        "vw": None if bar.vwap is None else format(bar.vwap, "f"),
    }


def candle_read(told: dict[str, Any]) -> Bar:
    """Return the candle that was sent so."""
    return Bar(
        time=datetime.fromisoformat(told["t"]),
        open=Decimal(told["o"]),
        high=Decimal(told["h"]),
        low=Decimal(told["l"]),
        close=Decimal(told["c"]),
        volume=told["v"],
        trade_count=told["n"],
        vwap=None if told["vw"] is None else Decimal(told["vw"]),
    )


def candles_message(symbol: str, minutes: list[Bar], days: list[Bar]) -> dict[str, Any]:
    """Return what is published of one symbol: candles that changed, oldest first."""
    return {
        "S": symbol,
        "minutes": [candle_wire(bar) for bar in minutes],
        "days": [candle_wire(bar) for bar in days],
    }


class CandleTape:
    """Publishes one message a symbol: the minutes and days that changed; losing Redis loses no candle."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.waiting: dict[CandleKey, None] = {}
        self.newest: dict[str, datetime] = {}
        self.broken_until = 0.0

    def tell(self, ticks: Iterable[Tick]) -> None:
        """Publish the candles of these stored ticks, and those that still wait."""
        for tick in ticks:
            self.waiting.setdefault((tick.symbol, minute_of(tick.time)))
        while len(self.waiting) > WAITING_MAX:
            self.waiting.pop(next(iter(self.waiting)))
        if not self.waiting or time.monotonic() < self.broken_until:
            return
        try:
            self._publish(list(self.waiting))
        except RedisError as error:
            self.broken_until = time.monotonic() + RETRY_S
            logger.warning("live candles are interrupted: %s", error)
            return
        self.waiting.clear()

    def _publish(self, keys: list[CandleKey]) -> None:
        minutes = _by_symbol(bars_at(keys, "1m"))
        days = _by_symbol(bars_at(sorted({(symbol, day_of(minute)) for symbol, minute in keys}), "1D"))
        with self.redis.pipeline(transaction=False) as pipe:
            for symbol, bars in minutes.items():
                self._queue(pipe, symbol, bars, days.get(symbol, []))
            pipe.execute()
        self.newest.update({symbol: bars[-1].time for symbol, bars in minutes.items()})

    def _queue(self, pipe: Any, symbol: str, minutes: list[Bar], days: list[Bar]) -> None:
        message = candles_message(symbol, minutes, days)
        pipe.publish(CHANNEL_PREFIX + symbol, orjson.dumps(message))
        newest = self.newest.get(symbol)
        if newest is None or minutes[-1].time >= newest:
            kept = candles_message(symbol, minutes[-1:], days[-1:])
            pipe.set(KEY_PREFIX + symbol, orjson.dumps(kept), ex=KEPT_S)


def _by_symbol(found: dict[CandleKey, Bar]) -> dict[str, list[Bar]]:
    """Return each symbol's candles, oldest first."""
    bars: dict[str, list[Bar]] = defaultdict(list)
    for (symbol, _), bar in sorted(found.items(), key=lambda pair: pair[0]):
        bars[symbol].append(bar)
    return bars


@cache
def candle_tape() -> CandleTape:
    """Return this process's publisher of candles; ticks wait but half a second for a Redis that is away."""
    return CandleTape(Redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5))
