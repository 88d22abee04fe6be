"""The order book written to be obviously right and not fast: what the compiled one is compared with."""

from bisect import insort

import numpy as np

from apps.matching.codes import (
    BATCH_COMMANDS_MAX,
    BOOKS_MAX,
    COMMAND_DTYPE,
    DEPTH_LEVELS_MAX,
    EVENT_DTYPE,
    ORDERS_MAX,
    CommandKind,
    ExecType,
    OrdStatus,
    OrdType,
    Reason,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from apps.matching.reference_book import (
    Book,
    Command,
    Order,
    book_hash,
    command_check,
    hash_of,
    order_make,
    order_rank,
    status_after_fill,
)

DepthLevel = tuple[int, int, int]


class ReferenceEngine:
    """Do what the compiled engine does, slowly; production refuses to run on it."""

    def __init__(self, *, max_orders: int, max_books: int) -> None:
        if not 1 <= max_orders <= ORDERS_MAX:
            raise ValueError("max_orders must be from 1 to 67,108,864")
        if not 1 <= max_books <= BOOKS_MAX:
            raise ValueError("max_books must be from 1 to 65,536")
        self._max_orders = max_orders
        self._max_books = max_books
        self._books: dict[int, Book] = {}
        self._orders: dict[int, tuple[Book, Order]] = {}
        self._events: list[dict[str, int]] = []
        self._command_first = 0
        self._command: Command

    def process(self, commands: np.ndarray) -> np.ndarray:
        """Apply COMMAND_DTYPE records in order and return the EVENT_DTYPE records."""
        if commands.dtype != COMMAND_DTYPE:
            raise ValueError("commands must be records of COMMAND_DTYPE")
        if len(commands) > BATCH_COMMANDS_MAX:
            raise ValueError("a batch has at most 1,048,576 commands")
        self._events = []
        for record in commands.tolist():
            self._command = Command(*record)
            self._command_first = len(self._events)
            self._command_apply(self._command)
        return self._events_packed()

    def depth(self, symbol_id: int, levels: int) -> tuple[list[DepthLevel], list[DepthLevel]]:
        """Return bids and asks, best first, as (price in units, quantity, number of orders)."""
        if not 0 <= levels <= DEPTH_LEVELS_MAX:
            raise ValueError("depth has at most 1,000 levels")
        book = self._books.get(symbol_id, Book(symbol_id))
        return self._side_depth(book, Side.BUY)[:levels], self._side_depth(book, Side.SELL)[:levels]

    def state_hash(self, symbol_id: int | None = None) -> int:
        """Return the hash of everything that decides future matching, of one book or of all."""
        if symbol_id is not None:
            return book_hash(self._books.get(symbol_id, Book(symbol_id)))
        hashes = (book_hash(self._books[key]) for key in sorted(self._books))
        return hash_of(value for value in hashes if value)

    def order_count(self) -> int:
        """Return how many orders are resting in all books."""
        return len(self._orders)

    def live_orders(self) -> list[tuple[int, Order]]:
        """Return every resting order with its symbol, by order id."""
        return [(self._orders[key][0].symbol_id, self._orders[key][1]) for key in sorted(self._orders)]

    def last_trade(self, symbol_id: int) -> tuple[int, int, int, int] | None:
        """Return (price in units, quantity, time in ns, volume), or None before the first trade."""
        book = self._books.get(symbol_id)
        return book.last if book else None

    @staticmethod
    def _side_depth(book: Book, side: Side) -> list[DepthLevel]:
        levels: dict[int, tuple[int, int]] = {}
        for order in book.sides[side]:
            quantity, count = levels.get(order.price, (0, 0))
            levels[order.price] = (quantity + order.leaves, count + 1)
        return [(price, quantity, count) for price, (quantity, count) in levels.items()]

    def _events_packed(self) -> np.ndarray:
        packed = np.zeros(len(self._events), dtype=EVENT_DTYPE)
        for row, event in zip(packed, self._events, strict=True):
            for name, value in event.items():
                row[name] = value
        return packed

    def _emit(self, exec_type: ExecType, **fields: int) -> None:
        event = {
            "seq": self._command.seq,
            "symbol_id": self._command.symbol_id,
            "n": len(self._events) - self._command_first,
            "exec_type": exec_type,
            "ord_status": OrdStatus.NONE,
            "contra_ord_status": OrdStatus.NONE,
        }
        self._events.append(event | fields)

    def _command_apply(self, command: Command) -> None:
        reason = command_check(command)
        if reason:
            self._reject(reason)
            return
        match command.kind:
            case CommandKind.NEW:
                self._new_apply(command)
            case CommandKind.CANCEL | CommandKind.EXPIRE:
                self._cancel_apply(command)
            case CommandKind.REPLACE:
                self._replace_apply(command)
            case CommandKind.RESTORE:
                self._restore_apply(command)
            case _:
                self._book_apply(command)

    def _reject(self, reason: Reason) -> None:
        command = self._command
        self._emit(
            ExecType.REJECTED, ord_status=OrdStatus.REJECTED, reason=reason, side=command.side,
            order_id=command.order_id, contra_order_id=command.orig_order_id, owner=command.owner,
        )  # fmt: skip

    def _book_open(self, symbol_id: int) -> Book | None:
        """Find or open the book; reject the command when there is no room for another."""
        if symbol_id not in self._books and len(self._books) == self._max_books:
            self._reject(Reason.BOOKS_FULL)
            return None
        return self._books.setdefault(symbol_id, Book(symbol_id))

    def _new_apply(self, command: Command) -> None:
        if command.order_id in self._orders:
            return self._reject(Reason.DUPLICATE_ORDER)
        book = self._book_open(command.symbol_id)
        if book is None:
            return None
        order = order_make(command)
        if book.is_halted and not order.rests:
            return self._reject(Reason.HALTED)
        if order.rests and len(self._orders) == self._max_orders:
            return self._reject(Reason.BOOK_FULL)
        self._emit(
            ExecType.NEW, ord_status=OrdStatus.NEW, side=order.side, order_id=order.order_id,
            owner=order.owner, price=order.price, quantity=order.leaves, leaves_qty=order.leaves,
        )  # fmt: skip
        return self._taker_run(book, order)

    def _cancel_apply(self, command: Command) -> None:
        book, order = self._orders.get(command.orig_order_id, (None, None))
        if book is None or order is None or book.symbol_id != command.symbol_id:
            return self._reject(Reason.UNKNOWN_ORDER)
        if command.kind == CommandKind.EXPIRE:
            return self._resting_cancel(book, order, ExecType.EXPIRED, OrdStatus.EXPIRED, Reason.NONE)
        return self._resting_cancel(book, order, ExecType.CANCELED, OrdStatus.CANCELED, Reason.REQUESTED)

    def _replace_apply(self, command: Command) -> None:
        book, old = self._orders.get(command.orig_order_id, (None, None))
        if book is None or old is None or book.symbol_id != command.symbol_id:
            return self._reject(Reason.UNKNOWN_ORDER)
        if command.side != old.side:
            return self._reject(Reason.BAD_SIDE)
        if command.order_id in self._orders:
            return self._reject(Reason.DUPLICATE_ORDER)
        if command.quantity <= old.cum:
            return self._reject(Reason.TOO_LATE)
        new = order_make(command)
        new.owner, new.leaves = old.owner, command.quantity - old.cum
        self._emit(
            ExecType.REPLACED, ord_status=OrdStatus.NEW, contra_ord_status=OrdStatus.REPLACED,
            side=new.side, order_id=new.order_id, contra_order_id=old.order_id, owner=new.owner,
            contra_owner=old.owner, price=new.price, quantity=new.leaves, leaves_qty=new.leaves,
            contra_cum_qty=old.cum,
        )  # fmt: skip
        self._remove(book, old)
        if new.price == old.price and new.leaves < old.leaves:
            new.arrival = old.arrival
            return self._insert(book, new)
        return self._taker_run(book, new)

    def _restore_apply(self, command: Command) -> None:
        if command.order_id in self._orders:
            return self._reject(Reason.DUPLICATE_ORDER)
        book = self._book_open(command.symbol_id)
        if book is None:
            return None
        if len(self._orders) == self._max_orders:
            return self._reject(Reason.BOOK_FULL)
        order = order_make(command)
        contra = book.contra(order.side)
        if not book.is_halted and contra and order.reaches(contra[0].price):
            return self._reject(Reason.WOULD_CROSS)
        self._rest(book, order)
        return self._emit(
            ExecType.RESTORED, ord_status=OrdStatus.PARTIALLY_FILLED if order.cum else OrdStatus.NEW,
            side=order.side, order_id=order.order_id, owner=order.owner, price=order.price,
            quantity=order.leaves, leaves_qty=order.leaves, cum_qty=order.cum,
        )  # fmt: skip

    def _book_apply(self, command: Command) -> None:
        book = self._book_open(command.symbol_id)
        if book is None:
            return
        if command.kind == CommandKind.HALT:
            book.is_halted = True
            self._emit(ExecType.HALTED)
        elif command.kind == CommandKind.RESUME:
            book.is_halted = False
            self._emit(ExecType.RESUMED)
            self._uncross(book)
        else:
            book.last = (command.price, command.quantity, command.transact_time_ns, command.cum_quantity)
            self._emit(
                ExecType.RESTORED, price=command.price, quantity=command.quantity,
                cum_qty=command.cum_quantity,
            )  # fmt: skip

    def _taker_run(self, book: Book, taker: Order) -> None:
        """Let an accepted order trade; then it rests, or what is left of it is cancelled."""
        if book.is_halted:
            return self._rest(book, taker)
        if taker.tif == TimeInForce.FOK and not self._can_fill(book, taker):
            return self._taker_cancel(taker, Reason.FOK_UNFILLABLE)
        makers = book.contra(taker.side)
        while taker.leaves and makers and taker.reaches(makers[0].price):
            if taker.is_self_trade(makers[0]):
                self._self_trade_prevent(book, taker, makers[0])
            else:
                self._trade(book, taker, makers[0])
        if not taker.leaves:
            return None
        if taker.rests:
            return self._rest(book, taker)
        if taker.ord_type == OrdType.LIMIT:
            return self._taker_cancel(taker, Reason.IOC_REMAINDER)
        return self._taker_cancel(taker, Reason.COLLAR if makers else Reason.NO_LIQUIDITY)

    @staticmethod
    def _can_fill(book: Book, taker: Order) -> bool:
        available = 0
        for maker in book.contra(taker.side):
            if available >= taker.leaves or not taker.reaches(maker.price):
                break
            if not taker.is_self_trade(maker):
                available += maker.leaves
            elif taker.stp != SelfTradePrevention.CANCEL_OLDEST:
                break
        return available >= taker.leaves

    def _self_trade_prevent(self, book: Book, taker: Order, maker: Order) -> None:
        if taker.stp != SelfTradePrevention.CANCEL_NEWEST:
            self._resting_cancel(book, maker, ExecType.CANCELED, OrdStatus.CANCELED, Reason.SELF_TRADE)
        if taker.stp != SelfTradePrevention.CANCEL_OLDEST:
            self._taker_cancel(taker, Reason.SELF_TRADE)

    def _trade(self, book: Book, taker: Order, maker: Order) -> None:
        quantity = min(taker.leaves, maker.leaves)
        for order in (taker, maker):
            order.leaves -= quantity
            order.cum += quantity
        self._emit(
            ExecType.TRADE, ord_status=status_after_fill(taker.leaves),
            contra_ord_status=status_after_fill(maker.leaves), side=taker.side, order_id=taker.order_id,
            contra_order_id=maker.order_id, owner=taker.owner, contra_owner=maker.owner, price=maker.price,
            quantity=quantity, leaves_qty=taker.leaves, cum_qty=taker.cum,
            contra_leaves_qty=maker.leaves, contra_cum_qty=maker.cum,
        )  # fmt: skip
        book.trade_note(maker.price, quantity, self._command.transact_time_ns)
        if not maker.leaves:
            self._remove(book, maker)

    def _uncross(self, book: Book) -> None:
        """Trade best bid with best ask, at the price of the earlier one, until they no longer cross."""
        while book.is_crossed:
            pair = (book.sides[Side.BUY][0], book.sides[Side.SELL][0])
            older, younger = sorted(pair, key=lambda order: order.arrival)
            if not younger.is_self_trade(older):
                self._trade(book, younger, older)
                if not younger.leaves:
                    self._remove(book, younger)
                continue
            if younger.stp != SelfTradePrevention.CANCEL_NEWEST:
                self._resting_cancel(book, older, ExecType.CANCELED, OrdStatus.CANCELED, Reason.SELF_TRADE)
            if younger.stp != SelfTradePrevention.CANCEL_OLDEST:
                self._resting_cancel(book, younger, ExecType.CANCELED, OrdStatus.CANCELED, Reason.SELF_TRADE)

    def _rest(self, book: Book, order: Order) -> None:
        book.arrivals += 1
        order.arrival = book.arrivals
        self._insert(book, order)

    def _insert(self, book: Book, order: Order) -> None:
        insort(book.sides[order.side], order, key=order_rank)
        self._orders[order.order_id] = (book, order)

    def _remove(self, book: Book, order: Order) -> None:
        book.sides[order.side].remove(order)
        del self._orders[order.order_id]

    def _resting_cancel(
        self, book: Book, order: Order, exec_type: ExecType, ord_status: OrdStatus, reason: Reason
    ) -> None:
        self._cancelled_emit(order, exec_type, ord_status, reason)
        self._remove(book, order)

    def _taker_cancel(self, taker: Order, reason: Reason) -> None:
        self._cancelled_emit(taker, ExecType.CANCELED, OrdStatus.CANCELED, reason)
        taker.leaves = 0

    def _cancelled_emit(
        self, order: Order, exec_type: ExecType, ord_status: OrdStatus, reason: Reason
    ) -> None:
        self._emit(
            exec_type, ord_status=ord_status, reason=reason, side=order.side, order_id=order.order_id,
            owner=order.owner, price=order.price, quantity=order.leaves, cum_qty=order.cum,
        )  # fmt: skip
