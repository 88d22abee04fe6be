"""The newest of everything: bars, trades, quotes, snapshots, screeners, and what the codes mean."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import orjson
import pytest
from django_redis import get_redis_connection

from apps.instruments.models import InstrumentPrice
from apps.marketdata.backends import Backend
from apps.marketdata.candles import Bar, Tick
from apps.marketdata.keyed import Quote
from apps.marketdata.quotes_recorder import quotes_write
from apps.marketdata.services import bars_import, ticks_append
from apps.marketdata.tape import tape_key
from apps.primitives.clock import iso, utc_now
from tests.api.conftest import Api

NEW_YORK = ZoneInfo("America/New_York")
LONG_AGO = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _both(backend: Backend) -> None:
    """Every answer is the same whichever back end keeps the market data."""


def today(seconds: int = 0) -> datetime:
    """A moment of the present day in New York."""
    midnight = utc_now().astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.astimezone(UTC) + timedelta(seconds=seconds)


def tape_tell(symbol: str, bids: list[Any], asks: list[Any], at: datetime) -> None:
    """Put a frame where the tape keeps its newest one."""
    frame = {"S": symbol, "seq": 1, "t": iso(at), "trades": [], "book": {"bids": bids, "asks": asks}}
    get_redis_connection("default").set(tape_key(symbol), orjson.dumps(frame))


def test_the_newest_trade_and_minute_are_found_however_old(ada: Api) -> None:
    ticks_append([Tick(1, LONG_AGO, "MSFT", Decimal("49.5"), 2), Tick(2, today(), "AAPL", Decimal("101"), 3)])
    both = {"symbols": "MSFT,AAPL,NOPE"}
    trades = ada.get("/v2/stocks/trades/latest", both).json()["trades"]
    assert {symbol: (row["p"], row["i"]) for symbol, row in trades.items()} == {
        "AAPL": (101, 2),
        "MSFT": (49.5, 1),
    }
    bars = ada.get("/v2/stocks/bars/latest", both).json()["bars"]
    assert {symbol: (row["c"], row["v"], row["n"], row["vw"]) for symbol, row in bars.items()} == {
        "AAPL": (101, 3, 1, 101),
        "MSFT": (49.5, 2, 1, 49.5),
    }
    assert ada.get("/v2/stocks/msft/trades/latest").json() == {"symbol": "MSFT", "trade": trades["MSFT"]}
    assert ada.get("/v2/stocks/MSFT/bars/latest").json() == {"symbol": "MSFT", "bar": bars["MSFT"]}


def test_the_tape_tells_the_newest_quote_and_what_was_recorded_stands_in_for_it(ada: Api) -> None:
    quotes_write(
        [
            Quote(LONG_AGO, "AAPL", Decimal("1"), 1, Decimal("2"), 2),
            Quote(LONG_AGO, "MSFT", Decimal("49"), 5, Decimal("51"), 6),
        ]
    )
    tape_tell("AAPL", [["99.5", 300], ["99", 7]], [], today())
    quotes = ada.get("/v2/stocks/quotes/latest", {"symbols": "AAPL,MSFT"}).json()["quotes"]
    assert {symbol: [row[k] for k in ("bp", "bs", "ap", "as")] for symbol, row in quotes.items()} == {
        "AAPL": [99.5, 300, 0, 0],
        "MSFT": [49, 5, 51, 6],
    }
    assert quotes["AAPL"]["t"] == iso(today())
    assert ada.get("/v2/stocks/AAPL/quotes/latest").json() == {"symbol": "AAPL", "quote": quotes["AAPL"]}
    with mock.patch("apps.marketdata.quotes.get_redis_connection", side_effect=_redis_is_away):
        recorded = ada.get("/v2/stocks/AAPL/quotes/latest").json()["quote"]
    assert (recorded["bp"], recorded["ap"]) == (1, 2)


def _redis_is_away(*_: Any) -> None:
    from redis.exceptions import ConnectionError

    raise ConnectionError("refused")


@pytest.mark.parametrize("kind", ["bars", "trades", "quotes"])
def test_nothing_latest_of_one_is_404_and_of_many_absent(ada: Api, kind: str) -> None:
    answer = ada.get(f"/v2/stocks/AAPL/{kind}/latest")
    assert (answer.status_code, answer.json()["code"]) == (404, 40410000)
    assert ada.get(f"/v2/stocks/{kind}/latest", {"symbols": "AAPL"}).json() == {kind: {}}


def test_a_snapshot_has_what_there_is_and_the_map_is_the_answer(ada: Api) -> None:
    price = Decimal(90)
    bars_import(
        "AAPL", "1d", [Bar(today(-86_400 * n), price + n, price + n, price + n, price + n, 5) for n in (1, 2)]
    )
    ticks_append([Tick(n, today(n), "AAPL", Decimal(100 + n), 1) for n in (1, 2)])
    tape_tell("AAPL", [["101", 1]], [["103", 2]], today(3))
    both = ada.get("/v2/stocks/snapshots", {"symbols": "AAPL,MSFT,NOPE"}).json()
    assert set(both) == {"AAPL", "MSFT"} and both["MSFT"] == {}
    aapl = both["AAPL"]
    assert (aapl["latestTrade"]["p"], aapl["latestQuote"]["bp"], aapl["minuteBar"]["v"]) == (102, 101, 2)
    assert (aapl["dailyBar"]["c"], aapl["dailyBar"]["n"]) == (102, 2)
    assert (aapl["prevDailyBar"]["c"], aapl["prevDailyBar"]["n"]) == (91, None)
    assert ada.get("/v2/stocks/AAPL/snapshot").json() == {**aapl, "symbol": "AAPL"}


def test_codes_are_explained(ada: Api) -> None:
    assert ada.get("/v2/stocks/meta/exchanges").json() == {"V": "Openbell"}
    assert ada.get("/v2/stocks/meta/conditions/trade", {"tape": "A"}).json() == {"@": "Regular Sale"}
    assert "R" in ada.get("/v2/stocks/meta/conditions/quote", {"tape": "C"}).json()
    assert ada.get("/v2/stocks/meta/conditions/quote", {"tape": "X"}).status_code == 400
    assert ada.get("/v2/stocks/meta/conditions/book").status_code == 404


def test_the_most_active_are_those_of_the_newest_day(ada: Api) -> None:
    path = "/v1beta1/screener/stocks/most-actives"
    assert ada.get(path).json()["most_actives"] == []
    ticks_append([Tick(1, today(-86_400), "AAPL", Decimal(9), 1000)])
    assert [row["symbol"] for row in ada.get(path).json()["most_actives"]] == ["AAPL"]
    ticks_append([Tick(n, today(n), "MSFT", Decimal(9), 1) for n in (2, 3)])
    ticks_append([Tick(4, today(4), "AAPL", Decimal(9), 7)])
    answer = ada.get(path).json()
    assert answer["most_actives"] == [
        {"symbol": "AAPL", "volume": 7, "trade_count": 1},
        {"symbol": "MSFT", "volume": 2, "trade_count": 2},
    ]
    assert datetime.fromisoformat(answer["last_updated"]) <= utc_now()
    by_trades = ada.get(path, {"by": "trades", "top": 1}).json()["most_actives"]
    assert [row["symbol"] for row in by_trades] == ["MSFT"]
    for query in ({"by": "price"}, {"top": 0}, {"top": 101}):
        assert ada.get(path, query).status_code == 400


def test_movers_rose_or_fell_since_the_session_before(ada: Api) -> None:
    path = "/v1beta1/screener/stocks/movers"
    InstrumentPrice.objects.filter(symbol="AAPL").update(last_price="103", prev_close="100")
    InstrumentPrice.objects.filter(symbol="MSFT").update(last_price="45.005", prev_close="50")
    answer = ada.get(path).json()
    gained = {"symbol": "AAPL", "percent_change": 3, "change": 3, "price": 103}
    lost = {"symbol": "MSFT", "percent_change": -9.99, "change": -4.995, "price": 45.005}
    assert (answer["gainers"], answer["losers"], answer["market_type"]) == ([gained], [lost], "stocks")
    InstrumentPrice.objects.filter(symbol="AAPL").update(last_price="100")
    assert ada.get(path).json()["gainers"] == []
    assert ada.get(path, {"top": 51}).status_code == 400
