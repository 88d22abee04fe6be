"""Quotes are written down as the tape tells them: once, by one recorder, whatever fails meanwhile."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import orjson
import pytest
from django.db import OperationalError, connections
from django_redis import get_redis_connection
from redis.exceptions import ConnectionError as RedisAway

from apps.marketdata import quotes_recorder
from apps.marketdata.keyed import Quote, quotes_newest
from apps.marketdata.models import MarketDataQuote
from apps.marketdata.quotes_recorder import QuoteRecorder, quotes_record, quotes_write
from apps.marketdata.tape import tape_key
from apps.operations.metrics import metrics_text
from apps.primitives.clock import iso
from tests.support.house import until

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def tell(symbol: str, bid: str | None, ask: str | None, seconds: float = 0, size: int = 100) -> None:
    """Put the frame of a book with at most one level a side where the tape keeps its newest one."""
    sides = {"bids": [[bid, size]] if bid else [], "asks": [[ask, size]] if ask else []}
    frame = {"S": symbol, "seq": 1, "t": iso(START + timedelta(seconds=seconds)), "trades": [], "book": sides}
    get_redis_connection("default").set(tape_key(symbol), orjson.dumps(frame))


def recorded() -> list[tuple[Any, ...]]:
    rows = MarketDataQuote.objects.order_by("symbol", "time")
    return [(row.symbol, row.bid_price, row.ask_price, row.bid_size, row.ask_size) for row in rows]


@pytest.fixture
def recorder(database: None) -> QuoteRecorder:
    return QuoteRecorder(get_redis_connection("default"), lambda: ["AAPL", "MSFT", "IBM"])


def test_what_changed_at_the_top_is_written_and_nothing_else(recorder: QuoteRecorder) -> None:
    tell("AAPL", "99.5", "100.5")
    tell("MSFT", None, "51")
    recorder.look()
    tell("AAPL", "99.5", "100.5", seconds=1)  # a new frame, the same top
    recorder.look()
    tell("AAPL", "99.6", "100.5", seconds=2)
    recorder.look()
    recorder.write()
    assert recorded() == [
        ("AAPL", Decimal("99.5"), Decimal("100.5"), 100, 100),
        ("AAPL", Decimal("99.6"), Decimal("100.5"), 100, 100),
        ("MSFT", None, Decimal("51"), 0, 100),
    ]
    assert quotes_newest(["AAPL", "IBM"]) == {
        "AAPL": Quote(START + timedelta(seconds=2), "AAPL", Decimal("99.6"), 100, Decimal("100.5"), 100)
    }


def test_a_recorder_that_starts_again_writes_nothing_twice(recorder: QuoteRecorder) -> None:
    tell("AAPL", "99.5", "100.5")
    recorder.look()
    recorder.write()
    successor = QuoteRecorder(recorder.redis, lambda: ["AAPL"])
    successor.look()
    assert len(successor.pending) == 1
    successor.write()
    assert len(recorded()) == 1


def test_quotes_wait_for_the_database_in_bounds_and_what_it_refuses_holds_up_nothing(
    recorder: QuoteRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell("AAPL", "99.5", "100.5")
    recorder.look()
    with (
        mock.patch.object(quotes_recorder, "quotes_write", side_effect=OperationalError("away")),
        pytest.raises(OperationalError),
    ):
        recorder.write()
    assert len(recorder.pending) == 1
    monkeypatch.setattr(quotes_recorder, "PENDING_MAX", 2)
    for second in range(1, 4):
        tell("AAPL", f"9{second}", "100.5", seconds=second)
        recorder.look()
    assert [quote.bid_price for quote in recorder.pending] == [92, 93]
    recorder.pending.append(Quote(START, "MSFT", Decimal("1e9"), 1, None, 0))
    recorder.write()
    assert (recorder.pending, recorded()) == ([], [])
    tell("AAPL", "97", "100.5", seconds=9)
    recorder.look()
    recorder.write()
    assert [row[1] for row in recorded()] == [97]


def test_writing_is_all_or_nothing(database: None) -> None:
    good = Quote(START, "AAPL", Decimal(1), 1, None, 0)
    with pytest.raises(Exception, match="sides"):
        quotes_write([good, Quote(START, "MSFT", None, 5, None, 0)])
    assert recorded() == []
    assert quotes_write([good, good]) == 1
    assert quotes_write([]) == 0


Recording = Callable[[QuoteRecorder], threading.Event]


@pytest.fixture
def recording(database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    """Run recorders in threads with sessions of their own; each ends with its event, all with the test."""
    for name, value in (("LOOK_S", 0.01), ("WRITE_S", 0.02), ("WAIT_S", 0.05)):
        monkeypatch.setattr(quotes_recorder, name, value)
    running: list[tuple[threading.Event, threading.Thread]] = []

    def start(recorder: QuoteRecorder) -> threading.Event:
        stopping = threading.Event()

        def run() -> None:
            try:
                quotes_record(recorder, stopping)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        running.append((stopping, thread))
        return stopping

    yield start
    for stopping, thread in running:
        stopping.set()
        thread.join(timeout=10)


def test_one_records_and_the_next_takes_over_when_it_is_gone(
    recorder: QuoteRecorder, recording: Recording
) -> None:
    assert b"openbell_quotes_recorder_present 0.0" in metrics_text()
    second = QuoteRecorder(recorder.redis, lambda: ["AAPL"])
    tell("AAPL", "99", "101")
    first_stops = recording(recorder)
    until(lambda: len(recorded()) == 1, "the first quote")
    recording(second)
    tell("AAPL", "98", "101", seconds=1)
    until(lambda: len(recorded()) == 2, "the second quote")
    assert b"openbell_quotes_recorder_present 1.0" in metrics_text()
    assert second._frames == {}, "the second has not even looked"
    first_stops.set()
    until(lambda: second._frames, "the successor looks")
    tell("AAPL", "97", "101", seconds=2)
    until(lambda: [row[1] for row in recorded()] == [99, 98, 97], "the successor writes")


def test_losing_redis_and_the_session_interrupts_the_recording_and_nothing_more(
    recorder: QuoteRecorder, recording: Recording
) -> None:
    tell("AAPL", "99", "101")
    recording(recorder)
    until(lambda: len(recorded()) == 1, "the first quote")
    with mock.patch.object(recorder.redis, "mget", side_effect=RedisAway("refused")):
        until(lambda: not _lock_holders(), "the lock is given up")
    until(_lock_holders, "the lock is taken again")
    with connections["marketdata"].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", _lock_holders()[:1])
    tell("AAPL", "98", "101", seconds=1)
    until(lambda: [row[1] for row in recorded()] == [99, 98], "the recording goes on")


def _lock_holders() -> list[int]:
    with connections["marketdata"].cursor() as cursor:
        cursor.execute(
            "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s "
            "AND d.datname = current_database()",
            (quotes_recorder.LOCK_CLASS,),
        )
        return [row[0] for row in cursor.fetchall()]
