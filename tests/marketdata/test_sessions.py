"""Candles are made of trades in the exchange's sessions; what trades outside stays on the tape alone."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.marketdata.backends import Backend
from apps.marketdata.selectors import bar_list
from apps.marketdata.services import ticks_append, ticks_from_events
from apps.marketdata.sessions import session_spans, tick_in_session
from tests.support.tape import rows_of


def utc(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """Return an instant of November 2025: New York is five hours behind from the 2nd on."""
    return datetime(2025, 11, day, hour, minute, second, tzinfo=UTC)


@pytest.fixture
def exchange_hours(settings: Any) -> None:
    settings.MARKET_CALENDAR = "XNYS"


@pytest.mark.parametrize(
    ("instant", "inside"),
    [
        (utc(25, 14, 29, 59), False),
        (utc(25, 14, 30), True),
        (utc(25, 20, 59, 59), True),
        (utc(25, 21, 0, 3), True),  # the closing auction
        (utc(25, 21, 1), False),
        (utc(26, 4, 0), False),  # the evening before, in New York
        (utc(27, 16, 0), False),  # Thanksgiving
        (utc(28, 17, 59), True),
        (utc(28, 18, 1), False),  # the day after closes at one
        (utc(29, 16, 0), False),  # a Saturday
        (datetime(2025, 10, 31, 13, 30, tzinfo=UTC), True),  # four hours behind until the 2nd of November
    ],
)
def test_the_exchanges_calendar_decides(exchange_hours: None, instant: datetime, inside: bool) -> None:
    assert tick_in_session(instant) is inside
    spans = session_spans(instant - timedelta(days=3), instant + timedelta(days=3))
    assert any(first <= instant < end for first, end in spans) is inside
    assert spans == sorted(spans)


def test_the_market_that_never_closes_has_every_tick_in_session(settings: Any) -> None:
    settings.MARKET_CALENDAR = "OPEN"
    for instant in (utc(29, 16), utc(27, 3), utc(30, 4, 59, 59), utc(30, 5)):
        assert tick_in_session(instant)
        assert any(first <= instant < end for first, end in session_spans(instant, instant))


def event(trade_id: int, instant: datetime, price: str) -> dict[str, Any]:
    return {
        "trade_id": str(trade_id),
        "symbol": "AAPL",
        "side": "BUY",
        "price": price,
        "quantity": 2,
        "executed_at": instant.isoformat(),
    }


def test_a_trade_outside_stays_on_the_tape_and_makes_no_candle(
    backend: Backend, exchange_hours: None
) -> None:
    trades = [
        event(1, utc(25, 12), "90.0000"),
        event(2, utc(25, 14, 30, 1), "100.0000"),
        event(3, utc(25, 21, 0, 2), "101.0000"),
        event(4, utc(25, 22), "120.0000"),
        event(5, utc(27, 16), "130.0000"),
    ]
    done = ticks_append(ticks_from_events(trades))
    assert done.added == 5
    assert [start for _, start in done.minutes] == [utc(25, 14, 30), utc(25, 21)]
    for interval in ("1m", "5m", "1h", "1D"):
        bars = bar_list("AAPL", interval, end=utc(30, 0))
        assert sum(bar.volume for bar in bars) == 4
    (day,) = bar_list("AAPL", "1D", end=utc(30, 0))
    assert (day.open, day.close, day.trade_count) == (Decimal(100), Decimal(101), 2)
    assert rows_of("SELECT count(*), count(*) FILTER (WHERE in_session) FROM market_data_ticks") == [(5, 2)]
