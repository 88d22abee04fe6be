"""F28, F29 and F30: clocks that jump, a second too many, and the days on which the hour does."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as django_settings
from django.test import Client

from apps.access.services import api_key_issue
from apps.events.facts import SYSTEM
from apps.instruments.calendar import ExchangeCalendar, OpenCalendar, exchange_date, session_is_open
from tests.faults.conftest import ROUNDS
from tests.support.builders import Trader, trader_open
from tests.support.house import House, until
from tests.support.own_server import OwnServer

NEW_YORK = ZoneInfo("America/New_York")
YEARS = tuple(range(2000, 2041)) if ROUNDS else (2000, 2007, 2020, 2026, 2040)
JUMPS_S = (3600, 0, -10) + (-3600, 0) * (ROUNDS > 0)


def test_a_server_whose_clock_jumps_loses_nothing_and_keeps_the_order_of_arrival() -> None:
    """F28: an hour forth, an hour back, ten seconds back. Ids go back with it; priority does not.

    Far back means later: such ids are found by the full sweep, every ten seconds.
    """
    with OwnServer(django_settings.REDIS_URL, shim=True) as house:
        _, url = house.web()
        house.leader()
        # To the server an hour forth is an hour of silence: it may end the leader's session. Another waits.
        house.runner()
        seller, buyer = house.client(0), house.client(1)
        for jump in JUMPS_S:
            first = house.order(url, seller, "sell", "100.00").json()["client_order_id"]
            house.drained()
            house.tell("clock", str(jump))
            second = house.order(url, seller, "sell", "100.00").json()["client_order_id"]
            house.drained()
            assert house.order(url, buyer, "buy", "100.00").status_code == 200
            house.drained()
            assert (state(house, first), state(house, second)) == ("FILLED", "NEW")
            assert house.order(url, buyer, "buy", "100.00").status_code == 200
            house.drained()
        house.books_hold()


def state(house: House, client_order_id: str) -> str:
    sql = "SELECT status FROM orders WHERE client_order_id = %s"
    return str(house.rows(sql, (client_order_id,))[0][0])


@pytest.mark.parametrize("jump", ["3600"] + ["-3600", "-10"] * (ROUNDS > 0))
def test_a_runner_whose_clock_is_off_takes_everything_and_expires_nothing_early(
    house: House, traders: list[Trader], tmp_path: Path, jump: str
) -> None:
    """F28: only the runner's clock. It finds everything, if later, and a DAY order lives its day."""
    buyer, seller = traders
    resting = house.sent(buyer.buy(1, "90.00", time_in_force="day"))
    with runner_under_shim(house, tmp_path, jump):
        until(house.leader_now, "it leads", 60)
        house.sent(seller.sell(5, "100.00"))
        house.sent(buyer.buy(5, "100.00"))
        house.books_hold()
    assert buyer.order(resting).status == "NEW"
    assert buyer.shares() == 200_005


class runner_under_shim:  # noqa: N801
    """A runner started as a process of its own, since only that can have another clock."""

    def __init__(self, house: House, folder: Path, jump: str) -> None:
        shim = folder / "shim.so"
        source = Path(__file__).parents[1] / "support" / "shim.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(source), "-ldl"], check=True)
        (folder / "clock").write_text(jump)
        self.log = (folder / "log").open("wb")
        self.env = {
            **house.place.env,
            "DJANGO_SETTINGS_MODULE": "brokerage.settings.testing",
            "LD_PRELOAD": str(shim),
            "OPENBELL_SHIM": str(folder),
        }

    def __enter__(self) -> "runner_under_shim":
        code = "import tests.support.processes_preload, tests.support.processes as p; p.runner_main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], env=self.env, stdout=self.log, stderr=subprocess.STDOUT
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


LEAP = ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z", "2016-12-31T18:59:60-05:00", "2026-06-30T23:59:60Z"]
NO_TIME = ["2016-12-31T23:59:61Z", "2016-12-31T23:60:00Z", "2016-12-31T24:00:01Z", "2026-02-29T00:00:00Z"]


@pytest.mark.parametrize("instant", LEAP + NO_TIME)
def test_a_second_too_many_is_read_or_refused_and_never_an_error_of_ours(market: None, instant: str) -> None:
    """F29: in every place where the API takes an instant."""
    trader = trader_open(cash="100000.00")
    key_id, secret = api_key_issue(account_id=trader.account_id, origin=SYSTEM)
    headers = {"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret}
    client = Client(raise_request_exception=False)
    asked = {
        "/v2/orders": ("after", "until"),
        "/v2/account/activities": ("after", "until", "date"),
        "/v2/stocks/AAPL/bars": ("start", "end"),
        "/v2/calendar": ("start", "end"),
    }
    for path, names in asked.items():
        for name in names:
            answer = client.get(path, {name: instant, "timeframe": "1Day"}, headers=headers)
            assert answer.status_code < 500, (path, name, answer.content)
    order = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "limit", "limit_price": 90}
    body = {**order, "time_in_force": "gtd", "expires_at": instant}
    for path in ("/v2/orders", "/api/v1/orders"):
        answer = client.post(path, body, content_type="application/json", headers=headers)
        assert answer.status_code < 500, (path, answer.content)


def days(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + timedelta(days=number) for number in range((date(year + 1, 1, 1) - first).days)]


@pytest.mark.parametrize("year", YEARS)
def test_the_exchange_opens_and_closes_at_its_hours_through_every_change_of_the_clock(year: int) -> None:
    """F30: 09:30 to 16:00, or 13:00, in New York, whatever that is in UTC; none on a day without."""
    calendar = ExchangeCalendar()
    # The exchange's published calendar begins with the first session of 2000.
    session = calendar.session_at(datetime(year, 1, 3 if year == YEARS[0] else 1, 12, tzinfo=UTC))
    count = 0
    while session.trade_date.year == year:
        opens, closes = (at.astimezone(NEW_YORK) for at in (session.opens_at, session.closes_at))
        assert (opens.date(), closes.date()) == (session.trade_date, session.trade_date)
        assert (opens.hour, opens.minute) == (9, 30)
        assert (closes.hour, closes.minute) in ((16, 0), (13, 0))
        assert session.trade_date.weekday() < 5
        assert calendar.session_at(session.opens_at) == session
        following = calendar.session_after(session.trade_date)
        assert following.opens_at > session.closes_at
        assert calendar.session_at(session.closes_at) == following
        session, count = following, count + 1
    assert 245 <= count <= 253


@pytest.mark.parametrize("year", YEARS)
def test_the_market_that_never_closes_has_one_session_a_day_without_gap_or_overlap(year: int) -> None:
    """F30: days of 23 and of 25 hours among them, and midnight is always in exactly one of them."""
    calendar = OpenCalendar()
    lengths = {}
    for day in days(year):
        noon = datetime(day.year, day.month, day.day, 17, tzinfo=UTC)
        session = calendar.session_at(noon)
        following = calendar.session_after(session.trade_date)
        assert session.trade_date == day == exchange_date(session.opens_at)
        assert following.opens_at == session.closes_at
        assert session_is_open(session, session.opens_at) and not session_is_open(session, session.closes_at)
        lengths[day] = (session.closes_at - session.opens_at) // timedelta(hours=1)
    assert sorted(set(lengths.values())) == [23, 24, 25]
    assert [hours for hours in lengths.values() if hours != 24] == [23, 25]


@pytest.mark.parametrize(
    ("before", "day", "trade_date"),
    [
        ("2026-03-08T06:59:00+00:00", "the spring change, one minute to the missing hour", "2026-03-08"),
        ("2026-03-08T07:30:00+00:00", "half past two does not exist: it is half past three", "2026-03-08"),
        ("2026-11-01T05:30:00+00:00", "half past one, for the first time", "2026-11-01"),
        ("2026-11-01T06:30:00+00:00", "half past one, for the second time", "2026-11-01"),
        ("2027-01-01T04:59:59+00:00", "the last second of a year of 53 weeks", "2026-12-31"),
    ],
)
def test_an_order_for_the_day_ends_with_the_day_it_was_entered_on(
    before: str, day: str, trade_date: str
) -> None:
    """F30: DAY orders entered in the hours that come twice, or never."""
    from apps.orders.services.plan import expiry
    from apps.primitives.fix import TimeInForce

    instant = datetime.fromisoformat(before)
    for calendar in (OpenCalendar(), ExchangeCalendar()):
        session = calendar.session_at(instant)
        ends = expiry(TimeInForce.DAY, session, instant)
        assert ends is not None and ends > instant
        assert ends == session.closes_at
    assert str(OpenCalendar().session_at(instant).trade_date) == trade_date
