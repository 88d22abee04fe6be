"""Stocks now: the newest bar, trade and quote, snapshots of all of them, and what the codes mean."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.published.v2.stock_queries import (
    CURRENCY,
    FEED,
    SYMBOLS,
    StockView,
    common_read,
    symbol_read,
    symbols_read,
)
from apps.api.published.v2.stock_renders import bar_render, quote_render, trade_render
from apps.api.published.v2.stock_shapes import (
    LatestBarShape,
    LatestBarsShape,
    LatestQuoteShape,
    LatestQuotesShape,
    LatestTradeShape,
    LatestTradesShape,
    SnapshotsShape,
    SymbolSnapshotShape,
)
from apps.api.queries import choice_read
from apps.marketdata.keyed import Quote, quotes_newest, trades_newest
from apps.marketdata.paging import bars_newest
from apps.marketdata.quotes import books_latest
from apps.marketdata.timeframes import CHART_TIMEFRAMES
from apps.marketdata.venue import QUOTE_CONDITIONS, TRADE_CONDITIONS, VENUE, VENUE_NAME
from apps.primitives.errors import NotFound

MANY = [SYMBOLS, FEED, CURRENCY]
ONE = [FEED, CURRENCY]
TAPES = ("a", "b", "c", "n", "o")

Listed = Mapping[str, str]
"""Symbols with their tapes."""

Found = dict[str, dict[str, Any]]
"""What was found of each symbol, as published."""


class _Many(StockView):
    """Answers for many symbols under one key."""

    key = ""

    def found(self, listed: Listed) -> Found:
        raise NotImplementedError

    def answer(self, request: Request) -> Response:
        common_read(request)
        return Response({self.key: self.found(symbols_read(request.query_params))})


class _One(_Many):
    """Answers for one symbol, or that there is nothing."""

    def answer_one(self, request: Request, symbol: str) -> Response:
        common_read(request)
        ((symbol, tape),) = symbol_read(symbol).items()
        found = self.found({symbol: tape})
        if symbol not in found:
            raise NotFound("nothing_latest", f"no {self.key} found for {symbol}")
        return Response({"symbol": symbol, self.key: found[symbol]})


def bars_latest(listed: Listed) -> Found:
    """Return the newest minute of each symbol that has one."""
    return {symbol: bar_render(bars[0]) for symbol, bars in bars_newest(list(listed), _MINUTE).items()}


def trades_latest(listed: Listed) -> Found:
    """Return the newest trade of each symbol that has one."""
    found = trades_newest(list(listed))
    return {symbol: trade_render(tick, listed[symbol]) for symbol, tick in found.items()}


def quotes_latest(listed: Listed) -> Found:
    """Return the top of each book as the tape last told it, else as it was last recorded."""
    told = {
        symbol: Quote(
            time=book.told_at,
            symbol=symbol,
            bid_price=book.best_bid,
            bid_size=book.bids[0][1] if book.bids else 0,
            ask_price=book.best_ask,
            ask_size=book.asks[0][1] if book.asks else 0,
        )
        for symbol, book in (books_latest(list(listed)) or {}).items()
        if book.told_at is not None
    }
    recorded = quotes_newest([symbol for symbol in listed if symbol not in told])
    return {
        symbol: quote_render(quote, listed[symbol]) for symbol, quote in sorted({**recorded, **told}.items())
    }


_MINUTE, _DAY = CHART_TIMEFRAMES["1m"], CHART_TIMEFRAMES["1D"]


class LatestBars(_Many):
    """``/v2/stocks/bars/latest``"""

    key, found = "bars", staticmethod(bars_latest)

    @extend_schema(operation_id="stocks_bars_latest", parameters=MANY, responses=LatestBarsShape)
    def get(self, request: Request) -> Response:
        """Read the newest minute of each symbol; a symbol that never traded is absent."""
        return self.answer(request)


class SymbolLatestBar(_One):
    """``/v2/stocks/{symbol}/bars/latest``"""

    key, found = "bar", staticmethod(bars_latest)

    @extend_schema(operation_id="stock_bar_latest", parameters=ONE, responses=LatestBarShape)
    def get(self, request: Request, symbol: str) -> Response:
        """Read a symbol's newest minute."""
        return self.answer_one(request, symbol)


class LatestTrades(_Many):
    """``/v2/stocks/trades/latest``"""

    key, found = "trades", staticmethod(trades_latest)

    @extend_schema(operation_id="stocks_trades_latest", parameters=MANY, responses=LatestTradesShape)
    def get(self, request: Request) -> Response:
        """Read the newest trade of each symbol; a symbol that never traded is absent."""
        return self.answer(request)


class SymbolLatestTrade(_One):
    """``/v2/stocks/{symbol}/trades/latest``"""

    key, found = "trade", staticmethod(trades_latest)

    @extend_schema(operation_id="stock_trade_latest", parameters=ONE, responses=LatestTradeShape)
    def get(self, request: Request, symbol: str) -> Response:
        """Read a symbol's newest trade."""
        return self.answer_one(request, symbol)


class LatestQuotes(_Many):
    """``/v2/stocks/quotes/latest``"""

    key, found = "quotes", staticmethod(quotes_latest)

    @extend_schema(operation_id="stocks_quotes_latest", parameters=MANY, responses=LatestQuotesShape)
    def get(self, request: Request) -> Response:
        """Read the top of each book as it was last told."""
        return self.answer(request)


class SymbolLatestQuote(_One):
    """``/v2/stocks/{symbol}/quotes/latest``"""

    key, found = "quote", staticmethod(quotes_latest)

    @extend_schema(operation_id="stock_quote_latest", parameters=ONE, responses=LatestQuoteShape)
    def get(self, request: Request, symbol: str) -> Response:
        """Read the top of a symbol's book as it was last told."""
        return self.answer_one(request, symbol)


class Snapshots(StockView):
    """``/v2/stocks/snapshots``"""

    @extend_schema(operation_id="stocks_snapshots", parameters=MANY, responses=SnapshotsShape)
    def get(self, request: Request) -> Response:
        """Read the newest of everything; the answer itself is the map of symbols."""
        common_read(request)
        return Response(_snapshots(symbols_read(request.query_params)))


class SymbolSnapshot(StockView):
    """``/v2/stocks/{symbol}/snapshot``"""

    @extend_schema(operation_id="stock_snapshot", parameters=ONE, responses=SymbolSnapshotShape)
    def get(self, request: Request, symbol: str) -> Response:
        """Read the newest of everything of one symbol."""
        common_read(request)
        listed = symbol_read(symbol)
        ((symbol, snapshot),) = _snapshots(listed).items()
        return Response({**snapshot, "symbol": symbol})


def _snapshots(listed: Listed) -> Found:
    days = bars_newest(list(listed), _DAY, each=2)
    parts: dict[str, Found] = {
        "latestTrade": trades_latest(listed),
        "latestQuote": quotes_latest(listed),
        "minuteBar": bars_latest(listed),
        "dailyBar": {symbol: bar_render(bars[0]) for symbol, bars in days.items()},
        "prevDailyBar": {symbol: bar_render(bars[1]) for symbol, bars in days.items() if len(bars) > 1},
    }
    return {
        symbol: {name: found[symbol] for name, found in parts.items() if symbol in found} for symbol in listed
    }


class Exchanges(StockView):
    """``/v2/stocks/meta/exchanges``"""

    @extend_schema(
        operation_id="stocks_meta_exchanges", responses={(200, "application/json"): OpenApiTypes.OBJECT}
    )
    def get(self, request: Request) -> Response:
        """Say what the letters of exchanges mean."""
        return Response({VENUE: VENUE_NAME})


class Conditions(StockView):
    """``/v2/stocks/meta/conditions/{ticktype}``"""

    @extend_schema(
        operation_id="stocks_meta_conditions",
        parameters=[OpenApiParameter("tape", enum=[tape.upper() for tape in TAPES])],
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, ticktype: str) -> Response:
        """Say what the conditions of trades or of quotes mean; they are the same on every tape."""
        choice_read(request.query_params, "tape", TAPES, "c")
        kinds = {"trade": TRADE_CONDITIONS, "quote": QUOTE_CONDITIONS}
        if ticktype not in kinds:
            raise NotFound("unknown_ticktype", "conditions are those of a trade or of a quote")
        return Response(kinds[ticktype])
