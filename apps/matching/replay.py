"""Reading the journal back, in chunks that are proved whole, and giving it to an engine again."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from apps.matching.codes import COMMAND_DTYPE

CHUNK_COMMANDS = 10_000
"""Commands read and applied at once: a few MB, whatever the length of the tail."""

TAIL_SQL = """
SELECT seq, record FROM matching_journal
WHERE matching_partition = %s AND seq > %s AND seq <= %s
ORDER BY seq LIMIT %s
"""


class JournalBroken(RuntimeError):
    """The journal has a gap, a repetition or a foreign record: its partition must halt, nobody may guess."""


def journal_chunks(
    cursor: Any, matching_partition: int, after: int, last: int, chunk: int = CHUNK_COMMANDS
) -> Iterator[np.ndarray]:
    """Yield the engine's records of every command behind ``after`` up to ``last``, in sequence.

    Raises ``JournalBroken`` unless there is exactly one record of each number.
    """
    while after < last:
        cursor.execute(TAIL_SQL, (matching_partition, after, last, chunk), binary=True)
        records = journal_check(cursor.fetchall(), matching_partition, after)
        if not len(records):
            raise JournalBroken(
                f"partition {matching_partition}: the journal ends at {after}, but {last} is committed"
            )
        after += len(records)
        yield records


def journal_check(rows: list[tuple[int, bytes]], matching_partition: int, after: int) -> np.ndarray:
    """Return rows of (seq, record) as records; raises ``JournalBroken`` unless they follow ``after``."""
    numbers = np.fromiter((seq for seq, _ in rows), dtype="u8", count=len(rows))
    expected = np.arange(after + 1, after + 1 + len(rows), dtype="u8")
    wrong = np.flatnonzero(numbers != expected)
    if len(wrong):
        found, place = int(numbers[wrong[0]]), int(expected[wrong[0]])
        raise JournalBroken(f"partition {matching_partition}: the journal has {found} in place of {place}")
    odd = next((seq for seq, record in rows if len(record) != COMMAND_DTYPE.itemsize), None)
    if odd is not None:
        raise JournalBroken(f"partition {matching_partition}: the journal's record {odd} has a wrong length")
    records = np.frombuffer(b"".join(record for _, record in rows), dtype=COMMAND_DTYPE)
    foreign = np.flatnonzero(records["seq"] != numbers)
    if len(foreign):
        place = int(numbers[foreign[0]])
        raise JournalBroken(
            f"partition {matching_partition}: the journal's record {place} is that of "
            f"{int(records['seq'][foreign[0]])}"
        )
    return records


def journal_apply(cursor: Any, matching_partition: int, engine: Any, after: int, last: int) -> int:
    """Give an engine every command behind ``after`` up to ``last``; returns how many there were."""
    for records in journal_chunks(cursor, matching_partition, after, last):
        engine.process(records)
    return max(last - after, 0)
