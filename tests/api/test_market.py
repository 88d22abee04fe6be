"""Assets, the clock and the calendar."""

from datetime import date, datetime

import pytest
from django.test import override_settings

from apps.api.sessions import session_date_before
from apps.instruments.models import Instrument
from tests.api.conftest import Api


def test_assets_are_listed_and_found_by_ticker_or_id(ada: Api) -> None:
    assets = ada.get("/v2/assets").json()
    assert [one["symbol"] for one in assets] == ["AAPL", "MSFT"]
    asset = assets[0]
    assert (asset["class"], asset["exchange"], asset["status"]) == ("us_equity", "NASDAQ", "active")
    assert (asset["tradable"], asset["fractionable"], asset["shortable"]) == (True, False, False)
    assert ada.get("/v2/assets/aapl").json() == ada.get(f"/v2/assets/{asset['id']}").json() == asset


def test_assets_are_filtered_and_an_unknown_exchange_is_empty(ada: Api) -> None:
    Instrument.objects.filter(symbol="MSFT").update(status="INACTIVE", exchange="MYEX")
    assert [one["symbol"] for one in ada.get("/v2/assets", {"status": "active"}).json()] == ["AAPL"]
    inactive = ada.get("/v2/assets", {"status": "inactive"}).json()
    assert [(one["symbol"], one["exchange"]) for one in inactive] == [("MSFT", "")]
    assert [one["symbol"] for one in ada.get("/v2/assets", {"exchange": "NASDAQ"}).json()] == ["AAPL"]
    assert ada.get("/v2/assets", {"asset_class": "crypto"}).json() == []
    assert ada.get("/v2/assets", {"status": "odd"}).status_code == 422


@pytest.mark.parametrize("name", ["NOPE", "BRK.B", "x" * 200, "00000000-0000-8000-8400-c2e7abc67d55"])
def test_unknown_asset_is_404(ada: Api, name: str) -> None:
    answer = ada.get(f"/v2/assets/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, 40410000)
    assert answer.json()["message"].startswith("asset not found for")


def test_clock_is_in_the_exchange_s_time(ada: Api) -> None:
    clock = ada.get("/v2/clock").json()
    assert clock["is_open"] is True
    times = {name: datetime.fromisoformat(clock[name]) for name in ("timestamp", "next_open", "next_close")}
    assert times["timestamp"] < times["next_close"] <= times["next_open"]
    assert times["next_close"].strftime("%H:%M") == "00:00"


def test_calendar_takes_dates_however_clients_write_them(ada: Api) -> None:
    for start, end in (("2026-11-23", "2026-11-25"), ("2026-11-23T00:00:00.000Z", "2026-11-25T00:00:00Z")):
        days = ada.get("/v2/calendar", {"start": start, "end": end}).json()
        assert [day["date"] for day in days] == ["2026-11-23", "2026-11-24", "2026-11-25"]
    assert days[0]["settlement_date"] == "2026-11-24"
    assert len(ada.get("/v2/calendar").json()) > 300


def test_exchange_calendar_knows_holidays_and_half_days(ada: Api) -> None:
    with override_settings(MARKET_CALENDAR="XNYS"):
        query = {"start": "2026-11-25", "end": "2026-11-30"}
        days = ada.get("/v2/calendar", query).json()
        assert [(day["date"], day["open"], day["close"]) for day in days] == [
            ("2026-11-25", "09:30", "16:00"),
            ("2026-11-27", "09:30", "13:00"),
            ("2026-11-30", "09:30", "16:00"),
        ]
        assert [day["settlement_date"] for day in days] == ["2026-11-27", "2026-11-30", "2026-12-01"]
        settled = ada.get("/v2/calendar", {**query, "date_type": "SETTLEMENT"}).json()
        assert [day["date"] for day in settled] == ["2026-11-24", "2026-11-25", "2026-11-27"]
        assert session_date_before(date(2026, 11, 30)) == date(2026, 11, 27)


def test_calendar_refuses_ranges_that_are_none(ada: Api) -> None:
    for query in (
        {"start": "yesterday"},
        {"start": "2026-11-25", "end": "2026-11-24"},
        {"start": "1970-01-01", "end": "2026-01-01"},
    ):
        assert ada.get("/v2/calendar", query).status_code == 422
    assert ada.get("/v2/calendar", {"start": "1990-01-01", "end": "1990-02-01"}).json() == []


def test_account_shows_its_money_as_strings(ada: Api) -> None:
    ada.order(qty=10, limit_price="99.00")
    account = ada.get("/v2/account").json()
    expected = {
        "status": "ACTIVE",
        "currency": "USD",
        "cash": "10000",
        "buying_power": "9010",
        "equity": "20000",
        "portfolio_value": "20000",
        "last_equity": "20000",
        "long_market_value": "10000",
        "short_market_value": "0",
        "multiplier": "1",
        "trading_blocked": False,
        "pattern_day_trader": False,
    }
    assert {name: account[name] for name in expected} == expected
    assert account["account_number"] == f"OB{ada.trader.account_id:08d}"
    assert ada.get("/v2/account/configurations").json()["no_shorting"] is True
