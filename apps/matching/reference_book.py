"""The plain order, book, field checks and state hash that the reference engine is made of."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from apps.matching.codes import (
    ORDER_ID_MAX,
    PRICE_UNITS_MAX,
    QUANTITY_MAX,
    CommandKind,
    OrdStatus,
    OrdType,
    Reason,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

RESTING_TIFS = (TimeInForce.DAY, TimeInForce.GTC)
UINT64 = 2**64 - 1


@dataclass(slots=True)
class Command:
    seq: int
    order_id: int
    orig_order_id: int
    owner: int
    price: int
    quantity: int
    cum_quantity: int
    transact_time_ns: int
    symbol_id: int
    kind: int
    side: int
    ord_type: int
    tif: int
    stp: int
    flags: int
    reserved: bytes


@dataclass(slots=True, eq=False)
class Order:
    order_id: int
    owner: int
    side: int
    price: int
    leaves: int
    cum: int
    ord_type: int
    tif: int
    stp: int
    arrival: int = 0

    @property
    def rests(self) -> bool:
        return self.ord_type == OrdType.LIMIT and self.tif in RESTING_TIFS

    def reaches(self, price: int) -> bool:
        return self.price >= price if self.side == Side.BUY else self.price <= price

    def is_self_trade(self, maker: "Order") -> bool:
        return self.stp != SelfTradePrevention.NONE and self.owner != 0 and self.owner == maker.owner


def order_rank(order: Order) -> tuple[int, int]:
    return (-order.price if order.side == Side.BUY else order.price, order.arrival)


def order_make(command: Command) -> Order:
    leaves = command.quantity - command.cum_quantity
    return Order(
        command.order_id, command.owner, command.side, command.price, leaves, command.cum_quantity,
        command.ord_type, command.tif, command.stp,
    )  # fmt: skip


def status_after_fill(leaves: int) -> OrdStatus:
    return OrdStatus.FILLED if leaves == 0 else OrdStatus.PARTIALLY_FILLED


@dataclass
class Book:
    symbol_id: int
    is_halted: bool = False
    last: tuple[int, int, int, int] | None = None  # price, quantity, time, the day's volume
    arrivals: int = 0
    sides: dict[int, list[Order]] = field(default_factory=lambda: {Side.BUY: [], Side.SELL: []})

    def contra(self, side: int) -> list[Order]:
        return self.sides[Side.SELL if side == Side.BUY else Side.BUY]

    @property
    def is_crossed(self) -> bool:
        bids, asks = self.sides[Side.BUY], self.sides[Side.SELL]
        return bool(bids and asks and bids[0].price >= asks[0].price)

    @property
    def is_pristine(self) -> bool:
        return not (self.is_halted or self.last or self.sides[Side.BUY] or self.sides[Side.SELL])

    def trade_note(self, price: int, quantity: int, transact_time_ns: int) -> None:
        volume = self.last[3] if self.last else 0
        self.last = (price, quantity, transact_time_ns, min(volume + quantity, 2**63 - 1))

    def crossed_orders(self) -> list[Order]:
        """Return the orders that would trade on resumption, by arrival."""
        if not self.is_crossed:
            return []
        crossed = [o for side in Side for o in self.sides[side] if o.reaches(self.contra(side)[0].price)]
        return sorted(crossed, key=lambda order: order.arrival)


def hash_of(values: Iterator[int]) -> int:
    mixed = 0xCBF29CE484222325
    for value in values:
        mixed = ((mixed ^ value) * 0x9E3779B97F4A7C15) & UINT64
        mixed ^= mixed >> 32
    return mixed


def book_values(book: Book) -> Iterator[int]:
    yield book.symbol_id
    yield int(book.is_halted)
    yield book.last[0] if book.last else 0
    for side in Side:
        yield int(side)
        for order in book.sides[side]:
            yield from (order.order_id, order.owner, order.price, order.leaves, order.cum)
            yield order.tif | order.stp << 8
    yield from (order.order_id for order in book.crossed_orders())


def book_hash(book: Book) -> int:
    return 0 if book.is_pristine else hash_of(book_values(book))


def is_order_id(order_id: int) -> bool:
    return 1 <= order_id <= ORDER_ID_MAX


def order_check(command: Command) -> Reason:
    """Return the first thing wrong with an order's own fields."""
    is_new = command.kind == CommandKind.NEW
    is_replace = command.kind == CommandKind.REPLACE
    is_restore = command.kind == CommandKind.RESTORE
    cum_max = command.quantity - 1 if is_restore else 0
    checks = [
        (is_order_id(command.order_id), Reason.BAD_ORDER_ID),
        (not is_replace or is_order_id(command.orig_order_id), Reason.BAD_ORDER_ID),
        (command.side in list(Side), Reason.BAD_SIDE),
        (command.ord_type in (list(OrdType) if is_new else [OrdType.LIMIT]), Reason.BAD_ORD_TYPE),
        (command.tif in (list(TimeInForce) if is_new else RESTING_TIFS), Reason.BAD_TIME_IN_FORCE),
        (command.stp in list(SelfTradePrevention), Reason.BAD_SELF_TRADE_PREVENTION),
        (1 <= command.price <= PRICE_UNITS_MAX, Reason.BAD_PRICE),
        (1 <= command.quantity <= QUANTITY_MAX, Reason.BAD_QUANTITY),
        (0 <= command.cum_quantity <= cum_max, Reason.BAD_QUANTITY),
    ]
    return next((reason for holds, reason in checks if not holds), Reason.NONE)


def last_check(command: Command) -> Reason:
    if not 1 <= command.price <= PRICE_UNITS_MAX:
        return Reason.BAD_PRICE
    is_good = 1 <= command.quantity <= QUANTITY_MAX and command.cum_quantity >= 0
    return Reason.NONE if is_good else Reason.BAD_QUANTITY


def command_check(command: Command) -> Reason:
    """Return the first thing wrong with the command by itself, before any book is looked at."""
    if command.kind not in list(CommandKind):
        return Reason.BAD_KIND
    if command.symbol_id == 0:
        return Reason.BAD_SYMBOL
    if command.flags != 0:
        return Reason.BAD_FLAGS
    if command.kind in (CommandKind.NEW, CommandKind.REPLACE, CommandKind.RESTORE):
        return order_check(command)
    if command.kind in (CommandKind.CANCEL, CommandKind.EXPIRE):
        return Reason.NONE if is_order_id(command.orig_order_id) else Reason.BAD_ORDER_ID
    return last_check(command) if command.kind == CommandKind.RESTORE_LAST else Reason.NONE
