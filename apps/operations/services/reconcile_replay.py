"""Price-time priority, proved anew: what was just matched, matched again by the book written to be right.

Between two readings of the database a few seconds pass. The books as the first one has them go into the
reference book, the journal's commands since then are applied, and out of it must come exactly the trades that
were booked, and exactly the books that the second reading has.
"""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import psycopg
from django.conf import settings

from apps.matching.codes import BOOKS_MAX, ORDERS_MAX, ExecType
from apps.matching.messages import BookState
from apps.matching.recovery import books_restore, committed_read, one_reading
from apps.matching.reference import ReferenceEngine
from apps.matching.replay import JournalBroken, journal_chunks
from apps.operations.services.reconcile import Result, comparison
from apps.orders.book_state import book_state_load
from apps.primitives.ids import id_floor
from apps.primitives.money import PRICE_SCALE
from apps.trades.replay import MatchedTrade, trades_of
from apps.trades.worker import runner_connect

NAME = "I5.replay"
TITLE = "the reference book makes of the newest commands exactly the trades and books that there are"
WINDOW_S = 3.0
OPEN_ORDERS_MAX = 20_000
"""Beyond that the reference book takes too long; `manage.py matching_replay` proves with the engine."""

COMMANDS_MAX = 20_000
BATCH_MAX = timedelta(minutes=1)
"""For how long a batch can have been under way at the first reading, its trades' ids drawn already."""

OPEN_COUNT_SQL = """
SELECT count(*) FROM (SELECT 1 FROM live_orders WHERE matching_partition = %s LIMIT %s) AS open
"""

CLOCK_SQL = "SELECT clock_timestamp()"

WINDOW_TRADES_SQL = f"""
SELECT t.match_seq, t.match_n, t.buy_order_id, t.sell_order_id, i.instrument_id,
       (t.price * {PRICE_SCALE})::bigint, t.quantity, t.aggressor_side
FROM trades t LEFT JOIN instruments i ON i.symbol = t.symbol
WHERE t.trade_id > %s AND t.matching_partition = %s AND t.match_seq > %s AND t.match_seq <= %s
ORDER BY t.match_seq, t.match_n
"""


class NotReplayable(RuntimeError):
    """There is too much of it for the reference book; the message says of what."""


class Reading(NamedTuple):
    """A partition's books at one committed sequence."""

    seq: int
    state: BookState


def replay_reconcile(pause: Callable[[], None] = lambda: time.sleep(WINDOW_S)) -> Result:
    """Replay what is matched while ``pause`` lasts, in every partition."""
    return comparison(NAME, TITLE, lambda: _all_differences(pause), psycopg.Error, NotReplayable)


def _all_differences(pause: Callable[[], None]) -> Iterator[dict[str, Any]]:
    with runner_connect() as connection:
        for matching_partition in settings.MATCHING_PARTITIONS:
            for row in _differences(connection, matching_partition, pause):
                yield {"matching_partition": matching_partition, **row}


def _differences(
    connection: "psycopg.Connection[Any]", matching_partition: int, pause: Callable[[], None]
) -> Iterator[dict[str, Any]]:
    with one_reading(connection) as cursor:
        low = id_floor(cursor.execute(CLOCK_SQL).fetchone()[0] - BATCH_MAX)
        before = _read(cursor, matching_partition)
    pause()
    try:
        with one_reading(connection) as cursor:
            after = _read(cursor, matching_partition)
            if after.seq - before.seq > COMMANDS_MAX:
                raise NotReplayable(f"{after.seq - before.seq} commands in one window")
            chunks = list(journal_chunks(cursor, matching_partition, before.seq, after.seq))
            cursor.execute(WINDOW_TRADES_SQL, (low, matching_partition, before.seq, after.seq))
            booked = [MatchedTrade(*row) for row in cursor.fetchall()]
    except JournalBroken as error:
        yield {"what": str(error)}
        return
    yield from _compare(before, after, chunks, booked)


def _read(cursor: Any, matching_partition: int) -> Reading:
    count = cursor.execute(OPEN_COUNT_SQL, (matching_partition, OPEN_ORDERS_MAX + 1)).fetchone()[0]
    if count > OPEN_ORDERS_MAX:
        raise NotReplayable(f"more than {OPEN_ORDERS_MAX} open orders: use manage.py matching_replay")
    seq = committed_read(cursor, matching_partition).seq
    return Reading(seq, book_state_load(cursor, matching_partition))


def _compare(
    before: Reading, after: Reading, chunks: list[np.ndarray], booked: list[MatchedTrade]
) -> Iterator[dict[str, Any]]:
    replayed, reread = _reference(before.state), _reference(after.state)
    matched: list[MatchedTrade] = []
    for records in chunks:
        events = replayed.process(records)
        matched += trades_of(events[events["exec_type"] == ExecType.TRADE])
    for trade in sorted(set(matched) ^ set(booked)):
        yield {"only_in": "replay" if trade in matched else "trades", "trade": str(trade)}
    for book in sorted({book.symbol_id for engine in (replayed, reread) for book in engine.books()}):
        if replayed.state_hash(book) != reread.state_hash(book):
            yield {
                "instrument_id": book,
                "what": "the open orders are not what the commands leave",
                "from_seq": before.seq,
                "to_seq": after.seq,
            }


def _reference(state: BookState) -> ReferenceEngine:
    engine = ReferenceEngine(max_orders=ORDERS_MAX, max_books=BOOKS_MAX)
    books_restore(engine, state)
    return engine
