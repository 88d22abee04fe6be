"""Candles on TimescaleDB: continuous aggregates, refreshed at once where late ticks changed what is written.

What is newer than an aggregate's watermark is made of ticks at every reading, so on-time ticks need nothing.
The extension notes each transaction's changes below its threshold beside the ticks themselves: whoever dies
between the two leaves the note, and the refresh policies see to it within minutes.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.db import DatabaseError, connections
from psycopg import errors

from apps.marketdata.backends import ALIAS, OWNER_ALIAS
from apps.marketdata.candles import LEVELS, Level, Tick
from apps.primitives.clock import utc_now

logger = logging.getLogger(__name__)

OPEN_SPAN = timedelta(minutes=1)
"""A bucket is written down when it has been over for so long; until then it is made of ticks on reading."""

ATTEMPTS_MAX = 20
RETRY_PAUSE_S = 0.05
GROUPS_MAX = 32
"""One transaction's changes are noted as one span, so late ticks are written by the hour, or by the day."""

HOURS, DAYS = LEVELS[2:]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_THRESHOLD_SQL = """
SELECT t.watermark FROM _timescaledb_catalog.continuous_aggs_invalidation_threshold AS t
JOIN _timescaledb_catalog.hypertable AS h ON h.id = t.hypertable_id
WHERE h.schema_name = current_schema() AND h.table_name = 'market_data_ticks'
"""

_WATERMARK_SQL = """
SELECT w.watermark FROM _timescaledb_catalog.continuous_agg AS a
JOIN _timescaledb_catalog.continuous_aggs_watermark AS w USING (mat_hypertable_id)
WHERE a.user_view_schema = current_schema() AND a.user_view_name = %s
"""

_Key = TypeVar("_Key")


def _instant(microseconds: int | None) -> datetime | None:
    """Return the instant of a mark; None when there is none, or it lies before all time."""
    if microseconds is None or microseconds <= 0:
        return None
    return _EPOCH + timedelta(microseconds=microseconds)


def _mark_read(sql: str, parameters: Sequence[str] = ()) -> datetime | None:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    return _instant(row[0]) if row else None


def threshold_read() -> datetime | None:
    """Return the instant before which changed ticks need a refresh; None when nothing is written down yet."""
    return _mark_read(_THRESHOLD_SQL)


def ticks_grouped(ticks: Sequence[Tick]) -> list[list[Tick]]:
    """Return ticks in the groups that each want a transaction of their own, in key order inside.

    What is on time is one group. Late ones go by the hour, by the day when those were too many, or together.
    """
    threshold = threshold_read()
    if threshold is None or all(tick.time >= threshold for tick in ticks):
        return [list(ticks)]
    late = [tick for tick in ticks if tick.time < threshold]
    on_time = [tick for tick in ticks if tick.time >= threshold]
    for length in (timedelta(hours=1), timedelta(days=1)):
        groups: dict[int, list[Tick]] = defaultdict(list)
        for tick in late:
            groups[(tick.time - _EPOCH) // length].append(tick)
        if len(groups) <= GROUPS_MAX:
            break
    else:
        groups = {0: late}
    return [*([on_time] if on_time else []), *groups.values()]


def minutes_refresh(minutes: Iterable[datetime]) -> None:
    """Refresh the candles that changed at these minutes, where they are written down already."""
    changed = sorted(set(minutes))
    threshold = threshold_read() if changed else None
    late = [minute for minute in changed if threshold is not None and minute < threshold]
    if late:
        span_refresh(late[0], late[-1] + timedelta(minutes=1))


def span_refresh(start: datetime, end: datetime, *, force: bool = False) -> bool:
    """Bring the candles of ``start`` up to ``end`` up to date with their ticks; returns whether it could.

    With ``force`` also where no change is noted. Must not be called in a transaction. What could not be done
    now the refresh policies do.
    """
    settled = utc_now() - OPEN_SPAN
    for level in LEVELS:
        window = _window(level, start, end, settled)
        for low, high in _parts(level, *window) if window else ():
            if not _window_refresh(level, low, high, force):
                return False
    return True


def _parts(level: Level, low: datetime | None, high: datetime) -> Iterator[tuple[datetime | None, datetime]]:
    """Cut hours by the day, in which they may be written down together: see ``Level.batch``."""
    if level is HOURS and low is not None:
        while (after := DAYS.ceil(low + timedelta(microseconds=1))) < high:
            yield low, after
            low = after
    yield low, high


def _window(
    level: Level, start: datetime, end: datetime, settled: datetime
) -> tuple[datetime | None, datetime] | None:
    """Return what to refresh of one level, None for nothing.

    Open buckets stay open. Where the window reaches beyond the watermark it begins at the watermark, since
    everything below the new one counts as written down; from the beginning when there is none yet.
    """
    low, high = level.floor(start), min(level.ceil(end), level.floor(settled))
    if low >= high:
        return None
    watermark = _mark_read(_WATERMARK_SQL, (level.table,))
    if watermark is None:
        return None, high
    return min(low, watermark), high


def _window_refresh(level: Level, low: datetime | None, high: datetime, force: bool) -> bool:
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            _window_write(level, low, high, force)
            return True
        except DatabaseError as error:
            if not isinstance(error.__cause__, _BUSY) or attempt == ATTEMPTS_MAX:
                logger.warning("%s is left to its refresh policy: %s", level.table, error)
                return False
            time.sleep(RETRY_PAUSE_S)
    return False


def _window_write(level: Level, low: datetime | None, high: datetime, force: bool) -> None:
    batch = 0 if level is HOURS else level.batch
    with connections[OWNER_ALIAS].cursor() as cursor:
        # The extension's conditions on buckets make the server expect few rows, and sort a million at random.
        # By index ticks come nearly in order, and above the first level what is not written down yet is found
        # to be nothing at once; row by row the watermark would be asked for with each of a day's ticks.
        cursor.execute("SET enable_seqscan = off")
        try:
            cursor.execute(
                f"CALL refresh_continuous_aggregate('{level.table}', %s::timestamptz, %s::timestamptz, "
                "force => %s, options => jsonb_build_object('buckets_per_batch', %s, "
                "'refresh_newest_first', false))",
                (low, high, force, batch),
            )
        finally:
            cursor.execute("RESET enable_seqscan")


_BUSY = (errors.LockNotAvailable, errors.ObjectInUse, errors.SerializationFailure, errors.DeadlockDetected)
"""Somebody refreshes the same span: ours comes after it, since theirs may not have seen our ticks."""
