"""When an order for an auction is taken, by the exchange's calendar."""

from datetime import UTC, datetime

import pytest

from apps.instruments.calendar import EXCHANGE_ZONE, ExchangeCalendar, OpenCalendar, session_of_day
from apps.instruments.rules import auction_entry_check
from apps.primitives.errors import Invalid
from apps.primitives.fix import TimeInForce


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=EXCHANGE_ZONE).astimezone(UTC)


@pytest.mark.parametrize(
    ("instant", "opg", "cls"),
    [
        ("2026-11-20T00:00:00", True, True),
        ("2026-11-20T09:27:59", True, True),
        ("2026-11-20T09:28:00", False, True),
        ("2026-11-20T12:00:00", False, True),
        ("2026-11-20T15:49:59", False, True),
        ("2026-11-20T15:50:00", False, False),
        ("2026-11-20T18:59:59", False, False),
        ("2026-11-20T19:00:00", True, True),
        ("2026-11-21T12:00:00", True, True),
        ("2026-11-26T12:00:00", True, True),
        ("2026-11-27T12:49:59", False, True),
        ("2026-11-27T12:50:00", False, False),
        ("2026-11-27T13:30:00", False, False),
        ("2026-11-27T19:00:00", True, True),
    ],
)
def test_auction_orders_are_taken_until_shortly_before_and_again_in_the_evening(
    instant: str, opg: bool, cls: bool
) -> None:
    for time_in_force, taken in ((TimeInForce.OPG, opg), (TimeInForce.CLS, cls)):
        try:
            auction_entry_check(time_in_force, ExchangeCalendar(), new_york(instant))
        except Invalid as refusal:
            assert not taken, refusal
            assert refusal.details["field"] == "time_in_force"
        else:
            assert taken


def test_the_refusal_says_until_and_from_when() -> None:
    with pytest.raises(Invalid, match=r"cls orders are accepted before 12:50 ET .* from 19:00 ET"):
        auction_entry_check(TimeInForce.CLS, ExchangeCalendar(), new_york("2026-11-27T12:55"))


@pytest.mark.parametrize("time_in_force", [TimeInForce.OPG, TimeInForce.CLS])
def test_a_market_that_never_closes_has_no_auctions(time_in_force: TimeInForce) -> None:
    with pytest.raises(Invalid, match="never closes"):
        auction_entry_check(time_in_force, OpenCalendar(), new_york("2026-11-20T08:00"))


@pytest.mark.parametrize("time_in_force", [TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC])
def test_other_orders_pass_at_any_time(time_in_force: TimeInForce) -> None:
    auction_entry_check(time_in_force, OpenCalendar(), new_york("2026-11-20T08:00"))
    auction_entry_check(time_in_force, ExchangeCalendar(), new_york("2026-11-20T15:55"))


def test_a_day_has_its_session_even_after_the_close_and_holidays_have_none() -> None:
    calendar = ExchangeCalendar()
    evening = session_of_day(calendar, new_york("2026-11-20T21:00"))
    assert evening is not None
    assert evening.closes_at == new_york("2026-11-20T16:00")
    assert session_of_day(calendar, new_york("2026-11-26T12:00")) is None
