"""Trading days as lists: what the exchange's calendar says about a range of dates."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import exchange_calendars
import pandas as pd
from django.conf import settings

from apps.instruments.calendar import EXCHANGE_ZONE, calendar_named, exchange_calendar
from apps.primitives.clock import utc_now

CALENDAR_FIRST = date(2000, 1, 3)


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One session in the exchange's local time; a session to midnight closes at 23:59."""

    trade_date: date
    open: str
    close: str
    settlement_date: date


def _exchange() -> exchange_calendars.ExchangeCalendar:
    # The same calendar that orders trade by, so that it is built once a process.
    return exchange_calendar(utc_now().year + 1)


def calendar_last() -> date:
    """Return the last date that trading days are known for, with a settlement date after it."""
    return date(utc_now().year + 1, 12, 20)


def trading_days(start: date, end: date) -> list[TradingDay]:
    """Return the sessions from ``start`` to ``end``, both included, as far as the calendar knows."""
    first, last = max(start, CALENDAR_FIRST), min(end, calendar_last())
    if first > last:
        return []
    if calendar_named(settings.MARKET_CALENDAR).always_open:
        return list(_open_days(first, last))
    return list(_exchange_days(first, last))


def session_date_before(trade_date: date) -> date:
    """Return the session before one; balances of the last close are dated by it."""
    return trading_days(trade_date - timedelta(days=14), trade_date - timedelta(days=1))[-1].trade_date


def _next_session(day: date) -> date:
    following = pd.Timestamp(day) + pd.Timedelta(days=1)
    session: pd.Timestamp = _exchange().date_to_session(following, direction="next")
    return session.date()


def _open_days(first: date, last: date) -> Iterator[TradingDay]:
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        yield TradingDay(day, "00:00", "23:59", _next_session(day))


def _exchange_days(first: date, last: date) -> Iterator[TradingDay]:
    calendar = _exchange()
    for label in calendar.sessions_in_range(pd.Timestamp(first), pd.Timestamp(last)):
        day = label.date()
        yield TradingDay(
            day,
            _local(calendar.session_open(label).to_pydatetime()),
            _local(calendar.session_close(label).to_pydatetime()),
            _next_session(day),
        )


def _local(instant: datetime) -> str:
    return instant.astimezone(EXCHANGE_ZONE).strftime("%H:%M")
