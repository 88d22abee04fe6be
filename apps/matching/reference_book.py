"""The plain orders, books and events that the reference engine is made of."""

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from apps.matching.codes import (
    Mode,
    OrderFlag,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

# Plain integers: the arithmetic of IntFlag takes most of a command's time.
BUY, SELL = (int(side) for side in Side)
POST_ONLY, HIDDEN, REDUCE_ONLY, TRAIL_PERCENT = (int(flag) for flag in OrderFlag)
RESTING_TIFS = frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD})
AUCTION_TIFS = frozenset({TimeInForce.OPG, TimeInForce.CLS})
STOP_TYPES = frozenset({OrdType.STOP, OrdType.STOP_LIMIT, OrdType.TRAIL})
TICK_FREE_BELOW = 10_000
TICK_DEFAULT = 100
PER_MILLION = 1_000_000
VOLUME_MAX = 2**63 - 1
NO_LEVEL = (0, 0)

Levels = dict[int, tuple[int, int]]


class Command(NamedTuple):
    """A command record as Python sees it."""

    seq: int
    order_id: int
    orig_order_id: int
    owner: int
    price: int
    stop_price: int
    quantity: int
    cum_quantity: int
    transact_time_ns: int
    symbol_id: int
    display_quantity: int
    min_quantity: int
    trail: int
    kind: int
    side: int
    ord_type: int
    tif: int
    stp: int
    flags: int
    argument: int
    reserved: int


@dataclass(slots=True)
class Event:
    """An event record before it is packed; its number within the command is its place in the list."""

    exec_type: int
    order_id: int = 0
    contra_order_id: int = 0
    owner: int = 0
    contra_owner: int = 0
    price: int = 0
    quantity: int = 0
    leaves_qty: int = 0
    cum_qty: int = 0
    contra_leaves_qty: int = 0
    contra_cum_qty: int = 0
    ord_status: int = OrdStatus.NONE
    contra_ord_status: int = OrdStatus.NONE
    side: int = 0
    reason: int = Reason.NONE
    seq: int = 0
    symbol_id: int = 0
    n: int = 0


@dataclass(slots=True, eq=False)
class Order:
    order_id: int
    owner: int
    symbol_id: int
    side: int
    ord_type: int
    tif: int
    stp: int
    flags: int
    price: int
    stop_price: int
    trail: int
    display: int
    leaves: int
    cum: int = 0
    is_hidden: bool = False
    mark: int = 0  # the high-water mark of a TRAIL
    shown: int = 0  # what an iceberg that rests shows
    arrival: int = 0  # when it came to its place
    queue: "list[Order] | None" = None  # the list it stands in

    @property
    def is_stop(self) -> bool:
        return self.ord_type in STOP_TYPES

    @property
    def visible(self) -> int:
        """What the market sees of it while it rests."""
        if self.is_hidden:
            return 0
        return self.shown if self.display else self.leaves

    @property
    def at_hand(self) -> int:
        """What a taker can trade with before it must ask the orders behind."""
        return self.leaves if self.is_hidden else self.visible

    @property
    def status(self) -> OrdStatus:
        if not self.cum:
            return OrdStatus.NEW
        return OrdStatus.PARTIALLY_FILLED if self.leaves else OrdStatus.FILLED

    def is_self_trade(self, maker: "Order") -> bool:
        return self.stp != SelfTradePrevention.NONE and self.owner != 0 and self.owner == maker.owner


def order_make(command: Command) -> Order:
    """Make the order a checked NEW, REPLACE or RESTORE describes; it has no place yet."""
    order = Order(
        command.order_id, command.owner, command.symbol_id, command.side, command.ord_type, command.tif,
        command.stp, command.flags, command.price, command.stop_price, command.trail,
        command.display_quantity, command.quantity - command.cum_quantity, command.cum_quantity,
        is_hidden=bool(command.flags & HIDDEN),
    )  # fmt: skip
    if order.ord_type == OrdType.TRAIL:
        order.mark = command.stop_price
        order.stop_price = trail_stop(order.side, order.mark, order.trail, order.flags)
    return order


def trail_stop(side: int, mark: int, trail: int, flags: int) -> int:
    """Return the stop that a trail gives below (sell) or above (buy) a high-water mark."""
    offset = max(1, mark * trail // PER_MILLION) if flags & TRAIL_PERCENT else trail
    return mark - offset if side == SELL else mark + offset


def price_reaches(side: int, limit: int, price: int) -> bool:
    """Say whether an order of this side and limit may trade at a price."""
    return limit >= price if side == BUY else limit <= price


def side_opposite(side: int) -> int:
    return SELL if side == BUY else BUY


def book_rank(order: Order) -> tuple[int, bool, int]:
    return (-order.price if order.side == BUY else order.price, order.is_hidden, order.arrival)


def stop_rank(order: Order) -> tuple[int, int]:
    return (order.stop_price if order.side == BUY else -order.stop_price, order.arrival)


def arrival_rank(order: Order) -> int:
    return order.arrival


@dataclass(slots=True)
class Book:
    symbol_id: int
    phase: int = Phase.CONTINUOUS
    mode: int = Mode.OPEN
    options: int = 0
    tick: int = TICK_DEFAULT
    lower: int = 0
    upper: int = 0
    limit_side: int = 0  # the limit state as the last command left it
    last: tuple[int, int, int, int] | None = None  # price, quantity, time, the day's volume
    arrivals: int = 0
    sides: dict[int, list[Order]] = field(default_factory=lambda: {BUY: [], SELL: []})
    stops: dict[int, list[Order]] = field(default_factory=lambda: {BUY: [], SELL: []})
    auctions: dict[int, list[Order]] = field(
        default_factory=lambda: {int(TimeInForce.OPG): [], int(TimeInForce.CLS): []}
    )

    @property
    def is_continuous(self) -> bool:
        return self.phase == Phase.CONTINUOUS

    @property
    def last_price(self) -> int:
        return self.last[0] if self.last else 0

    @property
    def is_crossed(self) -> bool:
        bids, asks = self.sides[BUY], self.sides[SELL]
        return bool(bids and asks and bids[0].price >= asks[0].price)

    @property
    def queues(self) -> list[list[Order]]:
        return [*self.sides.values(), *self.stops.values(), *self.auctions.values()]

    def best_price(self, side: int) -> int:
        return self.sides[side][0].price if self.sides[side] else 0

    def would_cross(self, side: int, price: int) -> bool:
        best = self.best_price(side_opposite(side))
        return best != 0 and price_reaches(side, price, best)

    def is_beyond_band(self, side: int, price: int) -> bool:
        """Say whether a buy is above the upper band, or a sell below the lower."""
        if not self.upper:
            return False
        return price > self.upper if side == BUY else price < self.lower

    def is_on_tick(self, price: int) -> bool:
        return price < TICK_FREE_BELOW or price % self.tick == 0

    def limit_side_now(self) -> int:
        """Return the side that stands at its band in continuous trading, or 0."""
        if not self.is_continuous or not self.upper:
            return 0
        if self.best_price(BUY) == self.upper:
            return BUY
        return SELL if self.best_price(SELL) == self.lower else 0

    def place(self, order: Order) -> None:
        """Put an order behind those that were earlier where it belongs: this is when it gets its time."""
        if order.is_stop:
            self._insert(self.stops[order.side], order, stop_rank)
        elif order.tif in AUCTION_TIFS:
            self._insert(self.auctions[order.tif], order, arrival_rank)
        else:
            self.place_in_book(order)

    def place_in_book(self, order: Order) -> None:
        self._insert(self.sides[order.side], order, book_rank)

    def _insert(self, queue: list[Order], order: Order, rank: Callable[[Order], Any]) -> None:
        self.arrivals += 1
        order.arrival = self.arrivals
        order.queue = queue
        insort(queue, order, key=rank)

    def trails(self) -> list[Order]:
        return [o for side in Side for o in self.stops[side] if o.ord_type == OrdType.TRAIL]

    def levels(self, side: int) -> Levels:
        """Return displayed quantity and number of displayed orders by price, best first."""
        levels: Levels = {}
        for order in self.sides[side]:
            if not order.is_hidden:
                quantity, count = levels.get(order.price, NO_LEVEL)
                levels[order.price] = (quantity + order.visible, count + 1)
        return levels

    def trade_note(self, price: int, quantity: int, transact_time_ns: int) -> None:
        volume = self.last[3] if self.last else 0
        self.last = (price, quantity, transact_time_ns, min(volume + quantity, VOLUME_MAX))


def order_unplace(order: Order) -> None:
    if order.queue is not None:
        order.queue.remove(order)
        order.queue = None
