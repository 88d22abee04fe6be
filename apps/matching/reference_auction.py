"""How a crossed book finds one price, and how everything that can trade at it does."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from apps.matching.codes import Phase, Reason, Side, TimeInForce
from apps.matching.reference_book import Book, Order, order_unplace
from apps.matching.reference_turn import Turn

OPENING_PHASES = frozenset({Phase.CLOSED, Phase.PRE_OPEN, Phase.OPENING_AUCTION})
CLOSING_PHASES = frozenset({Phase.CONTINUOUS, Phase.CLOSING_AUCTION})


class Uncross(NamedTuple):
    price: int
    volume: int
    imbalance: int  # bid minus offered


def uncross_find(book: Book, bids: list[Order], asks: list[Order], price_told: int) -> Uncross | None:
    """Find the price at which these orders would trade, or None if they do not cross."""
    best_bid = max((order.price for order in bids), default=0)
    best_ask = min((order.price for order in asks), default=0)
    if not bids or not asks or best_bid < best_ask:
        return None
    told = price_told or book.last_price
    reference = told or (best_bid + best_ask) // 2
    candidates = {order.price for order in bids + asks if best_ask <= order.price <= best_bid}
    if told and book.is_on_tick(told) and best_ask <= told <= best_bid:
        candidates.add(told)
    return max((_uncross_at(bids, asks, price) for price in candidates), key=_preference(reference))


def _uncross_at(bids: list[Order], asks: list[Order], price: int) -> Uncross:
    bid = sum(order.leaves for order in bids if order.price >= price)
    offered = sum(order.leaves for order in asks if order.price <= price)
    return Uncross(price, min(bid, offered), bid - offered)


def _preference(reference: int) -> Callable[[Uncross], tuple[int, ...]]:
    """Most volume, then least imbalance, then nearest the reference, then higher."""
    return lambda found: (found.volume, -abs(found.imbalance), -abs(found.price - reference), found.price)


def indication(book: Book) -> Uncross | None:
    """Return what a PHASE without a price would find now."""
    joining = book.auctions[TimeInForce.OPG] if book.phase in OPENING_PHASES else []
    if book.phase in CLOSING_PHASES:
        joining = book.auctions[TimeInForce.CLS]
    bids, asks = (book.sides[side] + [o for o in joining if o.side == side] for side in Side)
    return uncross_find(book, bids, asks, 0)


def book_uncross(turn: Turn, price_told: int, joining: Iterable[Order]) -> None:
    """Let waiting orders join, trade what crosses, and cancel what is left of those that joined."""
    book = turn.book
    joined = list(joining)
    for order in joined:
        order_unplace(order)
        book.place_in_book(order)
    while found := uncross_find(book, book.sides[Side.BUY], book.sides[Side.SELL], price_told):
        _trade_all_at(turn, found.price)
    for order in joined:
        if order.leaves:
            turn.order_cancel(order, Reason.AUCTION_REMAINDER)


def _trade_all_at(turn: Turn, price: int) -> None:
    bids, asks = turn.book.sides[Side.BUY], turn.book.sides[Side.SELL]
    while bids and asks and bids[0].price >= price >= asks[0].price:
        maker, taker = sorted((bids[0], asks[0]), key=lambda order: order.arrival)
        if taker.is_self_trade(maker):
            turn.self_trade_prevent(taker, maker)
        else:
            turn.trade(taker, maker, price, min(taker.leaves, maker.leaves), Reason.AUCTION)
