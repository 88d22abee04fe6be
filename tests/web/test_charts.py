"""Bars for the chart: times on the exchange's clock, prices as exact strings."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.test import Client

from apps.marketdata.candles import Tick
from apps.marketdata.selectors import Bar
from apps.marketdata.services import ticks_append
from apps.primitives.clock import utc_now
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


def test_minutes_without_a_trade_are_drawn_when_asked_for(
    trader: Callable[..., Trader], signed_in: Callable[[Trader], Client]
) -> None:
    client, now = signed_in(trader(cash="1.00")), utc_now()
    ticks_append([Tick(1, now - timedelta(minutes=10), "AAPL", Decimal("101.5"), 3)])
    (traded,) = client.get("/chart/AAPL?interval=1m").json()["bars"]
    filled = client.get("/chart/AAPL?interval=1m&fill=previous").json()["bars"]
    assert filled[0] == traded
    assert len(filled) in (11, 12)
    assert {(row["o"], row["c"], row["v"]) for row in filled[1:]} == {("101.5000", "101.5000", 0)}
    assert [row["t"] - traded["t"] for row in filled] == [60 * n for n in range(len(filled))]
    assert len(client.get("/chart/AAPL?interval=1D&fill=previous").json()["bars"]) in (1, 2)
    assert client.get("/chart/AAPL?fill=next").status_code == 422


def test_the_newest_bar_comes_with_the_steps_it_is_made_of(
    trader: Callable[..., Trader], signed_in: Callable[[Trader], Client]
) -> None:
    client, price = signed_in(trader(cash="1.00")), Decimal("101.5")
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    before = hour - timedelta(minutes=1)
    ticks_append([Tick(n, time, "AAPL", price, 3) for n, time in enumerate((before, hour, hour))])
    for interval, steps in (("1m", [6]), ("1h", [6]), ("1D", None), ("1W", None)):
        reply = client.get(f"/chart/AAPL?interval={interval}").json()
        last, found = reply["bars"][-1], reply["steps"]
        assert sum(step["v"] for step in found) == last["v"]
        assert all(step["t"] >= last["t"] for step in found)
        assert steps is None or [step["v"] for step in found] == steps
    assert client.get("/chart/MSFT").json()["steps"] == []
