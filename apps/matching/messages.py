"""What crosses between the queue, the runner and whoever books: commands, batches, and the tape's facts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np


class Command(NamedTuple):
    """One row of ``order_commands``; prices in 1/10,000, quantity the order's total in shares.

    ``flags`` are bits of ``OrderFlag``, ``argument`` is the engine's code of a phase or mode. The stop price
    of a TRAIL is its high-water mark, that of BANDS the upper band; ``trail`` is in units or, with
    TRAIL_PERCENT, in parts per million. The ``argument`` of a CANCEL or REPLACE is between its sender and the
    books. The database draws ``command_id`` and ``created_at``.
    """

    kind: str
    symbol: str
    instrument_id: int
    order_id: int = 0
    orig_order_id: int = 0
    account_id: int = 0
    user_id: int = 0
    side: str = ""
    order_type: str = ""
    time_in_force: str = ""
    price_units: int = 0
    stop_price_units: int = 0
    trail: int = 0
    quantity: int = 0
    flags: int = 0
    argument: int = 0
    client_order_id: str = ""
    command_id: int = 0
    created_at: datetime | None = None

    @property
    def is_for_books(self) -> bool:
        """Whether it is a REPLACE of an order that waited in the books, which the engine must refuse."""
        return self.kind == "REPLACE" and self.argument == NOT_FOR_ENGINE


COMMAND_COLUMNS = ", ".join(Command._fields)

SETTING_KINDS = ("MODE", "BANDS", "OPTIONS", "PHASE")
"""Commands about a book itself, in the order in which the last of each puts it back."""

NOT_FOR_ENGINE = 1
"""The argument of a REPLACE whose order waits in the books, packed so that the engine refuses it: should the
order have come to the engine meanwhile, what was asked of the one that waited must not be done to it."""

EVENT_INDEX_BITS = 20


def priority_of(seq: int, n: int) -> int:
    """Return the place in time that the ``n``-th event of a command gives an order."""
    return (seq << EVENT_INDEX_BITS) | min(n, (1 << EVENT_INDEX_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one booking transaction must make durable: commands in sequence and the engine's events.

    A quarantined batch holds one command, which the engine refused untried.
    """

    matching_partition: int
    epoch: int
    first_seq: int
    commands: list[Command]
    records: np.ndarray
    events: np.ndarray
    transact_time: datetime
    is_quarantined: bool = False

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.commands) - 1

    def command_of(self, seq: int) -> Command:
        """Return the command that was given a sequence number in this batch."""
        return self.commands[seq - self.first_seq]


@dataclass(frozen=True, slots=True)
class BookState:
    """What a matching partition's books hold, as the database knows it.

    ``settings`` are the journal's records of each book's last settings, ``open_orders`` records of
    OPEN_ORDER_DTYPE, those of one book in the order of their priority; ``last_prices`` are (price in units,
    volume) by symbol.
    """

    settings: list[bytes]
    open_orders: np.ndarray
    last_prices: dict[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class TapeTrade:
    """One committed trade for the tape; the price in 1/10,000."""

    trade_id: int
    symbol_id: int
    price_units: int
    quantity: int
    aggressor_side: str


@dataclass(frozen=True, slots=True)
class Booked:
    """What a booking made: the trades for the tape, and command ids that must stay queued."""

    trades: list[TapeTrade]
    kept_command_ids: frozenset[int] = frozenset()


class BatchBook(Protocol):
    """The function the runner is handed to book a batch on its own cursor, inside its transaction."""

    def __call__(self, cursor: Any, batch: Batch) -> Booked: ...


class BookStateLoad(Protocol):
    """The function the runner is handed to read what its partition's books hold."""

    def __call__(self, cursor: Any, matching_partition: int) -> BookState: ...


class Tell(Protocol):
    """The function the runner is handed to tell the tape, after commit, best effort."""

    def __call__(self, engine: Any, symbols: dict[int, str], batch: Batch, booked: Booked) -> None: ...
