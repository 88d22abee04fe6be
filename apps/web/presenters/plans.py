"""What an order will do, in a trader's sentences: when it acts, at which prices, and what follows a fill."""

from decimal import Decimal

from apps.primitives.fix import OrderType, Side, TimeInForce
from apps.web.forms import Ticket
from apps.web.numbers import percent_text, price_text, quantity_text

_TIMES = {
    TimeInForce.IOC: "What cannot trade at once is cancelled.",
    TimeInForce.FOK: "All of it trades at once, or none of it.",
}
_AUCTIONS = {TimeInForce.OPG: "opening", TimeInForce.CLS: "closing"}


def plan_sentences(ticket: Ticket, worst: Decimal | None, stop: Decimal | None) -> list[str]:
    """Return what the order does, then what its exits do.

    ``worst`` is the worst price that an order without a limit may trade at, ``stop`` the price at which it
    would be triggered now.
    """
    sentences = [_entry(ticket, worst, stop)]
    if ticket.order_type is OrderType.TRAIL:
        sentences.insert(0, _trail(ticket, stop))
    if ticket.time_in_force in _TIMES:
        sentences.append(_TIMES[ticket.time_in_force])
    return [*sentences, *_exits(ticket)]


def _no_worse(worst: Decimal | None) -> str:
    return f", no worse than {price_text(worst)}" if worst is not None else ""


def _terms(ticket: Ticket, worst: Decimal | None) -> str:
    if ticket.price is not None:
        return f"at {price_text(ticket.price)} or better"
    return f"at the market{_no_worse(worst)}"


def _entry(ticket: Ticket, worst: Decimal | None, stop: Decimal | None) -> str:
    act = f"{ticket.side.value.lower()} {quantity_text(ticket.quantity)}"
    if ticket.order_type in (OrderType.MARKET, OrderType.LIMIT):
        return _at_once(ticket, act, worst)
    moves = "rises" if ticket.side is Side.BUY else "falls"
    trigger = price_text(stop) if ticket.order_type is not OrderType.TRAIL else "the stop"
    return f"If the price {moves} to {trigger}, {act} {_terms(ticket, worst)}."


def _at_once(ticket: Ticket, act: str, worst: Decimal | None) -> str:
    if auction := _AUCTIONS.get(ticket.time_in_force):
        terms = _terms(ticket, worst) if ticket.price is not None else f"at its price{_no_worse(worst)}"
        return f"In the next {auction} auction, {act} {terms}."
    if ticket.price is not None:
        return f"{act.capitalize()} {_terms(ticket, worst)}."
    return f"{act.capitalize()} now at the best prices there are{_no_worse(worst)}."


def _trail(ticket: Ticket, stop: Decimal | None) -> str:
    behind = (
        percent_text(ticket.trail_percent)
        if ticket.trail_percent is not None
        else price_text(ticket.trail_amount)
    )
    moves, side = ("down", "above its lowest") if ticket.side is Side.BUY else ("up", "below its highest")
    now = f": {price_text(stop)} now" if stop is not None else ""
    return f"The stop follows the price {moves}, {behind} {side}{now}. It never moves back."


def _exits(ticket: Ticket) -> list[str]:
    exits = ticket.exits
    if exits.take_profit is None and exits.stop_loss is None:
        return []
    shares = quantity_text(ticket.quantity)
    if ticket.side is Side.SELL:
        return [
            f"If the price falls to {_loss_text(ticket)} first, that order is cancelled and {_loss(ticket)}."
        ]
    after = f"Once all {shares} have filled, "
    if exits.stop_loss is None:
        return [f"{after}they are offered at {price_text(exits.take_profit)} (take profit)."]
    if exits.take_profit is None:
        return [f"{after}a stop-loss waits: if the price falls to {_loss_text(ticket)}, {_loss(ticket)}."]
    return [
        f"{after}they are offered at {price_text(exits.take_profit)} (take profit). "
        f"If the price falls to {_loss_text(ticket)} first, that offer is cancelled and {_loss(ticket)}."
    ]


def _loss_text(ticket: Ticket) -> str:
    return f"{price_text(ticket.exits.stop_loss)} (stop-loss)"


def _loss(ticket: Ticket) -> str:
    limit = ticket.exits.stop_loss_limit
    return (
        "they are sold at the market" if limit is None else f"they are sold at {price_text(limit)} or better"
    )
