"""An order preview as the ticket and the review show it: figures, one hint, quick quantities."""

from dataclasses import dataclass

from apps.orders.services.preview import OrderPreview
from apps.web.forms import Ticket
from apps.web.numbers import price_text

_SHARES_OF_MAX = (10, 25, 50)


@dataclass(frozen=True, slots=True)
class PreviewText:
    """What stands under the ticket; ``preview`` is absent while a field is missing or wrong."""

    ticket: Ticket | None = None
    preview: OrderPreview | None = None
    hint: str = ""
    field: str = ""
    refusal: str = ""
    price_note: str = ""
    max_quantity: int | None = None
    quick: tuple[int, ...] = ()


def price_note(ticket: Ticket, preview: OrderPreview) -> str:
    """Return how far a limit is from the other side of the book: ``0.05 below ask``."""
    name, touch = ("ask", preview.best_ask) if ticket.side == "BUY" else ("bid", preview.best_bid)
    if ticket.price is None or touch is None:
        return ""
    gap = ticket.price - touch
    if not gap:
        return f"at the {name}"
    return f"{price_text(abs(gap))} {'above' if gap > 0 else 'below'} {name}"


def quick_quantities(max_quantity: int | None) -> tuple[int, ...]:
    """Return 10, 25 and 50 per cent of the largest quantity, rounded down."""
    return tuple((max_quantity or 0) * share // 100 for share in _SHARES_OF_MAX)


def preview_text(ticket: Ticket, preview: OrderPreview) -> PreviewText:
    """Return a complete preview; a refusal stands where the hint would."""
    return PreviewText(
        ticket=ticket,
        preview=preview,
        hint=preview.hint or "",
        refusal=preview.refusal.message if preview.refusal else "",
        price_note=price_note(ticket, preview),
        max_quantity=preview.max_quantity,
        quick=quick_quantities(preview.max_quantity),
    )
