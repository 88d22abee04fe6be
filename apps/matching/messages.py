"""What crosses between the queue, the runner and whoever books: commands, batches, and the tape's facts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np


class Command(NamedTuple):
    """One row of ``order_commands``; prices in 1/10,000, quantity the order's total in shares."""

    command_id: int
    kind: str
    symbol: str
    instrument_id: int
    order_id: int
    orig_order_id: int
    account_id: int
    user_id: int
    side: str
    order_type: str
    time_in_force: str
    price_units: int
    quantity: int
    client_order_id: str
    created_at: datetime


COMMAND_COLUMNS = ", ".join(Command._fields)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one booking transaction must make durable: commands in sequence and the engine's events."""

    matching_partition: int
    epoch: int
    first_seq: int
    commands: list[Command]
    records: np.ndarray
    events: np.ndarray
    transact_time: datetime

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.commands) - 1

    def command_of(self, seq: int) -> Command:
        """Return the command that was given a sequence number in this batch."""
        return self.commands[seq - self.first_seq]


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that rests on the book, with all that decides how it matches next."""

    order_id: int
    owner: int
    symbol_id: int
    side: str
    price_units: int
    quantity: int
    cum_quantity: int
    time_in_force: str


@dataclass(frozen=True, slots=True)
class BookState:
    """What a matching partition's books hold, as the database knows it: orders in priority order."""

    symbols: dict[int, str]
    halted: frozenset[int]
    open_orders: list[OpenOrder]
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
