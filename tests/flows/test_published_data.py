"""A published client reads the running market: bars, trades, quotes, the newest of all, and the screeners."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, DataFeed, MostActivesBy
from alpaca.data.historical import NewsClient, StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.screener import ScreenerClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    MarketMoversRequest,
    MostActivesRequest,
    NewsRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import MarketOrderRequest

from apps.primitives.clock import utc_now
from tests.support.platform import Platform

pytestmark = pytest.mark.platform

BOTH = ["AAPL", "IBM"]
WAIT_S = 60.0


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(demo=True) as running:
        yield running


@pytest.fixture(scope="module")
def key(platform: Platform) -> dict[str, str]:
    user = platform.demo["users"][0]
    return {"api_key": user["key_id"], "secret_key": user["secret"], "url_override": platform.url}


@pytest.fixture(scope="module")
def began_at() -> datetime:
    return utc_now()


@pytest.fixture(scope="module")
def client(key: dict[str, str], began_at: datetime) -> StockHistoricalDataClient:
    return StockHistoricalDataClient(**key)


@pytest.fixture(scope="module")
def traded(client: StockHistoricalDataClient, key: dict[str, str]) -> None:
    """Trade both shares, and wait until the tape has stored that."""
    trading = TradingClient(**key)
    for symbol in BOTH:
        for _ in range(3):
            trading.submit_order(
                MarketOrderRequest(symbol=symbol, qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
            )
    asked = StockTradesRequest(symbol_or_symbols=BOTH)
    until(lambda: all(len(client.get_stock_trades(asked).data.get(symbol, [])) >= 3 for symbol in BOTH))


def until(fact: Callable[[], Any], timeout_s: float = WAIT_S) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := fact()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
    return found


def test_days_of_years_and_every_page_of_minutes(client: StockHistoricalDataClient, traded: None) -> None:
    days = client.get_stock_bars(
        StockBarsRequest(
            symbol_or_symbols=BOTH,
            timeframe=TimeFrame.Day,
            start=utc_now() - timedelta(days=400),
            adjustment=Adjustment.ALL,
            feed=DataFeed.SIP,
        )
    )
    assert set(days.data) == set(BOTH)
    for bars in days.data.values():
        assert len(bars) > 200
        assert [bar.timestamp for bar in bars] == sorted({bar.timestamp for bar in bars})
        assert all(bar.low <= min(bar.open, bar.close) <= bar.high and bar.volume > 0 for bar in bars)
    month = StockBarsRequest(
        symbol_or_symbols="AAPL",
        timeframe=TimeFrame(1, TimeFrameUnit.Month),
        start=utc_now() - timedelta(days=400),
        limit=5,
    )
    assert len(client.get_stock_bars(month)["AAPL"]) == 5


def test_minutes_agree_with_the_trades_they_are_made_of(
    client: StockHistoricalDataClient, traded: None
) -> None:
    now = utc_now()
    trades = client.get_stock_trades(StockTradesRequest(symbol_or_symbols=BOTH, end=now)).data
    minutes = StockBarsRequest(symbol_or_symbols=BOTH, timeframe=TimeFrame.Minute, end=now)
    bars = client.get_stock_bars(minutes).data
    for symbol in BOTH:
        told, made = trades[symbol], [bar for bar in bars[symbol] if bar.trade_count]
        # The newest minute may have traded between the two questions.
        last = made[-1].timestamp
        first = min(trade.timestamp for trade in told)
        whole = [bar for bar in made if first < bar.timestamp < last]
        for bar in whole:
            of_it = [t for t in told if bar.timestamp <= t.timestamp < bar.timestamp + timedelta(minutes=1)]
            assert (bar.trade_count, bar.volume) == (len(of_it), sum(t.size for t in of_it))
            prices = [Decimal(str(t.price)) for t in of_it]
            assert (bar.high, bar.low) == (float(max(prices)), float(min(prices)))
        assert all(isinstance(trade.id, int) and trade.exchange == "V" for trade in told)
    newest = client.get_stock_bars(
        StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute, limit=3, sort="desc")
    )["AAPL"]
    assert [bar.timestamp for bar in newest] == sorted((bar.timestamp for bar in newest), reverse=True)


def test_quotes_are_recorded_while_the_market_moves(
    client: StockHistoricalDataClient, traded: None, began_at: datetime
) -> None:
    asked = StockQuotesRequest(symbol_or_symbols=BOTH, start=began_at - timedelta(hours=1))
    until(lambda: len(client.get_stock_quotes(asked).data.get("AAPL", [])) >= 5)
    quotes = client.get_stock_quotes(asked)["AAPL"]
    assert [quote.timestamp for quote in quotes] == sorted({quote.timestamp for quote in quotes})
    # Four a second at most; one may be late, which brings it nearer to the next.
    lasted = quotes[-1].timestamp - quotes[0].timestamp
    assert len(quotes) - 2 <= lasted / timedelta(milliseconds=250)
    sided = [quote for quote in quotes if quote.bid_price and quote.ask_price]
    assert sided and all(quote.bid_price < quote.ask_price for quote in sided)


def test_the_newest_of_everything(client: StockHistoricalDataClient, traded: None) -> None:
    trade = client.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols=BOTH))
    quote = client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=BOTH))
    bar = client.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols=BOTH))
    assert set(trade) == set(quote) == set(bar) == set(BOTH)
    snapshot = client.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=BOTH))["AAPL"]
    assert snapshot.latest_trade.timestamp >= trade["AAPL"].timestamp
    assert snapshot.latest_quote.timestamp >= quote["AAPL"].timestamp
    assert snapshot.minute_bar.timestamp >= bar["AAPL"].timestamp
    assert snapshot.daily_bar.timestamp > snapshot.previous_daily_bar.timestamp
    with pytest.raises(APIError) as refused:
        client.get_stock_bars(
            StockBarsRequest(
                symbol_or_symbols="AAPL",
                timeframe=TimeFrame.Day,
                start=utc_now(),
                end=utc_now() - timedelta(days=1),
            )
        )
    assert (refused.value.status_code, refused.value.code) == (400, 40010000)


def test_screeners_news_and_corporate_actions(key: dict[str, str], traded: None) -> None:
    screener = ScreenerClient(**key)
    active = screener.get_most_actives(MostActivesRequest(top=5, by=MostActivesBy.TRADES)).most_actives
    counts = [row.trade_count for row in active]
    assert counts and counts == sorted(counts, reverse=True)
    movers = screener.get_market_movers(MarketMoversRequest(top=5))
    assert all(row.change > 0 for row in movers.gainers) and all(row.change < 0 for row in movers.losers)
    assert NewsClient(**key).get_news(NewsRequest(symbols="AAPL")).data["news"] == []
    actions = CorporateActionsClient(**key).get_corporate_actions(CorporateActionsRequest(symbols=["AAPL"]))
    assert actions.data == {}
