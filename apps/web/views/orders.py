"""What a trader does: preview, review, send, cancel and replace an order."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.selectors import AccountView
from apps.events.facts import Origin
from apps.events.origins import request_origin
from apps.instruments.selectors import InstrumentView, instrument_get
from apps.orders.intents import OrderIntent, ReplaceIntent
from apps.orders.selectors import OrderView, account_summary, order_get, order_get_by_client_id
from apps.orders.services.changes import order_cancel, order_replace
from apps.orders.services.entry import order_submit
from apps.orders.services.preview import order_preview
from apps.primitives.errors import BrokerageError, Conflict, Invalid, NotFound
from apps.primitives.ids import ID_MAX, Kind, public_id_decode
from apps.web.doors import error_json, error_text, trader_required
from apps.web.forms import (
    TIMES_IN_FORCE,
    changes_read,
    client_order_id_mint,
    field_named,
    intent_of,
    ticket_fields,
    ticket_read,
)
from apps.web.presenters.account import account_strip
from apps.web.presenters.orders import edit_fields, order_notice, order_row, side_word, terms_text
from apps.web.presenters.preview import PreviewText, preview_text
from apps.web.views import pages

_SYMBOL_LENGTH_MAX = 10


def _instrument(request: HttpRequest) -> InstrumentView:
    symbol = request.POST.get("symbol", "")
    if not symbol or len(symbol) > _SYMBOL_LENGTH_MAX:
        raise Invalid("unknown_symbol", "Choose a symbol.", field="symbol")
    return instrument_get(symbol)


def _field_of(error: BrokerageError) -> str:
    return field_named(str(error.details.get("field", "")))


def _preview(request: HttpRequest, account: AccountView) -> PreviewText:
    ticket = ticket_read(request.POST, _instrument(request).symbol)
    return preview_text(ticket, order_preview(intent_of(ticket, account.account_id)))


@require_POST
@trader_required
def preview(request: HttpRequest, account: AccountView) -> HttpResponse:
    """The figures under the ticket; a field that is missing or wrong is named instead of previewed."""
    try:
        shown = _preview(request, account)
    except BrokerageError as error:
        missing = error.reason.startswith("missing_")
        shown = PreviewText(
            hint=error_text(error) if missing else "",
            field="" if missing else _field_of(error),
            refusal="" if missing else error_text(error),
        )
    return render(request, "web/partials/preview.html", {"shown": shown})


@require_POST
@trader_required
def review(request: HttpRequest, account: AccountView) -> HttpResponse:
    """The confirmation of one ticket; mints the client order id that the order will carry."""
    try:
        shown = _preview(request, account)
    except BrokerageError as error:
        shown = PreviewText(refusal=error_text(error), field=_field_of(error))
    if shown.refusal or shown.ticket is None:
        return render(request, "web/partials/preview.html", {"shown": shown}, status=422)
    ticket = shown.ticket
    context = {
        "shown": shown,
        "ticket": ticket,
        "preview": shown.preview,
        "terms": terms_text(ticket),
        "time_in_force": TIMES_IN_FORCE[ticket.time_in_force],
        "side": side_word(ticket.side),
        "strip": account_strip(account, account_summary(account.account_id)),
        "fields": {**ticket_fields(ticket), "client_order_id": client_order_id_mint()},
    }
    return render(request, "web/partials/review.html", context)


def _order_json(order: OrderView) -> dict[str, Any]:
    return {"order": order_notice(order)}


def _sent_once(intent: OrderIntent, origin: Origin) -> OrderView:
    """Submit; a client order id that is already used means that this review was sent before."""
    try:
        return order_submit(intent, origin)
    except Conflict:
        return order_get_by_client_id(intent.account_id, intent.client_order_id)


@require_POST
@trader_required
def send(request: HttpRequest, account: AccountView) -> HttpResponse:
    """Send the reviewed order; the same review sent twice is still one order."""
    try:
        ticket = ticket_read(request.POST, _instrument(request).symbol)
        order = _sent_once(intent_of(ticket, account.account_id), request_origin(request))
    except BrokerageError as error:
        return error_json(error)
    return JsonResponse(_order_json(order), status=201)


@require_http_methods(["GET", "HEAD", "POST"])
def collection(request: HttpRequest) -> HttpResponseBase:
    """``/orders``: the page of orders, or one order sent to it."""
    return send(request) if request.method == "POST" else pages.orders(request)


@require_safe
@trader_required
def by_client_id(request: HttpRequest, account: AccountView, client_order_id: str) -> HttpResponse:
    """Whether an order whose answer was lost has been received."""
    try:
        order = order_get_by_client_id(account.account_id, client_order_id)
    except NotFound as error:
        return error_json(error)
    return JsonResponse(_order_json(order))


def _own_order(account: AccountView, public: uuid.UUID) -> OrderView:
    return order_get(account.account_id, public_id_decode(Kind.ORDER, public))


@require_safe
@trader_required
def notice(
    request: HttpRequest, account: AccountView, public: uuid.UUID | None = None, order_id: int = 0
) -> HttpResponse:
    """An order's present state as one toast; events name orders by their id, pages by the public one."""
    try:
        if order_id > ID_MAX:
            raise NotFound("unknown_order", "There is no such order.")
        order = _own_order(account, public) if public else order_get(account.account_id, order_id)
    except BrokerageError as error:
        return error_json(error)
    return JsonResponse(_order_json(order))


@require_POST
@trader_required
def cancel(request: HttpRequest, account: AccountView, public: uuid.UUID) -> HttpResponse:
    """Ask for one order to be cancelled; the end of it arrives as an event."""
    try:
        order = _own_order(account, public)
        order_cancel(account.account_id, order.order_id, request_origin(request))
    except BrokerageError as error:
        return error_json(error)
    return JsonResponse({"cancelling": str(public)}, status=202)


@require_safe
@trader_required
def edit(request: HttpRequest, account: AccountView, public: uuid.UUID) -> HttpResponse:
    """The form that changes quantity or prices of a working order."""
    try:
        order = _own_order(account, public)
    except BrokerageError as error:
        return error_json(error)
    context = {
        "row": order_row(order),
        "order": order,
        "fields": edit_fields(order),
        "instrument": instrument_get(order.symbol),
    }
    return render(request, "web/partials/edit_order.html", context)


@require_POST
@trader_required
def replace(request: HttpRequest, account: AccountView, public: uuid.UUID) -> HttpResponse:
    """Ask for one order to be replaced by one with other terms."""
    try:
        order = _own_order(account, public)
        changes = changes_read(request.POST)
        asked = ReplaceIntent(
            account_id=account.account_id,
            order_id=order.order_id,
            quantity=changes.quantity,
            price=changes.price,
            stop_price=changes.stop_price,
            trail=changes.trail,
            time_in_force=None,
            client_order_id=client_order_id_mint(),
        )
        replaced = order_replace(asked, request_origin(request))
    except BrokerageError as error:
        return error_json(error)
    return JsonResponse(_order_json(replaced), status=202)
