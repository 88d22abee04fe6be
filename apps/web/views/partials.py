"""The fragments that refresh by themselves: account strip, blotter tables, search results."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.selectors import AccountView
from apps.instruments.selectors import instrument_get, instruments_active
from apps.orders.selectors import account_summary
from apps.positions.selectors import position_list
from apps.primitives.errors import NotFound
from apps.web import reads
from apps.web.doors import trader_required
from apps.web.presenters.account import account_strip
from apps.web.presenters.market import watch_row

_SEARCH_RESULTS_MAX = 12
_QUERY_LENGTH_MAX = 40


@require_safe
@trader_required
def account_figures(request: HttpRequest, account: AccountView) -> HttpResponse:
    """The account strip, with the counts of the blotter's tabs beside it."""
    strip = account_strip(account, account_summary(account.account_id))
    counts = reads.blotter_counts(account, position_list(account.account_id))
    return render(request, "web/partials/account_figures.html", {"strip": strip, "counts": counts})


@require_safe
@trader_required
def positions(request: HttpRequest, account: AccountView) -> HttpResponse:
    """The table of positions."""
    return render(request, "web/partials/positions.html", reads.positions_context(account))


@require_safe
@trader_required
def halt(request: HttpRequest, account: AccountView, symbol: str) -> HttpResponse:
    """The strip that says a symbol is halted, empty while it trades."""
    try:
        instrument = instrument_get(symbol)
    except NotFound as error:
        raise Http404 from error
    return render(request, "web/partials/halt.html", {"instrument": instrument})


@require_safe
@trader_required
def position(request: HttpRequest, account: AccountView, symbol: str) -> HttpResponse:
    """The position in one symbol, as the phone shows it above the book."""
    row = next((one for one in position_list(account.account_id) if one.symbol == symbol), None)
    return render(request, "web/partials/position.html", {"position": row, "symbol": symbol})


@require_safe
@trader_required
def orders_open(request: HttpRequest, account: AccountView) -> HttpResponse:
    """Working orders, of one symbol when ``symbol`` is given."""
    symbol = request.GET.get("symbol", "")[:_QUERY_LENGTH_MAX]
    rows = reads.order_rows(account, "open", [symbol] if symbol else None)
    return render(request, "web/partials/orders_open.html", {"rows": rows, "symbol": symbol})


@require_safe
@trader_required
def orders_closed(request: HttpRequest, account: AccountView) -> HttpResponse:
    """Ended orders, newest first, each with its reason."""
    return render(request, "web/partials/orders_closed.html", {"rows": reads.order_rows(account, "closed")})


@require_safe
@trader_required
def fills(request: HttpRequest, account: AccountView) -> HttpResponse:
    """Today's fills."""
    return render(request, "web/partials/fills.html", reads.fills_context(account))


@require_safe
@trader_required
def search(request: HttpRequest, account: AccountView) -> HttpResponse:
    """Instruments whose symbol or name contains the query; symbols that start with it come first."""
    query = request.GET.get("q", "").strip()[:_QUERY_LENGTH_MAX].upper()
    found = [one for one in instruments_active() if query in one.symbol or query in one.name.upper()]
    found.sort(key=lambda one: (not one.symbol.startswith(query), one.symbol))
    rows = [watch_row(one, [], False) for one in found[:_SEARCH_RESULTS_MAX]]
    return render(request, "web/partials/search_results.html", {"rows": rows, "query": query})
