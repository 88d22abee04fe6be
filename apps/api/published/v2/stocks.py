"""Stocks' history: pages of bars, trades, quotes and auctions, of many symbols or of one."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.page_tokens import token_write
from apps.api.published.v2.stock_queries import (
    ADJUSTMENTS,
    SYMBOLS,
    WALK,
    StockView,
    grouped,
    question_of,
    symbol_read,
    symbols_read,
    walk_read,
)
from apps.api.published.v2.stock_renders import bar_render, quote_render, trade_render
from apps.api.published.v2.stock_shapes import (
    AuctionsShape,
    BarsShape,
    QuotesShape,
    SymbolAuctionsShape,
    SymbolBarsShape,
    SymbolQuotesShape,
    SymbolTradesShape,
    TradesShape,
)
from apps.api.queries import choice_read
from apps.marketdata.paging import Page, Walk, bars_page, quotes_page, trades_page
from apps.marketdata.timeframes import GRAMMAR, timeframe_read
from apps.primitives.errors import Invalid

BARS = [
    OpenApiParameter("timeframe", required=True, description=f"{GRAMMAR}; T, H, D, W and M for short."),
    OpenApiParameter(
        "adjustment", enum=ADJUSTMENTS, default="raw", description="All the same: no share has split yet."
    ),
    OpenApiParameter(
        "fill",
        enum=["previous"],
        description="Ours: a bucket of a session without a trade is a bar of volume 0 at the close before.",
    ),
    *WALK,
]

Answer = dict[str, Any]
"""A page: rows by symbol, and the token of the next page."""


class Bars(StockView):
    """``/v2/stocks/bars``"""

    @extend_schema(operation_id="stocks_bars", parameters=[SYMBOLS, *BARS], responses=BarsShape)
    def get(self, request: Request) -> Response:
        """List bars by symbol, then by time."""
        return Response(_bars(request, symbols_read(request.query_params)))


class SymbolBars(StockView):
    """``/v2/stocks/{symbol}/bars``"""

    @extend_schema(operation_id="stock_bars", parameters=BARS, responses=SymbolBarsShape)
    def get(self, request: Request, symbol: str) -> Response:
        """List a symbol's bars."""
        return Response(_of_one(_bars(request, listed := symbol_read(symbol)), listed, "bars"))


class Trades(StockView):
    """``/v2/stocks/trades``"""

    @extend_schema(operation_id="stocks_trades", parameters=[SYMBOLS, *WALK], responses=TradesShape)
    def get(self, request: Request) -> Response:
        """List trades by symbol, then by time."""
        return Response(_trades(request, symbols_read(request.query_params)))


class SymbolTrades(StockView):
    """``/v2/stocks/{symbol}/trades``"""

    @extend_schema(operation_id="stock_trades", parameters=WALK, responses=SymbolTradesShape)
    def get(self, request: Request, symbol: str) -> Response:
        """List a symbol's trades."""
        return Response(_of_one(_trades(request, listed := symbol_read(symbol)), listed, "trades"))


class Quotes(StockView):
    """``/v2/stocks/quotes``"""

    @extend_schema(operation_id="stocks_quotes", parameters=[SYMBOLS, *WALK], responses=QuotesShape)
    def get(self, request: Request) -> Response:
        """List recorded quotes by symbol, then by time: the top of the book, at most four times a second."""
        return Response(_quotes(request, symbols_read(request.query_params)))


class SymbolQuotes(StockView):
    """``/v2/stocks/{symbol}/quotes``"""

    @extend_schema(operation_id="stock_quotes", parameters=WALK, responses=SymbolQuotesShape)
    def get(self, request: Request, symbol: str) -> Response:
        """List a symbol's recorded quotes."""
        return Response(_of_one(_quotes(request, listed := symbol_read(symbol)), listed, "quotes"))


class Auctions(StockView):
    """``/v2/stocks/auctions``"""

    @extend_schema(operation_id="stocks_auctions", parameters=[SYMBOLS, *WALK], responses=AuctionsShape)
    def get(self, request: Request) -> Response:
        """List auctions: none, since the tape does not tell an auction's trades from others."""
        walk_read(request, list(symbols_read(request.query_params)), "auctions")
        return Response({"auctions": {}, "next_page_token": None})


class SymbolAuctions(StockView):
    """``/v2/stocks/{symbol}/auctions``"""

    @extend_schema(operation_id="stock_auctions", parameters=WALK, responses=SymbolAuctionsShape)
    def get(self, request: Request, symbol: str) -> Response:
        """List a symbol's auctions: none, since the tape does not tell an auction's trades from others."""
        listed = symbol_read(symbol)
        walk_read(request, list(listed), "auctions")
        return Response(_of_one({"auctions": {}, "next_page_token": None}, listed, "auctions"))


def _bars(request: Request, listed: Mapping[str, str]) -> Answer:
    query = request.query_params
    if not query.get("timeframe"):
        raise Invalid("bad_timeframe", "timeframe is required", field="timeframe")
    timeframe = timeframe_read(query["timeframe"])
    choice_read(query, "adjustment", ADJUSTMENTS, "raw")
    fill = choice_read(query, "fill", ("none", "previous"), "none")
    question = f"bars {timeframe.count}{timeframe.unit} {fill}"
    walk = walk_read(request, list(listed), question)
    page = bars_page(walk, timeframe, filled=fill == "previous")
    return _answer("bars", page, walk, question, lambda symbol, bar: bar_render(bar))


def _trades(request: Request, listed: Mapping[str, str]) -> Answer:
    walk = walk_read(request, list(listed), "trades")
    page = trades_page(walk)
    return _answer("trades", page, walk, "trades", lambda symbol, tick: trade_render(tick, listed[symbol]))


def _quotes(request: Request, listed: Mapping[str, str]) -> Answer:
    walk = walk_read(request, list(listed), "quotes")
    page = quotes_page(walk)
    return _answer("quotes", page, walk, "quotes", lambda symbol, quote: quote_render(quote, listed[symbol]))


def _answer(name: str, page: Page[Any], walk: Walk, question: str, render: Any) -> Answer:
    token = token_write(question_of(question, walk.symbols), walk, page.position)
    return {name: grouped(page.rows, render), "next_page_token": token}


def _of_one(answer: Answer, listed: Mapping[str, str], name: str) -> Answer:
    symbol = next(iter(listed))
    return {**answer, name: answer[name].get(symbol, []), "symbol": symbol}
