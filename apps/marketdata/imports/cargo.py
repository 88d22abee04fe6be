"""The two kinds of rows that files bring: how each is read, made ready, and written with its candles."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol, TypeVar

import numpy as np
from django.db import connections

from apps.marketdata.backends import ALIAS, Backend, backend_current
from apps.marketdata.candles import Bar
from apps.marketdata.imports.columns import Symbols
from apps.marketdata.imports.lines import Booleans
from apps.marketdata.imports.reading import BarReader, Parsed, TickReader
from apps.marketdata.imports.record import Stretch
from apps.marketdata.imports.rows import BARS, EPOCH, TICKS, Limits, Shape
from apps.marketdata.imports.table import DAY_US, Ticks, copy_bytes, instant_us, us_instant
from apps.marketdata.services import bars_import, candles_rebuild, ticks_copy, ticks_kept_since
from apps.marketdata.sessions import session_spans

_Rows = TypeVar("_Rows")
_Ready = TypeVar("_Ready")

SPANS_MAX = 32
"""Candles of one piece are made anew in so many spans of days at most; more are taken as one."""

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows were new or replaced, and between which instants candles are still to be made."""

    added: int
    stale: Stretch | None = None


class Reader(Protocol[_Rows]):
    """Reads pieces of one file."""

    def read(self, piece: Any) -> Parsed[_Rows]: ...


class Cargo(Protocol[_Rows, _Ready]):
    """One kind of rows."""

    kind: str
    shape: Shape

    def limits(self, symbols: Symbols, now: datetime) -> Limits:
        """Return what a row may say at this moment."""
        ...

    def reader(
        self, header: list[str], positions: Mapping[str, int], limits: Limits, first_id: int
    ) -> Reader[_Rows]:
        """Return what reads a file with these columns."""
        ...

    def count(self, rows: _Rows) -> int:
        """Return how many rows these are."""
        ...

    def ready(self, rows: _Rows, symbols: Symbols) -> _Ready:
        """Make rows ready to be written, away from the database."""
        ...

    def before(self, ready: _Ready) -> None:
        """Do what must be done before the transaction that writes these rows."""
        ...

    def write(self, ready: _Ready) -> Written:
        """Write rows in the open transaction, and their candles where that can be done in it."""
        ...

    def settle(self, stale: Stretch) -> None:
        """Make the candles that could not be made with the rows, outside any transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """Some symbols' ticks between two instants, both included."""

    symbols: tuple[str, ...]
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class TickLoad:
    """Ticks in the server's own form, and where they lie."""

    content: bytes
    spans: tuple[Span, ...]
    days: tuple[date, ...]

    @property
    def bounds(self) -> Stretch:
        return min(span.first for span in self.spans), max(span.last for span in self.spans)


class TickCargo:
    """Ticks; ``days_ensure`` makes the table partitions of UTC days that have none."""

    kind = "ticks"
    shape = TICKS

    def __init__(self, days_ensure: Callable[[tuple[date, ...]], object]) -> None:
        self._days_ensure = days_ensure
        self._days_known: set[date] = set()

    def limits(self, symbols: Symbols, now: datetime) -> Limits:
        return Limits(symbols, ticks_kept_since(), now)

    def reader(
        self, header: list[str], positions: Mapping[str, int], limits: Limits, first_id: int
    ) -> TickReader:
        return TickReader(header, positions, limits, first_id)

    def count(self, rows: Ticks) -> int:
        return len(rows)

    def ready(self, rows: Ticks, symbols: Symbols) -> TickLoad:
        ticks = rows.sorted()
        content = copy_bytes(ticks, in_sessions(ticks), symbols)
        days = tuple(instant.date() for instant in ticks.days())
        return TickLoad(content, tuple(_spans(ticks, symbols)), days)

    def before(self, ready: TickLoad) -> None:
        new = tuple(day for day in ready.days if day not in self._days_known)
        if new:
            self._days_ensure(new)
            self._days_known.update(new)

    def write(self, ready: TickLoad) -> Written:
        if not ready.spans:
            return Written(0)
        with connections[ALIAS].cursor() as cursor:
            added = ticks_copy(cursor, [ready.content], *ready.bounds)
        if backend_current() is Backend.TIMESCALE:
            return Written(added, ready.bounds if added else None)
        if added:
            for span in ready.spans:
                candles_rebuild(span.symbols, span.first, span.last + MICROSECOND)
        return Written(added)

    def settle(self, stale: Stretch) -> None:
        first, last = stale
        candles_rebuild(None, first, last + MICROSECOND)


def in_sessions(ticks: Ticks) -> Booleans:
    """Return which ticks lie in a session of the exchange."""
    if not len(ticks):
        return np.zeros(0, bool)
    spans = session_spans(us_instant(ticks.time.min()), us_instant(ticks.time.max()))
    starts = np.array([instant_us(start) for start, _ in spans], np.int64)
    ends = np.array([instant_us(end) for _, end in spans], np.int64)
    after = np.searchsorted(starts, ticks.time, side="right")
    # Before the first session there is none: its place is taken by one that ended before all time.
    return ticks.time < np.concatenate(([0], ends))[after]


def _spans(ticks: Ticks, symbols: Symbols) -> Iterator[Span]:
    """Yield the runs of days that hold ticks; as one when they are many."""
    if not len(ticks):
        return
    days = np.unique(ticks.time // DAY_US)
    breaks = np.flatnonzero(np.diff(days) > 1) + 1
    runs = np.split(days, breaks) if len(breaks) < SPANS_MAX else [days]
    for run in runs:
        inside = (ticks.time >= run[0] * DAY_US) & (ticks.time < (run[-1] + 1) * DAY_US)
        names = symbols.texts[np.unique(ticks.symbol[inside])]
        time = ticks.time[inside]
        yield Span(
            tuple(name.decode() for name in names.tolist()), us_instant(time.min()), us_instant(time.max())
        )


class BarCargo:
    """Bars of one interval, ``1m`` or ``1d``."""

    shape = BARS

    def __init__(self, interval: str) -> None:
        self.interval = interval
        self.kind = f"bars_{interval}"

    def limits(self, symbols: Symbols, now: datetime) -> Limits:
        return Limits(symbols, EPOCH, now)

    def reader(
        self, header: list[str], positions: Mapping[str, int], limits: Limits, first_id: int
    ) -> BarReader:
        return BarReader(header, positions, limits, self.interval)

    def count(self, rows: dict[str, list[Bar]]) -> int:
        return sum(map(len, rows.values()))

    def ready(self, rows: dict[str, list[Bar]], symbols: Symbols) -> dict[str, list[Bar]]:
        """Return the bars in key order; of bars with one key the file's last counts."""
        return {
            symbol: list({bar.time: bar for bar in sorted(bars, key=lambda bar: bar.time)}.values())
            for symbol, bars in sorted(rows.items())
        }

    def before(self, ready: dict[str, list[Bar]]) -> None:
        pass

    def write(self, ready: dict[str, list[Bar]]) -> Written:
        return Written(sum(bars_import(symbol, self.interval, bars) for symbol, bars in ready.items()))

    def settle(self, stale: Stretch) -> None:
        pass
