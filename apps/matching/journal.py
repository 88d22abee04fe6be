"""The journal: every command taken, in sequence, in the bytes that the engine was given."""

from typing import Any

from apps.matching.messages import SETTING_KINDS, Batch
from apps.primitives.literals import copy_text, copy_write

QUARANTINE = "QUARANTINE"
"""The kind under which a command is kept that the engine refused untried: it set nothing in any book."""

JOURNAL_SQL = """
COPY matching_journal (matching_partition, seq, epoch, command_id, kind, symbol, order_id, record,
                       recorded_at) FROM STDIN
"""

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
    digits = 2 * batch.records.dtype.itemsize
    raw, at_text = batch.records.tobytes().hex(), str(batch.transact_time)
    lines = [
        f"{batch.matching_partition}\t{seq}\t{batch.epoch}\t{c.command_id}\t"
        f"{QUARANTINE if batch.is_quarantined else c.kind}\t{copy_text(c.symbol)}\t"
        f"{c.order_id or c.orig_order_id}\t\\\\x{raw[at : at + digits]}\t{at_text}\n"
        for seq, at, c in zip(
            range(batch.first_seq, batch.last_seq + 1),
            range(0, len(raw), digits),
            batch.commands,
            strict=True,
        )
    ]
    copy_write(cursor, JOURNAL_SQL, lines)
