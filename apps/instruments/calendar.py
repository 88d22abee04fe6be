"""When the market trades: the exchange's real calendar, or the demo's market that never closes."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Protocol
from zoneinfo import ZoneInfo

import exchange_calendars
import pandas as pd

EXCHANGE_ZONE = ZoneInfo("America/New_York")


@cache
def exchange_calendar(end_year: int) -> exchange_calendars.ExchangeCalendar:
    """Return the New York Stock Exchange's sessions from 2000 to the end of ``end_year``."""
    return exchange_calendars.get_calendar("XNYS", start="2000-01-03", end=f"{end_year}-12-31")


def _xnys(day: date) -> exchange_calendars.ExchangeCalendar:
    return exchange_calendar(day.year + 1)


def settl_date(trade_date: date) -> date:
    """Return the settlement date, one business day after the trade (SEC Rule 15c6-1(a), T+1)."""
    calendar = _xnys(trade_date)
    session = calendar.date_to_session(pd.Timestamp(trade_date) + pd.Timedelta(days=1), direction="next")
    return session.date()


def exchange_date(instant: datetime) -> date:
    """Return the New York date of an instant."""
    return instant.astimezone(EXCHANGE_ZONE).date()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=EXCHANGE_ZONE).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Session:
    """One trading session: its date, and the instants at which it opens and closes."""

    trade_date: date
    opens_at: datetime
    closes_at: datetime


class MarketCalendar(Protocol):
    """What a calendar can say; every instant is UTC, every date is the exchange's."""

    always_open: bool
    has_auctions: bool

    def session_at(self, instant: datetime) -> Session:
        """Return the session that ``instant`` is in, else the next one."""
        ...

    def session_after(self, trade_date: date) -> Session:
        """Return the first session after a trade date."""
        ...


class OpenCalendar:
    """The demo's market: every New York day is one session, from midnight to midnight."""

    always_open = True
    has_auctions = False

    def session_at(self, instant: datetime) -> Session:
        return self._session(exchange_date(instant))

    def session_after(self, trade_date: date) -> Session:
        return self._session(trade_date + timedelta(days=1))

    def _session(self, day: date) -> Session:
        return Session(day, _midnight(day), _midnight(day + timedelta(days=1)))


class ExchangeCalendar:
    """The New York Stock Exchange: core session, holidays and early closes as published."""

    always_open = False
    has_auctions = True

    def session_at(self, instant: datetime) -> Session:
        calendar = _xnys(instant.date())
        label = calendar.date_to_session(pd.Timestamp(exchange_date(instant)), direction="next")
        session = self._session(calendar, label)
        if instant < session.closes_at:
            return session
        return self._session(calendar, calendar.next_session(label))

    def session_after(self, trade_date: date) -> Session:
        calendar = _xnys(trade_date)
        label = calendar.date_to_session(pd.Timestamp(trade_date) + pd.Timedelta(days=1), direction="next")
        return self._session(calendar, label)

    def _session(self, calendar: exchange_calendars.ExchangeCalendar, label: pd.Timestamp) -> Session:
        return Session(
            label.date(),
            calendar.session_open(label).to_pydatetime(),
            calendar.session_close(label).to_pydatetime(),
        )


def session_of_day(calendar: MarketCalendar, instant: datetime) -> Session | None:
    """Return the session of an instant's own exchange date, over or not; None where there is none."""
    today = exchange_date(instant)
    session = calendar.session_at(_midnight(today))
    return session if session.trade_date == today else None


def session_is_open(session: Session, instant: datetime) -> bool:
    """Return whether ``instant`` lies inside the session."""
    return session.opens_at <= instant < session.closes_at


@cache
def calendar_named(name: str) -> MarketCalendar:
    """Return the calendar of a ``MARKET_CALENDAR`` setting: ``OPEN`` or ``XNYS``."""
    calendars: dict[str, type[OpenCalendar] | type[ExchangeCalendar]] = {
        "OPEN": OpenCalendar,
        "XNYS": ExchangeCalendar,
    }
    return calendars[name]()
