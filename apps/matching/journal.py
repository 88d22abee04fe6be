"""The journal: every command taken, in sequence, in the bytes that the engine was given."""

from typing import Any

from apps.matching.messages import SETTING_KINDS, Batch

_COLUMNS = "matching_partition, seq, epoch, command_id, kind, symbol, order_id, record, recorded_at"

# One look at the index for each book and kind, however many commands there have been.
_SETTINGS_SQL = """
SELECT j.record FROM instruments i
CROSS JOIN unnest(%(kinds)s::text[]) WITH ORDINALITY AS k (kind, place)
CROSS JOIN LATERAL (
    SELECT record FROM matching_journal
    WHERE matching_partition = %(partition)s AND symbol = i.symbol AND kind = k.kind
      AND kind IN ('MODE', 'BANDS', 'OPTIONS', 'PHASE')
    ORDER BY seq DESC LIMIT 1) AS j
ORDER BY i.symbol, k.place
"""


def books_settings(cursor: Any, matching_partition: int) -> list[bytes]:
    """Return the records of every book's last mode, bands, options and phase, in that order by book.

    The journal says so, not a flag of the instrument or the clock: what is still queued has not reached the
    book, and will.
    """
    cursor.execute(_SETTINGS_SQL, {"kinds": list(SETTING_KINDS), "partition": matching_partition})
    return [bytes(row[0]) for row in cursor.fetchall()]


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
