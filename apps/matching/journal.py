"""The journal: every command taken, in sequence, in the bytes that the engine was given."""

from typing import Any

from apps.matching.messages import Batch

_COLUMNS = "matching_partition, seq, epoch, command_id, kind, symbol, order_id, record, recorded_at"


_HALTED_SQL = """
SELECT symbol FROM (
    SELECT DISTINCT ON (symbol) symbol, kind FROM matching_journal
    WHERE matching_partition = %s AND kind IN ('HALT', 'RESUME') ORDER BY symbol, seq DESC) AS newest
WHERE kind = 'HALT'
"""


def symbols_halted(cursor: Any, matching_partition: int) -> frozenset[str]:
    """Return the symbols whose book was last told to halt.

    The journal says so, not the instrument's flag or the clock: a halt or resumption that is still queued
    has not reached the book, and will.
    """
    cursor.execute(_HALTED_SQL, (matching_partition,))
    return frozenset(row[0] for row in cursor.fetchall())


def journal_append(cursor: Any, batch: Batch) -> None:
    """Write the batch's commands inside its booking transaction; the key makes a second leader an error."""
    size = batch.records.dtype.itemsize
    raw = batch.records.tobytes()
    with cursor.copy(f"COPY matching_journal ({_COLUMNS}) FROM STDIN") as copy:
        for index, command in enumerate(batch.commands):
            copy.write_row(
                (
                    batch.matching_partition,
                    batch.first_seq + index,
                    batch.epoch,
                    command.command_id,
                    command.kind,
                    command.symbol,
                    command.order_id or command.orig_order_id,
                    raw[index * size : (index + 1) * size],
                    batch.transact_time,
                )
            )
