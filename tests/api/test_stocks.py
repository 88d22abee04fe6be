"""Bars, trades and quotes of the past: their numbers, their bounds, their lengths, and what is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import orjson
import pytest
from django.test import override_settings

from apps.marketdata.backends import Backend
from apps.marketdata.candles import Bar, Tick
from apps.marketdata.keyed import Quote
from apps.marketdata.quotes_recorder import quotes_write
from apps.marketdata.services import bars_import, ticks_append
from apps.primitives.clock import iso, utc_now
from tests.api.conftest import Api

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
"""Half past nine of a Monday in New York."""

SPAN = {"start": "2026-03-02", "end": "2026-03-10"}


@pytest.fixture(autouse=True)
def _both(backend: Backend) -> None:
    """Every answer is the same whichever back end keeps the market data."""


def tick(number: int, seconds: float, price: str, quantity: int = 1, symbol: str = "AAPL") -> Tick:
    return Tick(number, OPEN + timedelta(seconds=seconds), symbol, Decimal(price), quantity, "BUY")


@contextmanager
def freeze(instant: datetime) -> Iterator[None]:
    """Let the pages take this for now."""
    with (
        mock.patch("apps.marketdata.paging.utc_now", lambda: instant),
        mock.patch("apps.marketdata.filling.utc_now", lambda: instant),
    ):
        yield


def bars(answer: Any) -> list[tuple[Any, ...]]:
    """The bars of an answer as (time, open, high, low, close, volume, trades, weighted price)."""
    assert answer.status_code == 200, answer.content
    found = answer.json()["bars"]
    rows = found if isinstance(found, list) else found.get("AAPL", [])
    return [tuple(row[name] for name in ("t", "o", "h", "l", "c", "v", "n", "vw")) for row in rows]


def test_a_minute_has_its_prices_count_and_weighted_price_as_exact_numbers(ada: Api) -> None:
    ticks_append([tick(1, 0, "100.10", 10), tick(2, 20, "100.30", 20), tick(3, 59.9, "99.9999", 3)])
    answer = ada.get("/v2/stocks/AAPL/bars", {"timeframe": "1Min", **SPAN})
    assert answer.content == orjson.dumps(
        {
            "bars": [
                {
                    "t": "2026-03-02T14:30:00.000000Z",
                    "o": 100.1,
                    "h": 100.3,
                    "l": 99.9999,
                    "c": 99.9999,
                    "v": 33,
                    "n": 3,
                    "vw": 100.212112,
                }
            ],
            "next_page_token": None,
            "symbol": "AAPL",
        }
    )


def test_many_symbols_are_one_map_and_unknown_ones_are_absent(ada: Api) -> None:
    ticks_append([tick(1, 0, "100"), tick(2, 0, "50", symbol="MSFT")])
    query = {"timeframe": "1Min", **SPAN}
    found = ada.get("/v2/stocks/bars", {**query, "symbols": "MSFT,nope, aapl"}).json()
    assert list(found["bars"]) == ["AAPL", "MSFT"]
    assert found["next_page_token"] is None
    repeated = ada.client.get(
        "/v2/stocks/bars?timeframe=1Min&start=2026-03-02&end=2026-03-10&symbols=AAPL&symbols=MSFT",
        headers=ada.headers,
    )
    assert repeated.json() == found
    assert ada.get("/v2/stocks/bars", {**query, "symbols": "NOPE"}).json()["bars"] == {}
    assert ada.get("/v2/stocks/MSFT/bars", {**query, "start": "2026-03-09"}).json()["bars"] == []


def test_both_bounds_are_included_and_by_default_are_today_and_now(ada: Api) -> None:
    ticks_append([tick(n, 60 * n, "100") for n in range(5)])
    query = {"timeframe": "1Min", "start": iso(OPEN), "end": iso(OPEN + timedelta(minutes=2))}
    assert len(bars(ada.get("/v2/stocks/AAPL/bars", query))) == 3
    assert bars(ada.get("/v2/stocks/AAPL/bars", {"timeframe": "1Min"})) == []
    trades = ada.get("/v2/stocks/AAPL/trades", {k: v for k, v in query.items() if k != "timeframe"}).json()
    assert [row["i"] for row in trades["trades"]] == [0, 1, 2]
    ticks_append([Tick(9, utc_now(), "AAPL", Decimal(7), 1)])
    assert [row[4] for row in bars(ada.get("/v2/stocks/AAPL/bars", {"timeframe": "1Min"}))] == [7]
    # A day that is over begins, when nobody says where, with itself.
    only_end = {"timeframe": "1Min", "end": "2026-03-02T15:00:00-05:00"}
    assert len(bars(ada.get("/v2/stocks/AAPL/bars", only_end))) == 5


@pytest.mark.parametrize(
    ("timeframe", "starts"),
    [
        (
            "3Min",
            [
                "2026-03-02T14:30",
                "2026-03-02T14:33",
                "2026-03-02T16:00",
                "2026-03-03T15:00",
                "2026-03-09T14:00",
            ],
        ),
        ("7Min", ["2026-03-02T14:27", "2026-03-02T15:58", "2026-03-03T14:55", "2026-03-09T13:55"]),
        ("10T", ["2026-03-02T14:30", "2026-03-02T16:00", "2026-03-03T15:00", "2026-03-09T14:00"]),
        ("59Min", ["2026-03-02T13:51", "2026-03-02T15:49", "2026-03-03T14:50", "2026-03-09T13:50"]),
        ("1H", ["2026-03-02T14:00", "2026-03-02T16:00", "2026-03-03T15:00", "2026-03-09T14:00"]),
        ("4Hour", ["2026-03-02T13:00", "2026-03-03T13:00", "2026-03-09T12:00"]),
        ("23H", ["2026-03-02T05:00", "2026-03-03T05:00", "2026-03-09T04:00"]),
        ("1D", ["2026-03-02T05:00", "2026-03-03T05:00", "2026-03-09T04:00"]),
        ("1Week", ["2026-03-02T05:00", "2026-03-09T04:00"]),
        ("1M", ["2026-03-01T05:00"]),
        ("2Month", ["2026-03-01T05:00"]),
        ("3Month", ["2026-01-01T05:00"]),
        ("6Month", ["2026-01-01T05:00"]),
        ("12Month", ["2026-01-01T05:00"]),
    ],
)
def test_every_length_of_bar_begins_where_new_york_s_clock_says(
    ada: Api, timeframe: str, starts: list[str]
) -> None:
    """New York puts its clock forward on the 8th of March: midnight is at five, then at four."""
    minutes = [0, 3, 91, 24 * 60 + 30, 7 * 24 * 60 - 30]
    ticks_append([tick(n, 60 * minute, f"{100 + n}", n + 1) for n, minute in enumerate(minutes)])
    query = {"timeframe": timeframe, "start": "2026-01-01T05:00:00Z", "end": "2026-03-20"}
    found = bars(ada.get("/v2/stocks/AAPL/bars", query))
    assert [row[0][:16] for row in found] == starts
    assert sum(row[5] for row in found) == 15
    assert sum(row[6] for row in found) == 5
    assert (found[0][1], found[-1][4]) == (100, 104)
    newest = bars(ada.get("/v2/stocks/AAPL/bars", {**query, "sort": "desc"}))
    assert newest == found[::-1]


def test_history_knows_what_it_knows_and_says_null_for_the_rest(ada: Api) -> None:
    price = Decimal("10.5")
    told = Bar(OPEN, price, price, price, price, 100, trade_count=7, vwap=Decimal("10.500000"))
    untold = Bar(OPEN + timedelta(minutes=1), price, price, price, price, 100)
    bars_import("AAPL", "1m", [told, untold])
    ticks_append([tick(1, 125, "11", 5)])
    minutes = bars(ada.get("/v2/stocks/AAPL/bars", {"timeframe": "1Min", **SPAN}))
    assert [(row[5], row[6], row[7]) for row in minutes] == [(100, 7, 10.5), (100, None, None), (5, 1, 11)]
    (hour,) = bars(ada.get("/v2/stocks/AAPL/bars", {"timeframe": "3Min", **SPAN}))
    assert hour[4:] == (11, 205, None, None)


def test_feeds_adjustments_and_dates_of_names_change_nothing(ada: Api) -> None:
    ticks_append([tick(1, 0, "100")])
    query = {"timeframe": "1Min", **SPAN}
    plain = ada.get("/v2/stocks/AAPL/bars", query).json()
    for more in (
        *({"feed": feed} for feed in ("iex", "sip", "otc", "boats", "overnight", "delayed_sip")),
        *({"adjustment": one} for one in ("raw", "split", "dividend", "all")),
        {"asof": "-"},
        {"currency": "USD"},
        {"page_token": ""},
    ):
        assert ada.get("/v2/stocks/AAPL/bars", {**query, **more}).json() == plain, more


def test_trades_are_told_with_their_ids_even_when_they_share_a_time(ada: Api) -> None:
    ticks_append([tick(number, 1.5, f"{100 + number}") for number in (3, 1, 2)])
    found = ada.get("/v2/stocks/AAPL/trades", SPAN).json()
    assert found["trades"][0] == {
        "t": "2026-03-02T14:30:01.500000Z",
        "x": "V",
        "p": 101,
        "s": 1,
        "i": 1,
        "c": ["@"],
        "z": "C",
    }
    assert [row["i"] for row in found["trades"]] == [1, 2, 3]
    newest = ada.get("/v2/stocks/AAPL/trades", {**SPAN, "sort": "desc"}).json()["trades"]
    assert newest == found["trades"][::-1]
    many = ada.get("/v2/stocks/trades", {**SPAN, "symbols": "AAPL"}).json()
    assert many == {"trades": {"AAPL": found["trades"]}, "next_page_token": None}


def test_a_quote_s_missing_side_is_zero(ada: Api) -> None:
    quotes_write([Quote(OPEN, "AAPL", Decimal("99.5"), 300, None, 0)])
    found = ada.get("/v2/stocks/AAPL/quotes", SPAN).json()["quotes"]
    assert found == [
        {
            "t": "2026-03-02T14:30:00.000000Z",
            "ax": "V",
            "ap": 0,
            "as": 0,
            "bx": "V",
            "bp": 99.5,
            "bs": 300,
            "c": ["R"],
            "z": "C",
        }
    ]


def test_missing_minutes_are_filled_on_request_and_only_in_sessions(ada: Api) -> None:
    """A minute after the early close is told, since it is there, and nothing around it is made up."""
    friday = datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    price = Decimal("10")
    close = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
    bars_import(
        "AAPL",
        "1m",
        [
            Bar(friday + timedelta(minutes=2), price, price, price, price, 5, trade_count=1, vwap=price),
            Bar(close - timedelta(minutes=2), price, price + 1, price, price + 1, 5),
            Bar(close + timedelta(minutes=30), price, price, price, price, 5),
        ],
    )
    query = {"timeframe": "1Min", "start": "2026-11-26", "end": "2026-11-29", "fill": "previous"}
    with override_settings(MARKET_CALENDAR="XNYS"), freeze(datetime(2026, 12, 1, tzinfo=UTC)):
        found = bars(ada.get("/v2/stocks/AAPL/bars", query))
        assert [row[0][11:16] for row in found[:2]] == ["14:32", "14:33"]
        assert found[1][1:] == (10, 10, 10, 10, 0, 0, None)
        assert [row[0][11:16] for row in found[-3:]] == ["17:58", "17:59", "18:30"]
        assert found[-2][1:7] == (11, 11, 11, 11, 0, 0)
        assert len(found) == 3 * 60 + 28 + 1
        newest = bars(ada.get("/v2/stocks/AAPL/bars", {**query, "sort": "desc"}))
        assert newest == found[::-1]
        # What lies before the span is known: its close fills from the session's first minute on.
        later = {**query, "start": iso(close - timedelta(minutes=1))}
        assert [row[1] for row in bars(ada.get("/v2/stocks/AAPL/bars", later))] == [11, 10]
        empty = {**query, "end": "2026-11-27T12:00:00Z"}
        assert bars(ada.get("/v2/stocks/AAPL/bars", empty)) == []


def test_a_day_whose_session_has_not_begun_is_not_filled(ada: Api) -> None:
    thursday = datetime(2026, 11, 19, 5, tzinfo=UTC)
    bars_import("AAPL", "1d", [Bar(thursday, *[Decimal(10)] * 4, 5)])
    query = {"timeframe": "1Day", "start": "2026-11-19", "end": "2026-11-29", "fill": "previous"}
    for hour, days in ((14, ["19", "20"]), (15, ["19", "20", "23"])):
        with override_settings(MARKET_CALENDAR="XNYS"), freeze(datetime(2026, 11, 23, hour, tzinfo=UTC)):
            found = bars(ada.get("/v2/stocks/AAPL/bars", query))
        assert [row[0][8:10] for row in found] == days
