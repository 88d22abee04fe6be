"""An order preview as the ticket and the review show it: figures, one hint, quick quantities."""

from dataclasses import dataclass
from decimal import Decimal

from apps.orders.services.preview import OrderPreview
from apps.primitives.fix import OrderType
from apps.web.forms import Ticket, field_named
from apps.web.numbers import price_text
from apps.web.presenters.plans import plan_sentences
from apps.web.presenters.refusals import refusal_text

_SHARES_OF_MAX = (10, 25, 50)


@dataclass(frozen=True, slots=True)
class PreviewText:
    """What stands under the ticket; ``preview`` is absent while a field is missing or wrong.

    ``offered_quantity`` is the largest that would pass, when too much is asked.
    """

    ticket: Ticket | None = None
    preview: OrderPreview | None = None
    hint: str = ""
    field: str = ""
    refusal: str = ""
    price_note: str = ""
    stop_note: str = ""
    plan: tuple[str, ...] = ()
    max_quantity: int | None = None
    offered_quantity: int | None = None
    quick: tuple[int, ...] = ()


def _gap_text(price: Decimal | None, ticket: Ticket, preview: OrderPreview) -> str:
    """Return how far a price is from the side of the book that the order would trade with."""
    name, touch = ("ask", preview.best_ask) if ticket.side == "BUY" else ("bid", preview.best_bid)
    if price is None or touch is None:
        return ""
    gap = price - touch
    if not gap:
        return f"at the {name}"
    return f"{price_text(abs(gap))} {'above' if gap > 0 else 'below'} {name}"


def stop_note(ticket: Ticket, preview: OrderPreview) -> str:
    """Return how far a stop is from the market, or where a trail puts it now."""
    if ticket.order_type is OrderType.TRAIL:
        return "" if preview.stop_price is None else f"stop now {price_text(preview.stop_price)}"
    return _gap_text(ticket.stop_price, ticket, preview)


def quick_quantities(max_quantity: int | None) -> tuple[int, ...]:
    """Return 10, 25 and 50 per cent of the largest quantity, rounded down."""
    return tuple((max_quantity or 0) * share // 100 for share in _SHARES_OF_MAX)


def preview_text(ticket: Ticket, preview: OrderPreview) -> PreviewText:
    """Return a complete preview; a refusal stands where the hint would."""
    refusal = preview.refusal
    return PreviewText(
        ticket=ticket,
        preview=preview,
        hint=preview.hint or "",
        field=field_named(refusal.field) if refusal else "",
        refusal=refusal_text(refusal.reason, refusal.message, refusal.details) if refusal else "",
        price_note=_gap_text(ticket.price, ticket, preview),
        stop_note=stop_note(ticket, preview),
        plan=tuple(plan_sentences(ticket, preview.worst_price, preview.stop_price)),
        max_quantity=preview.max_quantity,
        offered_quantity=preview.max_quantity if ticket.quantity > preview.max_quantity else None,
        quick=quick_quantities(preview.max_quantity),
    )
