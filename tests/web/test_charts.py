"""Bars for the chart: times on the exchange's clock, prices as exact strings."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from django.test import Client

from apps.marketdata.selectors import Bar
from apps.web.views.charts import bar_json
from tests.support.builders import Trader


def bar(time: datetime) -> Bar:
    price = Decimal("184.3200")
    return Bar(time=time, open=price, high=price, low=price, close=price, volume=100)


def test_intraday_times_are_the_exchanges_wall_time() -> None:
    summer, winter = datetime(2026, 7, 1, 13, 30, tzinfo=UTC), datetime(2026, 12, 1, 14, 30, tzinfo=UTC)
    for instant in (summer, winter):
        seconds = bar_json(bar(instant), intraday=True)["t"]
        assert isinstance(seconds, int)
        assert datetime.fromtimestamp(seconds, UTC).strftime("%H:%M") == "09:30"


def test_a_daily_bar_keeps_its_new_york_date() -> None:
    midnight = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
    seconds = bar_json(bar(midnight), intraday=False)["t"]
    assert isinstance(seconds, int)
    assert datetime.fromtimestamp(seconds, UTC) == datetime(2026, 7, 1, tzinfo=UTC)


def test_an_unknown_interval_is_refused(
    trader: Callable[..., Trader], signed_in: Callable[[Trader], Client]
) -> None:
    client = signed_in(trader(cash="1.00"))
    response = client.get("/chart/AAPL?interval=7m")
    assert response.status_code == 422
    assert response.json()["error"]["reason"] == "bad_interval"
    assert client.get("/chart/AAPL").json()["interval_s"] == 300
