"""The terminal's addresses."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from apps.web.views import charts, orders, pages, partials

login = LoginView.as_view(template_name="web/login.html", redirect_authenticated_user=True)

urlpatterns = [
    path("", pages.trade, name="home"),
    path("trade/<str:symbol>", pages.trade, name="trade"),
    path("portfolio", pages.portfolio, name="portfolio"),
    path("orders", orders.collection, name="orders"),
    path("activity", pages.activity, name="activity"),
    path("login", login, name="login"),
    path("logout", LogoutView.as_view(next_page="login"), name="logout"),
    path("partials/account", partials.account_figures, name="partial-account"),
    path("partials/positions", partials.positions, name="partial-positions"),
    path("partials/position/<str:symbol>", partials.position, name="partial-position"),
    path("partials/halt/<str:symbol>", partials.halt, name="partial-halt"),
    path("partials/orders", partials.orders_open, name="partial-orders"),
    path("partials/history", partials.orders_closed, name="partial-history"),
    path("partials/fills", partials.fills, name="partial-fills"),
    path("search", partials.search, name="search"),
    path("orders/preview", orders.preview, name="order-preview"),
    path("orders/review", orders.review, name="order-review"),
    path("orders/by-client-id/<str:client_order_id>", orders.by_client_id, name="order-by-client-id"),
    path("orders/<uuid:public>", orders.notice, name="order-notice"),
    path("orders/<int:order_id>", orders.notice, name="order-notice-by-id"),
    path("orders/<uuid:public>/cancel", orders.cancel, name="order-cancel"),
    path("orders/<uuid:public>/edit", orders.edit, name="order-edit"),
    path("orders/<uuid:public>/replace", orders.replace, name="order-replace"),
    path("chart/<str:symbol>", charts.bars, name="chart"),
    path("chart/<str:symbol>/marks", charts.marks, name="chart-marks"),
]
