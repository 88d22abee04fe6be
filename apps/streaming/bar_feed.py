"""The candles inside this process: told by Redis as they grow, read from the store when a minute closed."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Literal, Protocol

from channels.db import database_sync_to_async
from django.db import DatabaseError

from apps.marketdata.candles import Bar
from apps.marketdata.live import MINUTE, CandleKey, candle_read, day_of
from apps.marketdata.selectors import bars_at
from apps.primitives.clock import utc_now
from apps.streaming.bars import MINUTES_KEPT, SECOND_LOOK, BarBoard, Channel, minute_closed
from apps.streaming.listeners import EVERY_SYMBOL, Listeners

logger = logging.getLogger(__name__)

TICK_S = 0.25
LOOK_KEYS_MAX = 500
LOOK_S_MAX = 5.0

Unit = Literal["minute", "day"]


class BarListener(Protocol):
    """Takes candles of the symbols it listens to, at once and without waiting."""

    def candle_take(self, symbol: str, unit: Unit, bar: Bar) -> None:
        """Take the newest state of a candle, closed or not."""

    def bar_take(self, channel: Channel, symbol: str, bar: Bar) -> None:
        """Take what is due on one of the published channels."""


class BarFeed:
    """Tells each minute once it has closed, whether or not Redis told of it: the store is asked then."""

    def __init__(self, symbols: Callable[[], Iterable[str]], now: Callable[[], datetime] = utc_now) -> None:
        """Take ``symbols``, which returns all there are, for those who listen to every one."""
        self.listeners: Listeners[BarListener] = Listeners()
        self.board = BarBoard(now())
        self._symbols = symbols
        self._now = now
        self._looked = self._looked_again = self.board.began

    async def run(self) -> None:
        """Tell what is due, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self.step()
            except Exception:
                logger.exception("bars could not be told")

    async def step(self) -> None:
        """Look at the minutes that are due to be looked at, then tell what is due."""
        now = self._now()
        for minute in self._minutes_due(now):
            await self._look(minute)
        for channel, symbol, bar in self.board.tick(now):
            for listener in self.listeners.of(symbol):
                listener.bar_take(channel, symbol, bar)

    def take(self, message: dict[str, Any]) -> None:
        """Take in what the publisher of candles says of one symbol."""
        for candle in message["minutes"]:
            self._candle_take(message["S"], "minute", candle_read(candle))
        for candle in message["days"]:
            self._candle_take(message["S"], "day", candle_read(candle))

    def seed(self, message: dict[str, Any]) -> None:
        """Take in what was published before we listened: news only if the symbol was followed already."""
        minutes, days = map(candle_read, message["minutes"]), map(candle_read, message["days"])
        self.board.begin(message["S"], list(minutes), list(days))
        self.take(message)

    def newest(self, symbol: str) -> list[tuple[Unit, Bar]]:
        """Return the newest candles that are known of a symbol."""
        minutes, day = self.board.minutes.get(symbol), self.board.days.get(symbol)
        found: list[tuple[Unit, Bar]] = [("minute", minutes[max(minutes)])] if minutes else []
        return [*found, ("day", day)] if day else found

    def _candle_take(self, symbol: str, unit: Unit, bar: Bar) -> None:
        taken = self.board.minute_take if unit == "minute" else self.board.day_take
        if taken(symbol, bar):
            for listener in self.listeners.of(symbol):
                listener.candle_take(symbol, unit, bar)

    def _minutes_due(self, now: datetime) -> list[datetime]:
        """Return the minutes to look at: those just closed, and those of half a minute ago again."""
        first, again = minute_closed(now), minute_closed(now - SECOND_LOOK)
        due = [*_minutes_after(self._looked, first), *_minutes_after(self._looked_again, again)]
        self._looked, self._looked_again = max(self._looked, first), max(self._looked_again, again)
        return sorted(set(due))

    async def _look(self, minute: datetime) -> None:
        """Read a closed minute and its day of all symbols that somebody listens to."""
        wanted = self.listeners.symbols()
        if EVERY_SYMBOL in wanted:
            wanted = wanted - {EVERY_SYMBOL} | set(self._symbols())
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                for symbols in _chunks(sorted(wanted)):
                    await self._read("minute", [(symbol, minute) for symbol in symbols])
                    await self._read("day", [(symbol, day_of(minute)) for symbol in symbols])
        except (DatabaseError, TimeoutError) as error:
            logger.warning("the bars of %s are told as Redis told them: %s", minute, error)

    async def _read(self, unit: Unit, keys: list[CandleKey]) -> None:
        found = await database_sync_to_async(bars_at)(keys, "1m" if unit == "minute" else "1D")
        for (symbol, _), bar in found.items():
            self._candle_take(symbol, unit, bar)


def _minutes_after(before: datetime, last: datetime) -> list[datetime]:
    """Return the minutes after one up to another, the newest few."""
    count = min((last - before) // MINUTE, MINUTES_KEPT)
    return [last - n * MINUTE for n in range(count)]


def _chunks(symbols: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(symbols), LOOK_KEYS_MAX):
        yield symbols[start : start + LOOK_KEYS_MAX]
