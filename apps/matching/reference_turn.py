"""One command's turn at one book: what it does to orders, and the events that tell of it."""

from apps.matching.codes import ExecType, OrdStatus, Reason, SelfTradePrevention, Side
from apps.matching.reference_book import Book, Command, Event, Order, order_unplace, trail_stop


class Turn:
    """Changes a book for one command and collects the events; `elected` are the stops that must act yet."""

    def __init__(self, command: Command, book: Book, live: dict[int, Order]) -> None:
        self.command = command
        self.book = book
        self.live = live
        self.elected: list[Order] = []
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        event.seq = self.command.seq
        event.symbol_id = self.command.symbol_id
        event.n = len(self.events)
        self.events.append(event)

    def order_emit(self, exec_type: ExecType, order: Order, **fields: int) -> None:
        """Tell of one order; fields override what it says of itself."""
        told = {
            "order_id": order.order_id, "owner": order.owner, "side": order.side, "price": order.price,
            "leaves_qty": order.leaves, "cum_qty": order.cum, "ord_status": order.status,
        }  # fmt: skip
        self.emit(Event(exec_type, **(told | fields)))

    def order_place(self, order: Order) -> None:
        """Put an order where it rests or waits; an iceberg shows its first part."""
        order.shown = min(order.display, order.leaves)
        self.book.place(order)
        self.live[order.order_id] = order

    def order_remove(self, order: Order) -> None:
        order_unplace(order)
        self.live.pop(order.order_id, None)

    def order_cancel(self, order: Order, reason: Reason) -> None:
        """Cancel what is left of an order, wherever it stands."""
        self._order_end(order, ExecType.CANCELED, OrdStatus.CANCELED, reason)

    def order_expire(self, order: Order) -> None:
        self._order_end(order, ExecType.EXPIRED, OrdStatus.EXPIRED, Reason.NONE)

    def _order_end(self, order: Order, exec_type: ExecType, status: OrdStatus, reason: Reason) -> None:
        cancelled, order.leaves = order.leaves, 0
        self.order_remove(order)
        self.order_emit(exec_type, order, ord_status=status, quantity=cancelled, reason=reason)

    def trade(self, taker: Order, maker: Order, price: int, quantity: int, reason: Reason) -> None:
        """Let two orders trade, tell it, and see to the stops and to who is filled or shows anew."""
        for order in (maker, taker):
            order.leaves -= quantity
            order.cum += quantity
            order.shown = max(0, order.shown - quantity)
        self.order_emit(
            ExecType.TRADE, taker, price=price, quantity=quantity, reason=reason,
            contra_order_id=maker.order_id, contra_owner=maker.owner, contra_leaves_qty=maker.leaves,
            contra_cum_qty=maker.cum, contra_ord_status=maker.status,
        )  # fmt: skip
        self.book.trade_note(price, quantity, self.command.transact_time_ns)
        for order in (maker, taker):
            self._order_renew(order)
        if self.book.is_continuous:
            self._trails_move(price)
            self.stops_elect(price)

    def _order_renew(self, order: Order) -> None:
        """Take a resting order off when it is filled; let an iceberg show anew when nothing is shown."""
        if order.queue is None:
            return
        if not order.leaves:
            self.order_remove(order)
        elif order.display and not order.shown:
            order_unplace(order)
            self.order_place(order)
            self.order_emit(ExecType.REFRESHED, order, quantity=order.shown)

    def self_trade_prevent(self, taker: Order, maker: Order) -> None:
        """Do to two orders of one owner what the taker's mode says."""
        match taker.stp:
            case SelfTradePrevention.CANCEL_NEWEST:
                self.order_cancel(taker, Reason.SELF_TRADE)
            case SelfTradePrevention.CANCEL_OLDEST:
                self.order_cancel(maker, Reason.SELF_TRADE)
            case SelfTradePrevention.CANCEL_BOTH:
                self.order_cancel(maker, Reason.SELF_TRADE)
                self.order_cancel(taker, Reason.SELF_TRADE)
            case SelfTradePrevention.DECREMENT:
                quantity = min(maker.leaves, taker.leaves)
                self._order_decrement(maker, quantity)
                self._order_decrement(taker, quantity)

    def _order_decrement(self, order: Order, quantity: int) -> None:
        if order.leaves == quantity:
            self.order_cancel(order, Reason.SELF_TRADE)
            return
        order.leaves -= quantity
        order.shown = min(order.shown, order.leaves)
        self.order_emit(ExecType.REDUCED, order, quantity=quantity, reason=Reason.SELF_TRADE)

    def _trails_move(self, price: int) -> None:
        """Let every trail that a trade improves take its price as its mark."""
        moved = [o for o in self.book.trails() if (price > o.mark if o.side == Side.SELL else price < o.mark)]
        for order in sorted(moved, key=lambda order: order.order_id):
            order.mark = price
            order.stop_price = trail_stop(order.side, order.mark, order.trail, order.flags)
            order_unplace(order)
            self.book.place(order)

    def stops_elect(self, price: int) -> None:
        """Take off the stops that a price reaches; they act when the order that traded is done."""
        for side in Side:
            for order in [o for o in self.book.stops[side] if stop_is_reached(o, price)]:
                self.order_remove(order)
                self.elected.append(order)


def stop_is_reached(order: Order, price: int) -> bool:
    return order.stop_price <= price if order.side == Side.BUY else order.stop_price >= price
