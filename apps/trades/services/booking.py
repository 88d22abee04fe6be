"""Booking: one batch of engine results becomes trades, order states, holds, ledger, positions and events.

Everything here runs inside the runner's SERIALIZABLE transaction, on its cursor, under the booking gate:
either the whole batch is true or none of it is. Run twice, it does the same twice: it keeps nothing.
"""

from typing import Any

from apps.matching import heartbeat
from apps.matching.messages import Batch, Booked
from apps.trades.services.books import ExecEvent, books_read, books_write
from apps.trades.services.groups import groups_advance
from apps.trades.services.results import result_apply


def batch_book(cursor: Any, batch: Batch) -> Booked:
    """Book one batch on ``cursor``; raises and leaves nothing when any invariant would break."""
    execs = [ExecEvent._make(row) for row in batch.events.tolist()]
    books = books_read(cursor, batch, execs)
    # The server writes the events of the first orders while those of the next are worked out.
    with books.events.streaming(cursor):
        for event in execs:
            # One order may set off ten thousand trades, which are booked together and take seconds.
            heartbeat.tick()
            result_apply(books, event)
    groups_advance(cursor, books)
    books_write(cursor, books)
    return Booked(trades=books.tape, kept_command_ids=frozenset(books.kept_command_ids))
