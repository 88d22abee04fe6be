"""The compiled order book."""



def codes() -> dict[str, dict[str, int]]:
    """Every code of every enumeration, by name."""

def limits() -> dict[str, int]:
    """Every bound of the engine."""

def command_layout() -> dict[str, tuple[int, int]]:
    """Offset and size in bytes of every field of a command."""

def event_layout() -> dict[str, tuple[int, int]]:
    """Offset and size in bytes of every field of an event."""

class MatchingEngine:
    def __init__(self, max_orders: int, max_books: int, orders_expected: int = 4096) -> None:
        """
        Make an engine for so many live orders and books; ValueError outside the limits.
        """

    def process(self, commands: object) -> bytes:
        """
        Apply a contiguous buffer of command records in order and return the event records.
        """

    def snapshot(self) -> bytes:
        """Return the whole state, checksummed."""

    @staticmethod
    def restore(snapshot: object, max_orders: int, max_books: int) -> MatchingEngine:
        """
        Return an engine as it was; ValueError for bytes that are damaged or do not fit.
        """

    def depth(self, symbol_id: int, levels: int) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        """
        Return bids and asks, best first, as (price in units, quantity, number of orders).
        """

    def state_hash(self, symbol_id: int | None = None) -> int:
        """
        Return the hash of everything that decides future matching, of one book or of all.
        """

    def order_count(self) -> int:
        """Return how many orders are live, resting or waiting, in all books."""

    def last_seq(self) -> int:
        """Return the sequence number of the last command applied."""

    def stop_count(self, symbol_id: int) -> int:
        """Return how many stops of a book wait for their price."""

    def indication(self, symbol_id: int) -> tuple[int, int, int] | None:
        """
        Return (price in units, volume, imbalance) that an uncross would find now, or None.
        """

    def book_status(self, symbol_id: int) -> tuple[int, int, int, int, int, int] | None:
        """
        Return (phase, mode, side of the limit state, lower band, upper band, tick), or None without a book.
        """

    def last_trade(self, symbol_id: int) -> tuple[int, int, int, int] | None:
        """
        Return (price in units, quantity, time in ns, volume), or None before the first trade.
        """
