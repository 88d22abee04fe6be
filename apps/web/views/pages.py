"""The pages a trader opens: trade, portfolio, orders, activity."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.selectors import AccountView
from apps.instruments.selectors import market_calendar
from apps.positions.selectors import position_list
from apps.web import reads
from apps.web.doors import trader_required
from apps.web.forms import ORDER_TYPES, times_offered
from apps.web.presenters.market import WatchRow
from apps.web.presenters.preview import PreviewText
from apps.web.views import charts

INTERVALS = tuple(charts.INTERVALS)
PHONE_FIELDS = (("bid", "Bid"), ("ask", "Ask"), ("low", "Low"), ("high", "High"), ("volume", "Volume"))


def _selected(rows: list[WatchRow], symbol: str | None) -> WatchRow | None:
    if symbol is None:
        return next((row for row in rows if row.held), rows[0] if rows else None)
    chosen = next((row for row in rows if row.instrument.symbol == symbol.upper()), None)
    if chosen is None:
        raise Http404(f"{symbol} is not listed here.")
    return chosen


@require_safe
@trader_required
def trade(request: HttpRequest, account: AccountView, symbol: str | None = None) -> HttpResponse:
    """The terminal itself, opened on one symbol."""
    positions = position_list(account.account_id)
    watch = reads.watch_rows(positions)
    selected = _selected(watch, symbol)
    context = reads.shell_context(account, "trade")
    if selected is None:
        return render(request, "web/no_market.html", context)
    instrument = selected.instrument
    context |= {
        "watch": watch,
        "selected": selected,
        "instrument": instrument,
        "rows": positions,
        "position": next((row for row in positions if row.symbol == instrument.symbol), None),
        "counts": reads.blotter_counts(account, positions),
        "order_types": ORDER_TYPES,
        "times_in_force": times_offered(has_auctions=market_calendar().has_auctions),
        "shown": PreviewText(),
        "intervals": INTERVALS,
        "phone_fields": PHONE_FIELDS,
    }
    return render(request, "web/trade.html", context)


@require_safe
@trader_required
def portfolio(request: HttpRequest, account: AccountView) -> HttpResponse:
    """Positions and their totals."""
    context = reads.shell_context(account, "portfolio") | reads.positions_context(account)
    return render(request, "web/portfolio.html", context)


@require_safe
@trader_required
def orders(request: HttpRequest, account: AccountView) -> HttpResponse:
    """Open orders and the history of ended ones."""
    context = reads.shell_context(account, "orders")
    context["open_rows"] = reads.order_rows(account, "open")
    context["closed_rows"] = reads.order_rows(account, "closed")
    return render(request, "web/orders.html", context)


@require_safe
@trader_required
def activity(request: HttpRequest, account: AccountView) -> HttpResponse:
    """The fills of the last thirty days."""
    context = reads.shell_context(account, "activity")
    context |= reads.fills_context(account, reads.ACTIVITY_DAYS)
    return render(request, "web/activity.html", context)
