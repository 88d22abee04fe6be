"""Which minutes have closed, what clients have been told of them, and what is to be told next."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

from apps.marketdata.candles import Bar
from apps.marketdata.live import MINUTE, minute_of

GRACE = timedelta(seconds=2)
"""How long after its end a minute is told closed: as a rule trades are in their candle in half a second."""

SECOND_LOOK = timedelta(seconds=30)
"""How long after its end a closed minute is read once more."""

UPDATED_EVERY = timedelta(seconds=5)
DAILY_EVERY = timedelta(milliseconds=500)
"""How often corrections of closed minutes, and days that run, are told: each once, in its newest state."""

MINUTES_KEPT = 5
"""Minutes of each symbol that are remembered; an older one that changes is told as a correction."""

SYMBOLS_MAX = 10_000
OLD_MAX = 20_000
"""Older minutes whose newest state is remembered, lest an older one be told after it."""

Channel = Literal["bars", "updatedBars", "dailyBars"]
Told = tuple[Channel, str, Bar]

_LETTERS: dict[Channel, str] = {"bars": "b", "updatedBars": "u", "dailyBars": "d"}


def bar_message(channel: Channel, symbol: str, bar: Bar) -> dict[str, Any]:
    """Return a candle as published clients are told it."""
    return {
        "T": _LETTERS[channel],
        "S": symbol,
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume,
        "n": bar.trade_count,
        "vw": bar.vwap,
        "t": bar.time,
    }


def minute_closed(now: datetime) -> datetime:
    """Return the start of the newest minute whose end and grace are over."""
    return minute_of(now - GRACE) - MINUTE


class BarBoard:
    """Takes candles as they come, from whom they may; ``tick`` says what is due to be told.

    A minute is told once as a bar, when it has closed; when it changes afterwards, or closed before this
    board began, as an updated bar. Nothing here asks a clock: ``now`` is handed in.
    """

    def __init__(self, now: datetime) -> None:
        self.closed = self.began = minute_closed(now)
        self.minutes: dict[str, dict[datetime, Bar]] = {}
        self.days: dict[str, Bar] = {}
        self._told: dict[str, datetime] = {}
        self._late: dict[tuple[str, datetime], Bar] = {}
        self._old: dict[tuple[str, datetime], Bar] = {}
        self._days_due: set[str] = set()
        self._updated_at = self._daily_at = now

    def begin(self, symbol: str, minutes: list[Bar], days: list[Bar]) -> None:
        """Take candles of a symbol as known without telling them, unless the symbol is known already."""
        if symbol not in self.minutes and len(self.minutes) < SYMBOLS_MAX:
            self.minutes[symbol] = {bar.time: bar for bar in minutes[-MINUTES_KEPT:]}
            self.days.update((symbol, bar) for bar in days[-1:])

    def minute_take(self, symbol: str, bar: Bar) -> bool:
        """Take a state of a minute's candle; returns whether it is newer than what was known."""
        if symbol not in self.minutes and len(self.minutes) >= SYMBOLS_MAX:
            return False
        kept = self.minutes.setdefault(symbol, {})
        if not _is_newer(bar, kept.get(bar.time) or self._old.get((symbol, bar.time))):
            return False
        kept[bar.time] = bar
        while len(kept) > MINUTES_KEPT:
            self._old_keep(symbol, kept.pop(min(kept)))
        if bar.time <= self.closed:
            self._late[symbol, bar.time] = bar
        return True

    def _old_keep(self, symbol: str, bar: Bar) -> None:
        """Remember the newest state of a minute that is no longer kept: older ones may still come."""
        self._old[symbol, bar.time] = bar
        while len(self._old) > OLD_MAX:
            del self._old[next(iter(self._old))]

    def day_take(self, symbol: str, bar: Bar) -> bool:
        """Take a state of a day's candle; returns whether it is newer than what was known."""
        known = self.days.get(symbol)
        if known is None and len(self.days) >= SYMBOLS_MAX:
            return False
        if known and (bar.time < known.time or (bar.time == known.time and not _is_newer(bar, known))):
            return False
        self.days[symbol] = bar
        self._days_due.add(symbol)
        return True

    def tick(self, now: datetime) -> list[Told]:
        """Return what is to be told now, each symbol's minutes in order."""
        return [*self._close(now), *self._correct(now), *self._run(now)]

    def _close(self, now: datetime) -> Iterator[Told]:
        """Yield the minutes that have closed since, and closed ones that are known only now."""
        before, self.closed = self.closed, max(self.closed, minute_closed(now))
        for symbol, kept in self.minutes.items() if self.closed > before else ():
            for minute in sorted(kept):
                if before < minute <= self.closed:
                    yield self._first(symbol, kept[minute])
        for symbol, minute in sorted(self._late):
            if minute > self._told.get(symbol, self.began):
                yield self._first(symbol, self._late.pop((symbol, minute)))

    def _first(self, symbol: str, bar: Bar) -> Told:
        self._told[symbol] = bar.time
        return "bars", symbol, bar

    def _correct(self, now: datetime) -> Iterator[Told]:
        if now - self._updated_at < UPDATED_EVERY:
            return
        late, self._late, self._updated_at = self._late, {}, now
        for (symbol, _), bar in sorted(late.items(), key=lambda pair: pair[0]):
            yield "updatedBars", symbol, bar

    def _run(self, now: datetime) -> Iterator[Told]:
        if now - self._daily_at < DAILY_EVERY:
            return
        due, self._days_due, self._daily_at = self._days_due, set(), now
        for symbol in sorted(due):
            yield "dailyBars", symbol, self.days[symbol]


def _is_newer(bar: Bar, known: Bar | None) -> bool:
    """Return whether a state of a candle has more trades than another: it only ever gains some."""
    return known is None or (bar.trade_count or 0, bar.volume) > (known.trade_count or 0, known.volume)
