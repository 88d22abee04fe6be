"""Sessions, trade dates and settlement dates by the exchange's calendar."""

from datetime import UTC, date, datetime, timedelta

import pytest

from apps.instruments.calendar import (
    EXCHANGE_ZONE,
    ExchangeCalendar,
    OpenCalendar,
    session_is_open,
    settl_date,
)


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=EXCHANGE_ZONE).astimezone(UTC)


@pytest.mark.parametrize(
    ("traded", "settles"),
    [
        ("2026-11-20", "2026-11-23"),
        ("2026-11-25", "2026-11-27"),
        ("2026-12-24", "2026-12-28"),
        ("2026-12-31", "2027-01-04"),
        ("2026-11-22", "2026-11-23"),
    ],
)
def test_settlement_is_the_next_business_day(traded: str, settles: str) -> None:
    assert settl_date(date.fromisoformat(traded)) == date.fromisoformat(settles)


@pytest.mark.parametrize(
    ("instant", "trade_date", "is_open"),
    [
        ("2026-11-20T09:29:59", "2026-11-20", False),
        ("2026-11-20T09:30:00", "2026-11-20", True),
        ("2026-11-20T15:59:59", "2026-11-20", True),
        ("2026-11-20T16:00:00", "2026-11-23", False),
        ("2026-11-26T12:00:00", "2026-11-27", False),
        ("2026-11-27T12:59:59", "2026-11-27", True),
        ("2026-11-27T13:00:00", "2026-11-30", False),
        ("2026-03-08T12:00:00", "2026-03-09", False),
        ("2025-01-09T12:00:00", "2025-01-10", False),
    ],
)
def test_exchange_session_of_an_instant(instant: str, trade_date: str, is_open: bool) -> None:
    moment = new_york(instant)
    session = ExchangeCalendar().session_at(moment)
    assert session.trade_date == date.fromisoformat(trade_date)
    assert session_is_open(session, moment) is is_open


def test_core_hours_follow_daylight_saving() -> None:
    winter = ExchangeCalendar().session_at(new_york("2026-03-06T12:00"))
    summer = ExchangeCalendar().session_at(new_york("2026-03-09T12:00"))
    assert (winter.opens_at.hour, summer.opens_at.hour) == (14, 13)


def test_market_that_never_closes_has_one_session_a_new_york_day() -> None:
    calendar = OpenCalendar()
    late = new_york("2026-11-22T23:59:59")
    session = calendar.session_at(late)
    assert session.trade_date == date(2026, 11, 22)
    assert session_is_open(session, late)
    assert calendar.session_at(late + timedelta(seconds=1)).trade_date == date(2026, 11, 23)
    assert calendar.session_after(session.trade_date).opens_at == session.closes_at
