"""The order book written to be obviously right and not fast: what the compiled one is compared with."""

from operator import attrgetter

import numpy as np

from apps.matching.codes import (
    BATCH_COMMANDS_MAX,
    BOOKS_MAX,
    COMMAND_DTYPE,
    DEPTH_LEVELS_MAX,
    EVENT_DTYPE,
    ORDERS_MAX,
    ExecType,
    OrdStatus,
    Reason,
    Side,
)
from apps.matching.reference_acts import command_act
from apps.matching.reference_admission import Books, books_check, order_find
from apps.matching.reference_auction import indication
from apps.matching.reference_book import Book, Command, Event, Order
from apps.matching.reference_checks import command_check
from apps.matching.reference_hash import book_hash, hash_of
from apps.matching.reference_matching import elected_run
from apps.matching.reference_turn import Turn
from apps.matching.reference_watch import Watch

DepthLevel = tuple[int, int, int]
COMMAND_FIELDS = list(Command._fields)
EVENT_FIELDS = [name for name in EVENT_DTYPE.names or () if name != "reserved"]
event_values = attrgetter(*EVENT_FIELDS)


class ReferenceEngine:
    """Do what the compiled engine does, slowly; production refuses to run on it."""

    def __init__(self, *, max_orders: int, max_books: int) -> None:
        if not 1 <= max_orders <= ORDERS_MAX:
            raise ValueError("max_orders must be from 1 to 67,108,864")
        if not 1 <= max_books <= BOOKS_MAX:
            raise ValueError("max_books must be from 1 to 65,536")
        self._books = Books(max_orders, max_books)
        self._last_seq = 0

    def process(self, commands: np.ndarray) -> np.ndarray:
        """Apply COMMAND_DTYPE records in order and return the EVENT_DTYPE records."""
        if commands.dtype != COMMAND_DTYPE:
            raise ValueError("commands must be records of COMMAND_DTYPE")
        if len(commands) > BATCH_COMMANDS_MAX:
            raise ValueError("a batch has at most 1,048,576 commands")
        told = []
        for record in commands[COMMAND_FIELDS].tolist():
            told += [event_values(event) for event in self._command_apply(Command(*record))]
        packed = np.zeros(len(told), dtype=EVENT_DTYPE)
        packed[EVENT_FIELDS] = told
        return packed

    def depth(self, symbol_id: int, levels: int) -> tuple[list[DepthLevel], list[DepthLevel]]:
        """Return displayed bids and asks, best first, as (price in units, quantity, number of orders)."""
        if not 0 <= levels <= DEPTH_LEVELS_MAX:
            raise ValueError("depth has at most 1,000 levels")
        book = self._books.find(symbol_id)
        bids, asks = ([(p, q, n) for p, (q, n) in book.levels(side).items()][:levels] for side in Side)
        return bids, asks

    def state_hash(self, symbol_id: int | None = None) -> int:
        """Return the hash of everything that decides future matching, of one book or of all."""
        if symbol_id is not None:
            return book_hash(self._books.find(symbol_id))
        hashes = (book_hash(book) for book in self.books())
        return hash_of(value for value in hashes if value)

    def order_count(self) -> int:
        """Return how many orders rest or wait in all books."""
        return len(self._books.live)

    def live_orders(self) -> list[Order]:
        """Return every order that rests or waits, by order id."""
        return [order for _, order in sorted(self._books.live.items())]

    def books(self) -> list[Book]:
        """Return the books, to be looked at, by symbol."""
        return [book for _, book in sorted(self._books.by_symbol.items())]

    def last_trade(self, symbol_id: int) -> tuple[int, int, int, int] | None:
        """Return (price in units, quantity, time in ns, volume), or None before the first trade."""
        return self._books.find(symbol_id).last

    def indication(self, symbol_id: int) -> tuple[int, int, int] | None:
        """Return (price in units, volume, bid minus offered) of an uncross now, or None."""
        return indication(self._books.find(symbol_id))

    def book_status(self, symbol_id: int) -> tuple[int, int, int, int, int, int] | None:
        """Return (phase, mode, limit state's side, lower band, upper band, tick), or None without a book."""
        book = self._books.by_symbol.get(symbol_id)
        if book is None:
            return None
        return (book.phase, book.mode, book.limit_side, book.lower, book.upper, book.tick)

    def last_seq(self) -> int:
        """Return the sequence number of the last command applied."""
        return self._last_seq

    def _command_apply(self, command: Command) -> list[Event]:
        self._last_seq = command.seq
        reason = command_check(command) or books_check(self._books, command)
        book = self._books.find(command.symbol_id)
        turn = Turn(command, book, self._books.live)
        if reason:
            rejection_emit(turn, reason)
            return turn.events
        self._books.by_symbol[command.symbol_id] = book
        watch = Watch(book)
        command_act(turn, order_find(self._books, command))
        elected_run(turn)
        watch.tell(turn)
        return turn.events


def rejection_emit(turn: Turn, reason: Reason) -> None:
    command = turn.command
    rejection = Event(
        ExecType.REJECTED, ord_status=OrdStatus.REJECTED, reason=reason, side=command.side,
        order_id=command.order_id, contra_order_id=command.orig_order_id, owner=command.owner,
    )  # fmt: skip
    turn.emit(rejection)
