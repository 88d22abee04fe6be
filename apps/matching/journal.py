"""The journal: every command taken, in sequence, in the bytes that the engine was given."""

from typing import Any

from apps.matching.messages import SETTING_KINDS, Batch
from apps.primitives.appending import AppendTable, rows_append
from apps.primitives.clock import iso

QUARANTINE = "QUARANTINE"
"""The kind under which a command is kept that the engine refused untried: it set nothing in any book."""

JOURNAL = AppendTable(
    "matching_journal",
    {
        "matching_partition": "smallint",
        "seq": "bigint",
        "epoch": "bigint",
        "command_id": "bigint",
        "kind": "text",
        "symbol": "text",
        "order_id": "bigint",
        "record": "bytea",
        "recorded_at": "timestamptz",
    },
)

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
    raw, at = batch.records.tobytes().hex(), iso(batch.transact_time)
    rows = [
        (
            batch.matching_partition,
            seq,
            batch.epoch,
            command.command_id,
            QUARANTINE if batch.is_quarantined else command.kind,
            command.symbol,
            command.order_id or command.orig_order_id,
            "\\x" + raw[start : start + digits],
            at,
        )
        for seq, start, command in zip(
            range(batch.first_seq, batch.last_seq + 1),
            range(0, len(raw), digits),
            batch.commands,
            strict=True,
        )
    ]
    rows_append(cursor, JOURNAL, rows)
