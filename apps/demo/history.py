"""Real daily bars of the demo's shares, adjusted for splits and moved to end with the previous session.

The source is the data set ``stocks`` of the package ``bokeh_sampledata`` (Quandl WIKI, public domain): daily
open, high, low, close and volume as traded, from 2000 to 1 March 2013, beside a close that the source
adjusted for splits and dividends. Only splits are taken out here, so that the last close stays the price that
was really paid: a split shows as a jump of the adjusted-to-raw ratio by a whole or half number from one day
to the next, where dividends move it by a few per cent. Prices before a split are divided by its ratio and
volumes multiplied. Then the bars are laid on the exchange's calendar session by session, backwards from the
session before the day given: each keeps its figures and its place in the order, not its date.
"""

import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.resources import files

import pandas as pd

from apps.instruments.calendar import EXCHANGE_ZONE, exchange_calendar
from apps.primitives.money import PRICE_QUANTUM

SPLIT_RATIOS = tuple(Decimal(n) / 2 for n in (3, 4, 5, 6, 8, 10, 14, 20))
"""Shares after a split for one before: 3:2, 2:1, 5:2, 3:1, 4:1, 5:1, 7:1, 10:1."""
SPLIT_TOLERANCE = Decimal("0.005")


@dataclass(frozen=True, slots=True)
class DailyBar:
    """One session of one share, in dollars and shares."""

    date: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(frozen=True, slots=True)
class RealBar:
    """A bar as the source has it, with the source's adjusted close."""

    bar: DailyBar
    adjusted_close: Decimal


@dataclass(frozen=True, slots=True)
class SessionHours:
    """A session of the exchange: its date and its first and last instant; early closes as published."""

    date: date
    opens_at: datetime
    closes_at: datetime

    @property
    def minutes(self) -> int:
        return int((self.closes_at - self.opens_at).total_seconds()) // 60


def real_bars_read(symbols: Sequence[str]) -> dict[str, list[RealBar]]:
    """Return the source's bars by symbol, oldest first; figures go from text to Decimal directly."""
    found: dict[str, list[RealBar]] = {symbol: [] for symbol in symbols}
    with files("bokeh_sampledata").joinpath("_data/stocks.csv.gz").open("rb") as packed:
        for row in csv.DictReader(gzip.open(packed, "rt", encoding="utf-8", newline="")):
            if row["Ticker"] in found:
                found[row["Ticker"]].append(_real_bar(row))
    return found


def _real_bar(row: dict[str, str]) -> RealBar:
    opened, high, low, closed = (Decimal(row[name]) for name in ("Open", "High", "Low", "Close"))
    bar = DailyBar(date.fromisoformat(row["Date"]), opened, high, low, closed, int(row["Volume"]))
    return RealBar(bar, Decimal(row["Adj Close"]))


def split_ratio(before: RealBar, after: RealBar) -> Decimal:
    """Return how many shares one became between two days, 1 when there was no split."""
    jump = (after.adjusted_close / after.bar.close) / (before.adjusted_close / before.bar.close)
    for ratio in SPLIT_RATIOS:
        if abs(jump / ratio - 1) < SPLIT_TOLERANCE:
            return ratio
    return Decimal(1)


def splits_adjust(bars: Sequence[RealBar]) -> list[DailyBar]:
    """Return the bars in today's shares, oldest first; the last bar stays as it was traded."""
    adjusted, divisor = [], Decimal(1)
    for index in range(len(bars) - 1, -1, -1):
        adjusted.append(_divided(bars[index].bar, divisor))
        if index:
            divisor *= split_ratio(bars[index - 1], bars[index])
    return adjusted[::-1]


def _divided(bar: DailyBar, divisor: Decimal) -> DailyBar:
    def price(value: Decimal) -> Decimal:
        return (value / divisor).quantize(PRICE_QUANTUM, ROUND_HALF_EVEN)

    opened, high, low, closed = (price(value) for value in (bar.open, bar.high, bar.low, bar.close))
    return DailyBar(bar.date, opened, high, low, closed, int(bar.volume * divisor))


def sessions_before(day: date, count: int) -> list[date]:
    """Return the last ``count`` exchange sessions before a day, oldest first."""
    sessions = exchange_calendar(day.year + 1).sessions
    earlier = sessions[sessions < pd.Timestamp(day)]
    if len(earlier) < count:
        raise ValueError(f"the exchange's calendar knows only {len(earlier)} sessions before {day}")
    return [label.date() for label in earlier[-count:]]


def session_hours(day: date) -> SessionHours:
    """Return when the exchange's session of a day opened and closed."""
    calendar, label = exchange_calendar(day.year + 1), pd.Timestamp(day)
    opens, closes = calendar.session_open(label), calendar.session_close(label)
    return SessionHours(day, opens.to_pydatetime(), closes.to_pydatetime())


def day_start(day: date) -> datetime:
    """Return midnight in New York, where a day's candle begins."""
    return datetime.combine(day, time(), tzinfo=EXCHANGE_ZONE).astimezone(UTC)


def history_read(symbols: Sequence[str], today: date) -> dict[str, list[DailyBar]]:
    """Return each symbol's daily bars, adjusted for splits, the last on the session before ``today``."""
    real = real_bars_read(symbols)
    longest = max(len(bars) for bars in real.values())
    sessions = sessions_before(today, longest)
    return {symbol: list(_shifted(splits_adjust(bars), sessions)) for symbol, bars in real.items()}


def _shifted(bars: Sequence[DailyBar], sessions: Sequence[date]) -> Iterator[DailyBar]:
    for bar, day in zip(bars, sessions[-len(bars) :], strict=True):
        yield replace(bar, date=day)
