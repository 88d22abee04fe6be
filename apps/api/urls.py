"""Where each published operation answers: no trailing slashes, no redirects, literal colons."""

from django.urls import path

from apps.api.published.v2 import account, assets, market, orders, positions
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
    path("api/schema", SchemaView.as_view()),
    path("api/schema/", SchemaView.as_view()),
]
