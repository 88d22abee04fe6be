"""Writes down the top of each book as the tape tells it, so that quotes can be asked for later.

The newest frames are looked at four times a second, and what has changed is written once a second. Losing
Redis loses quotes and never a trade; a second recorder waits until the first is gone.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from threading import Event
from typing import Any

import orjson
from django.db import DatabaseError, DataError, IntegrityError, connections, transaction
from redis import Redis

from apps.marketdata.keyed import Quote
from apps.marketdata.tape import tape_key

logger = logging.getLogger(__name__)

ALIAS = "marketdata"
LOCK_CLASS = 0x0B_E15
"""First key of the advisory lock under which one session at a time records."""

LOOK_S = 0.25
"""A symbol has at most one quote in this time: what came and went within it is not told."""

WRITE_S = 1.0
SYMBOLS_S = 60.0
WAIT_S = 5.0
"""How long a recorder that is not wanted, or that cannot, waits before it tries again."""

PENDING_MAX = 100_000
"""Quotes that wait for a database that does not answer; the oldest of more are dropped."""

_ARRIVING_SQL = """
CREATE TEMPORARY TABLE IF NOT EXISTS quotes_arriving (LIKE market_data_quotes) ON COMMIT DELETE ROWS
"""
_COPY_SQL = "COPY quotes_arriving (time, symbol, bid_price, bid_size, ask_price, ask_size) FROM STDIN"

# The frame that a former recorder wrote down last is the first that its successor sees.
_WRITE_SQL = """
INSERT INTO market_data_quotes (time, symbol, bid_price, bid_size, ask_price, ask_size)
SELECT time, symbol, bid_price, bid_size, ask_price, ask_size FROM quotes_arriving
ON CONFLICT (symbol, time) DO NOTHING
"""


def quotes_write(quotes: Sequence[Quote]) -> int:
    """Write quotes down, all or none; those that are there already stay. Returns how many were new."""
    connection = connections[ALIAS]
    with transaction.atomic(using=ALIAS), connection.cursor() as cursor:
        cursor.execute(_ARRIVING_SQL)
        with connection.wrap_database_errors, cursor.copy(_COPY_SQL) as copy:
            for one in quotes:
                copy.write_row(
                    (one.time, one.symbol, one.bid_price, one.bid_size, one.ask_price, one.ask_size)
                )
        cursor.execute(_WRITE_SQL)
        return int(cursor.rowcount)


def quote_of_frame(frame: dict[str, Any]) -> Quote:
    """Return the top of the book that a frame of the tape tells."""
    bid, bid_size = _best(frame["book"]["bids"])
    ask, ask_size = _best(frame["book"]["asks"])
    told_at = datetime.fromisoformat(frame["t"])
    return Quote(told_at, frame["S"], bid, bid_size, ask, ask_size)


def _best(levels: list[list[Any]]) -> tuple[Decimal | None, int]:
    return (Decimal(levels[0][0]), int(levels[0][1])) if levels else (None, 0)


class QuoteRecorder:
    """One recorder: looks at the tape, keeps what has changed, and writes it while it holds the lock."""

    def __init__(self, redis: Redis, symbols_read: Callable[[], Sequence[str]]) -> None:
        self.redis = redis
        self.pending: list[Quote] = []
        self._symbols_read = symbols_read
        self._symbols: Sequence[str] = ()
        self._symbols_at = float("-inf")
        self._frames: dict[str, bytes | str] = {}
        self._tops: dict[str, tuple[Any, ...]] = {}

    def lock_take(self) -> bool:
        """Try to become the one that records; the lock goes with the session that holds it."""
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", (LOCK_CLASS,))
            return bool(cursor.fetchone()[0])

    def look(self) -> None:
        """Note the books whose top is another than when they were last looked at."""
        if time.monotonic() - self._symbols_at >= SYMBOLS_S:
            self._symbols, self._symbols_at = self._symbols_read(), time.monotonic()
        if not self._symbols:
            return
        frames = self.redis.mget([tape_key(symbol) for symbol in self._symbols])
        for symbol, raw in zip(self._symbols, frames, strict=True):
            if raw is not None and raw != self._frames.get(symbol):
                self._frames[symbol] = raw
                self._note(quote_of_frame(orjson.loads(raw)))
        if len(self.pending) > PENDING_MAX:
            logger.warning("%s quotes were not recorded", len(self.pending) - PENDING_MAX)
            del self.pending[:-PENDING_MAX]

    def _note(self, quote: Quote) -> None:
        top = (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size)
        if self._tops.get(quote.symbol) != top:
            self._tops[quote.symbol] = top
            self.pending.append(quote)

    def write(self) -> None:
        """Write what is pending; what cannot be written now stays pending."""
        if not self.pending:
            return
        try:
            quotes_write(self.pending)
        except (DataError, IntegrityError):
            # They would be refused for ever, and everything after them would wait.
            logger.exception("%s quotes are of no kind that can be kept", len(self.pending))
        self.pending = []


def quotes_record(recorder: QuoteRecorder, stopping: Event) -> None:
    """Record until told to stop; what fails is tried again, and ends nothing but the recording meanwhile."""
    leads, written_at = False, time.monotonic()
    while not stopping.is_set():
        began_at = time.monotonic()
        try:
            leads = leads or recorder.lock_take()
            if leads:
                recorder.look()
                if began_at - written_at >= WRITE_S:
                    recorder.write()
                    written_at = began_at
        except Exception as error:
            logger.warning("quotes are not recorded now: %r", error)
            # Whether the lock is still ours nobody knows: with its session it is given up.
            connections.close_all()
            leads = False
        stopping.wait(max(LOOK_S - (time.monotonic() - began_at), 0) if leads else WAIT_S)
    if leads:
        with suppress(DatabaseError):
            recorder.write()
