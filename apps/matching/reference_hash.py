"""The hash of everything that decides what a book will do next."""

from collections.abc import Iterable, Iterator

from apps.matching.codes import Mode, OrdType, Phase, Side, TimeInForce
from apps.matching.reference_book import TICK_DEFAULT, Book, Order, price_reaches, side_opposite

UINT64 = 2**64 - 1


def hash_of(values: Iterable[int]) -> int:
    mixed = 0xCBF29CE484222325
    for value in values:
        mixed = ((mixed ^ value) * 0x9E3779B97F4A7C15) & UINT64
        mixed ^= mixed >> 32
    return mixed


def book_hash(book: Book) -> int:
    return 0 if _is_pristine(book) else hash_of(_book_values(book))


def _is_pristine(book: Book) -> bool:
    settings = (book.phase, book.mode, book.options, book.tick, book.lower, book.upper)
    is_set = settings != (Phase.CONTINUOUS, Mode.OPEN, 0, TICK_DEFAULT, 0, 0)
    return not (is_set or book.last or any(book.queues))


def _book_values(book: Book) -> Iterator[int]:
    yield book.symbol_id
    yield book.phase | book.mode << 8 | book.limit_side << 16 | book.options << 24
    yield from (book.last_price, book.tick, book.lower, book.upper)
    for side in Side:
        yield int(side)
        for order in book.sides[side]:
            yield from (order.order_id, order.owner, order.price, order.leaves, order.cum, _word(order))
            if order.display:
                yield order.display << 32 | order.shown
    yield from (order.order_id for order in _crossed_orders(book))
    for side in Side:
        for order in book.stops[side]:
            yield from (
                order.order_id,
                order.owner,
                order.stop_price,
                order.price,
                order.leaves,
                _word(order),
            )
            if order.ord_type == OrdType.TRAIL:
                yield from (order.trail, order.mark)
    for tif in (TimeInForce.OPG, TimeInForce.CLS):
        for order in book.auctions[tif]:
            yield from (order.order_id, order.owner, order.side, order.price, order.leaves, _word(order))


def _word(order: Order) -> int:
    return order.tif | order.stp << 8 | order.flags << 16 | order.ord_type << 24


def _crossed_orders(book: Book) -> list[Order]:
    """Return the orders that would trade in an uncross, by time: it decides who is the maker."""
    if not book.is_crossed:
        return []
    crossed = [
        order for side in Side for order in book.sides[side]
        if price_reaches(side, order.price, book.best_price(side_opposite(side)))
    ]  # fmt: skip
    return sorted(crossed, key=lambda order: order.arrival)
