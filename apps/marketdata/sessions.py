"""Which trades belong to a session of the exchange: only of them are candles made."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from django.conf import settings

from apps.instruments.calendar import EXCHANGE_ZONE, Session, calendar_named, exchange_date, session_of_day
from apps.instruments.selectors import market_calendar

CLOSING_SPAN = timedelta(minutes=1)
"""How long after a close the session's trades may come: the closing auction is held at the close."""

Span = tuple[datetime, datetime]


@lru_cache(maxsize=16_384)
def _session_on(calendar_name: str, day: date) -> Session | None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=EXCHANGE_ZONE)
    return session_of_day(calendar_named(calendar_name), noon.astimezone(UTC))


def session_on(day: date) -> Session | None:
    """Return the exchange's session of a New York day, None when there is none."""
    return _session_on(settings.MARKET_CALENDAR, day)


def _day_span(day: date) -> Span | None:
    session = session_on(day)
    if session is None:
        return None
    closing = CLOSING_SPAN if market_calendar().has_auctions else timedelta()
    return session.opens_at, session.closes_at + closing


def tick_in_session(instant: datetime) -> bool:
    """Return whether a trade of this instant belongs to a session, its closing auction included."""
    calendar = market_calendar()
    if calendar.always_open:
        return True
    span = _day_span(exchange_date(instant))
    return span is not None and span[0] <= instant < span[1]


def session_spans(first: datetime, last: datetime) -> list[Span]:
    """Return, oldest first, the spans of the exchange's days from ``first`` to ``last`` that hold sessions.

    Each is from its first instant up to, not including, its last; a trade inside one is in session.
    """
    day, spans = exchange_date(first), []
    while day <= exchange_date(last):
        span = _day_span(day)
        if span is not None:
            spans.append(span)
        day += timedelta(days=1)
    return spans
