"""Buckets without a trade, on request: a flat candle at the close before, inside sessions only."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from apps.instruments.calendar import Session, exchange_date
from apps.marketdata.candles import Bar
from apps.marketdata.joining import Direction, Span
from apps.marketdata.sessions import session_on
from apps.marketdata.timeframes import Timeframe
from apps.primitives.clock import utc_now

CALENDAR_FIRST = date(2000, 1, 3)


def bars_filled(
    bars: Sequence[Bar], before: Bar | None, span: Span, timeframe: Timeframe, direction: Direction
) -> Iterator[Bar]:
    """Yield a span's bars, which come in ``direction``, with its sessions' missing buckets between them.

    ``before`` is the newest bar before the span: what begins a span without trades has its close. Where there
    is none, nothing is filled before the first bar.
    """
    rest = list(reversed(bars))
    close = before.close if before else None
    if close is None and bars:
        oldest = min(bars[0].time, bars[-1].time)
        span = Span(span.symbol, max(span.start, oldest), span.end)
    is_rising = direction == "asc"
    for bucket in _buckets(span, timeframe, direction) if close or bars else ():
        while rest and rest[-1].time != bucket and (rest[-1].time < bucket) == is_rising:
            close = rest[-1].close if is_rising else close
            yield rest.pop()
        if rest and rest[-1].time == bucket:
            close = rest[-1].close if is_rising else close
            yield rest.pop()
        elif (known := close if is_rising or not rest else rest[-1].close) is not None:
            yield Bar(bucket, known, known, known, known, 0, trade_count=0)
    yield from reversed(rest)


def _buckets(span: Span, timeframe: Timeframe, direction: Direction) -> Iterator[datetime]:
    """Yield the starts of the buckets that sessions touch and that begin inside the span."""
    last = None
    for session in _sessions(exchange_date(span.start), exchange_date(span.end), direction):
        starts = list(timeframe.buckets_of(session.opens_at, session.closes_at))
        for start in starts if direction == "asc" else reversed(starts):
            if start != last and span.start <= start <= span.end:
                last = start
                yield start


def _sessions(first: date, last: date, direction: Direction) -> Iterator[Session]:
    """Yield the sessions of these days that have begun: of a day that is to come nothing is made up."""
    first, now = max(first, CALENDAR_FIRST), utc_now()
    days = (last - first).days + 1
    for n in range(days) if direction == "asc" else reversed(range(days)):
        session = session_on(first + timedelta(days=n))
        if session is not None and session.opens_at <= now:
            yield session
