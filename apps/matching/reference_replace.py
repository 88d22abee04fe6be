"""How a new order takes the place of an old one, or loses it."""

from apps.matching.codes import ExecType, OrdStatus, OrdType, Side
from apps.matching.reference_book import Order, order_make, trail_stop
from apps.matching.reference_matching import order_enter
from apps.matching.reference_turn import Turn


def order_replace(turn: Turn, old: Order) -> None:
    """Bring the command's order in for the old one, whose owner it keeps and whose fills it counts."""
    new = order_make(turn.command)
    new.owner, new.leaves = old.owner, turn.command.quantity - old.cum
    if new.ord_type == OrdType.TRAIL:
        new.mark = max(new.mark, old.mark) if new.side == Side.SELL else min(new.mark, old.mark)
        new.stop_price = trail_stop(new.side, new.mark, new.trail, new.flags)
    turn.order_emit(
        ExecType.REPLACED, new, quantity=new.leaves, contra_order_id=old.order_id, contra_owner=old.owner,
        contra_cum_qty=old.cum, contra_ord_status=OrdStatus.REPLACED,
    )  # fmt: skip
    if _is_place_kept(new, old):
        _place_take(turn, new, old)
    else:
        turn.order_remove(old)
        order_enter(turn, new)


def _is_place_kept(new: Order, old: Order) -> bool:
    return new.leaves < old.leaves and _terms(new) == _terms(old)


def _terms(order: Order) -> tuple[int, ...]:
    return (order.price, order.stop_price, order.mark, order.trail, order.display, order.flags)


def _place_take(turn: Turn, new: Order, old: Order) -> None:
    assert old.queue is not None
    old.queue[old.queue.index(old)] = new
    new.queue, new.arrival, new.shown = old.queue, old.arrival, min(old.shown, new.leaves)
    del turn.live[old.order_id]
    turn.live[new.order_id] = new
