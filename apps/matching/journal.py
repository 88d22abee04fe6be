"""The journal: every command taken, in sequence, in the bytes that the engine was given."""

from typing import Any

from apps.matching.messages import Batch

_COLUMNS = "matching_partition, seq, epoch, command_id, kind, symbol, order_id, record, recorded_at"


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
