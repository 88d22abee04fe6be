"""What those who watch a book are told at the end of a command: what is not as it was."""

from apps.matching.codes import ExecType, Side
from apps.matching.reference_book import NO_LEVEL, Book, Event, Levels
from apps.matching.reference_turn import Turn


class Watch:
    """Remembers how a book was, and tells what is different."""

    def __init__(self, book: Book) -> None:
        self._marks = {order.order_id: order.mark for order in book.trails()}
        # OPTIONS, which begins or ends the publishing, changes no level itself.
        self._levels = {side: book.levels(side) for side in Side} if book.options else None

    def tell(self, turn: Turn) -> None:
        self._trails_tell(turn)
        _limit_state_tell(turn)
        if self._levels is not None:
            now = {side: turn.book.levels(side) for side in Side}
            for side in Side:
                _levels_tell(turn, side, self._levels[side], now[side])
            for side in Side:
                _top_tell(turn, side, self._levels[side], now[side])

    def _trails_tell(self, turn: Turn) -> None:
        changed = [o for o in turn.book.trails() if self._marks.get(o.order_id, o.mark) != o.mark]
        for order in sorted(changed, key=lambda order: order.arrival):
            turn.order_emit(ExecType.TRAILED, order, price=order.mark, quantity=order.stop_price)


def _limit_state_tell(turn: Turn) -> None:
    side = turn.book.limit_side_now()
    if side != turn.book.limit_side:
        turn.book.limit_side = side
        turn.emit(Event(ExecType.LIMIT_STATE, side=side))


def _levels_tell(turn: Turn, side: Side, before: Levels, now: Levels) -> None:
    for price in sorted(before.keys() | now.keys(), reverse=side == Side.BUY):
        quantity, count = now.get(price, NO_LEVEL)
        if before.get(price, NO_LEVEL) != (quantity, count):
            turn.emit(Event(ExecType.LEVEL, side=side, price=price, quantity=quantity, leaves_qty=count))


def _top_tell(turn: Turn, side: Side, before: Levels, now: Levels) -> None:
    price, quantity = _top_of(now)
    if (price, quantity) != _top_of(before):
        turn.emit(Event(ExecType.TOP, side=side, price=price, quantity=quantity))


def _top_of(levels: Levels) -> tuple[int, int]:
    """Return the best price and its displayed quantity, or zeros."""
    return next(((price, quantity) for price, (quantity, _) in levels.items()), NO_LEVEL)
