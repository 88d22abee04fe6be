"""Where each published operation answers: no trailing slashes, no redirects, literal colons."""

from django.urls import path

from apps.api.published.v1 import corporate_actions
from apps.api.published.v1beta1 import news, screener
from apps.api.published.v2 import account, assets, market, orders, positions, stocks, stocks_latest
from apps.api.schema import SchemaView

urlpatterns = [
    path("v2/account", account.AccountItem.as_view()),
    path("v2/account/configurations", account.AccountConfiguration.as_view()),
    path("v2/orders", orders.OrderCollection.as_view()),
    path("v2/orders:by_client_order_id", orders.OrderByClientId.as_view()),
    path("v2/orders/<str:order_id>", orders.OrderItem.as_view()),
    path("v2/positions", positions.PositionCollection.as_view()),
    path("v2/positions/<str:symbol_or_asset_id>", positions.PositionItem.as_view()),
    path("v2/assets", assets.AssetCollection.as_view()),
    path("v2/assets/<str:symbol_or_asset_id>", assets.AssetItem.as_view()),
    path("v2/clock", market.Clock.as_view()),
    path("v2/calendar", market.Calendar.as_view()),
    path("v2/stocks/bars", stocks.Bars.as_view()),
    path("v2/stocks/trades", stocks.Trades.as_view()),
    path("v2/stocks/quotes", stocks.Quotes.as_view()),
    path("v2/stocks/auctions", stocks.Auctions.as_view()),
    path("v2/stocks/bars/latest", stocks_latest.LatestBars.as_view()),
    path("v2/stocks/trades/latest", stocks_latest.LatestTrades.as_view()),
    path("v2/stocks/quotes/latest", stocks_latest.LatestQuotes.as_view()),
    path("v2/stocks/snapshots", stocks_latest.Snapshots.as_view()),
    path("v2/stocks/meta/exchanges", stocks_latest.Exchanges.as_view()),
    path("v2/stocks/meta/conditions/<str:ticktype>", stocks_latest.Conditions.as_view()),
    path("v2/stocks/<str:symbol>/bars", stocks.SymbolBars.as_view()),
    path("v2/stocks/<str:symbol>/trades", stocks.SymbolTrades.as_view()),
    path("v2/stocks/<str:symbol>/quotes", stocks.SymbolQuotes.as_view()),
    path("v2/stocks/<str:symbol>/auctions", stocks.SymbolAuctions.as_view()),
    path("v2/stocks/<str:symbol>/bars/latest", stocks_latest.SymbolLatestBar.as_view()),
    path("v2/stocks/<str:symbol>/trades/latest", stocks_latest.SymbolLatestTrade.as_view()),
    path("v2/stocks/<str:symbol>/quotes/latest", stocks_latest.SymbolLatestQuote.as_view()),
    path("v2/stocks/<str:symbol>/snapshot", stocks_latest.SymbolSnapshot.as_view()),
    path("v1beta1/screener/stocks/most-actives", screener.MostActives.as_view()),
    path("v1beta1/screener/stocks/movers", screener.Movers.as_view()),
    path("v1beta1/news", news.News.as_view()),
    path("v1/corporate-actions", corporate_actions.CorporateActions.as_view()),
    path("api/schema", SchemaView.as_view()),
    path("api/schema/", SchemaView.as_view()),
]
