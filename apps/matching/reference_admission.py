"""What speaks against a command that is right by itself: the books it meets."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from apps.matching.codes import CommandKind, Mode, OrdType, Reason
from apps.matching.reference_book import (
    AUCTION_TIFS,
    POST_ONLY,
    REDUCE_ONLY,
    RESTING_TIFS,
    STOP_TYPES,
    Book,
    Command,
    Order,
)
from apps.matching.reference_checks import IMMEDIATE_TIFS, Check, first_wrong


@dataclass(slots=True)
class Books:
    """All books and all live orders of an engine, and how many of each it may have."""

    orders_max: int
    books_max: int
    by_symbol: dict[int, Book] = field(default_factory=dict)
    live: dict[int, Order] = field(default_factory=dict)

    def find(self, symbol_id: int) -> Book:
        """Return the book, or for a symbol that has none a new one that is not kept."""
        return self.by_symbol.get(symbol_id) or Book(symbol_id)

    def is_full_for(self, symbol_id: int) -> bool:
        return symbol_id not in self.by_symbol and len(self.by_symbol) == self.books_max


def books_check(books: Books, command: Command) -> Reason:
    """Return the first thing that speaks against a command that is right by itself."""
    match command.kind:
        case CommandKind.NEW:
            return first_wrong(_new_checks(books, books.find(command.symbol_id), command))
        case CommandKind.REPLACE:
            return first_wrong(_replace_checks(books, books.find(command.symbol_id), command))
        case CommandKind.RESTORE:
            return first_wrong(_restore_checks(books, books.find(command.symbol_id), command))
        case CommandKind.CANCEL | CommandKind.EXPIRE:
            return Reason.NONE if order_find(books, command) else Reason.UNKNOWN_ORDER
        case _:
            return Reason.BOOKS_FULL if books.is_full_for(command.symbol_id) else Reason.NONE


def order_find(books: Books, command: Command) -> Order | None:
    """Return the live order in the command's book that the command is about."""
    order = books.live.get(command.orig_order_id)
    return order if order and order.symbol_id == command.symbol_id else None


def _new_checks(books: Books, book: Book, command: Command) -> Iterator[Check]:
    yield command.order_id not in books.live, Reason.DUPLICATE_ORDER
    yield not books.is_full_for(command.symbol_id), Reason.BOOKS_FULL
    yield from _mode_checks(book, command)
    yield _is_on_tick(book, command), Reason.OFF_TICK
    yield book.is_continuous or not _needs_matching(command), Reason.NOT_CONTINUOUS
    yield not _is_outside_band(book, command), Reason.OUTSIDE_BAND
    yield len(books.live) < books.orders_max or not _could_stay(command), Reason.BOOK_FULL
    yield not _is_post_only_crossing(book, command), Reason.WOULD_CROSS


def _replace_checks(books: Books, book: Book, command: Command) -> Iterator[Check]:
    old = order_find(books, command)
    yield old is not None, Reason.UNKNOWN_ORDER
    assert old is not None
    yield command.side == old.side, Reason.BAD_SIDE
    yield command.ord_type == old.ord_type, Reason.BAD_ORD_TYPE
    is_auction = command.tif in AUCTION_TIFS or old.tif in AUCTION_TIFS
    yield not is_auction or command.tif == old.tif, Reason.BAD_TIME_IN_FORCE
    yield command.order_id not in books.live, Reason.DUPLICATE_ORDER
    yield command.quantity > old.cum, Reason.TOO_LATE
    yield from _mode_checks(book, command)
    yield _is_on_tick(book, command), Reason.OFF_TICK
    yield not _is_outside_band(book, command), Reason.OUTSIDE_BAND
    yield not _is_post_only_crossing(book, command), Reason.WOULD_CROSS


def _restore_checks(books: Books, book: Book, command: Command) -> Iterator[Check]:
    yield command.order_id not in books.live, Reason.DUPLICATE_ORDER
    yield not books.is_full_for(command.symbol_id), Reason.BOOKS_FULL
    yield len(books.live) < books.orders_max, Reason.BOOK_FULL
    rests = command.ord_type == OrdType.LIMIT and command.tif in RESTING_TIFS
    crosses = rests and book.is_continuous and book.would_cross(command.side, command.price)
    yield not crosses, Reason.WOULD_CROSS


def _mode_checks(book: Book, command: Command) -> Iterator[Check]:
    yield book.mode != Mode.CANCEL_ONLY, Reason.CANCEL_ONLY
    is_reducing = bool(command.flags & REDUCE_ONLY)
    yield book.mode != Mode.REDUCE_ONLY or is_reducing, Reason.REDUCE_ONLY


def _is_on_tick(book: Book, command: Command) -> bool:
    has_limit = command.ord_type in (OrdType.LIMIT, OrdType.STOP_LIMIT)
    has_trigger = command.ord_type in (OrdType.STOP, OrdType.STOP_LIMIT)
    if has_limit and not book.is_on_tick(command.price):
        return False
    return not has_trigger or book.is_on_tick(command.stop_price)


def _needs_matching(command: Command) -> bool:
    is_market = command.ord_type == OrdType.MARKET and command.tif not in AUCTION_TIFS
    return is_market or command.tif in IMMEDIATE_TIFS or command.min_quantity > 0


def _is_outside_band(book: Book, command: Command) -> bool:
    is_immediate_limit = command.ord_type == OrdType.LIMIT and command.tif not in AUCTION_TIFS
    return book.is_continuous and is_immediate_limit and book.is_beyond_band(command.side, command.price)


def _could_stay(command: Command) -> bool:
    if command.ord_type == OrdType.LIMIT:
        return command.tif not in IMMEDIATE_TIFS
    return command.ord_type in STOP_TYPES or command.tif in AUCTION_TIFS


def _is_post_only_crossing(book: Book, command: Command) -> bool:
    is_post_only = bool(command.flags & POST_ONLY)
    return is_post_only and book.is_continuous and book.would_cross(command.side, command.price)
