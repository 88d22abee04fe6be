"""Candles on their way to clients: whole, as the store has them, at least once, whatever becomes of Redis."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django_redis import get_redis_connection
from redis import Redis

from apps.events.records import EventRecord
from apps.events.relay import SinkUnavailable
from apps.marketdata import live
from apps.marketdata.backends import Backend
from apps.marketdata.candles import Tick
from apps.marketdata.live import (
    CHANNEL_PREFIX,
    KEY_PREFIX,
    WAITING_MAX,
    CandleTape,
    candle_read,
    candle_tape,
    candle_wire,
)
from apps.marketdata.selectors import bars_at
from apps.marketdata.services import ticks_append
from apps.marketdata.subscribers import ticks_write
from apps.primitives.clock import iso

OPEN = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
DAY = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
NOWHERE = Redis.from_url("redis://127.0.0.1:1")


class Listener:
    """Subscribed to the candles of every symbol."""

    def __init__(self, redis: Redis) -> None:
        self.pubsub = redis.pubsub(ignore_subscribe_messages=True)
        self.pubsub.psubscribe(f"{CHANNEL_PREFIX}*")
        self.pubsub.get_message(timeout=1)

    def heard(self) -> list[dict[str, Any]]:
        found = []
        while message := self.pubsub.get_message(timeout=0.1):
            found.append(json.loads(message["data"]))
        return found


@pytest.fixture
def listener(backend: Backend) -> Iterator[Listener]:
    candle_tape.cache_clear()
    found = Listener(get_redis_connection("default"))
    yield found
    found.pubsub.close()


def tick(number: int, second: int, price: str = "100.00", symbol: str = "AAPL") -> Tick:
    return Tick(number, OPEN + timedelta(seconds=second), symbol, Decimal(price), 10)


def traded(*ticks: Tick) -> list[EventRecord]:
    """Return the events of these trades, of which every trade has two."""
    return [
        EventRecord(
            id=2 * one.trade_id + n,
            topic="trades",
            event_type="TRADE_EXECUTED",
            user_id=1,
            account_id=None,
            account_seq=None,
            timestamp=one.time,
            data_text=json.dumps(
                {
                    "trade_id": one.trade_id,
                    "side": side,
                    "symbol": one.symbol,
                    "price": str(one.price),
                    "quantity": one.quantity,
                    "executed_at": iso(one.time),
                    "aggressor_side": "BUY",
                }
            ),
            metadata_text="{}",
            xact_id=1,
        )
        for one in ticks
        for n, side in enumerate(("BUY", "SELL"))
    ]


def counts(message: dict[str, Any]) -> list[int]:
    return [candle["n"] for candle in message["minutes"]]


def test_changed_minutes_and_their_day_are_published_as_the_store_has_them(listener: Listener) -> None:
    ticks_write(traded(tick(1, 0, "100.00"), tick(2, 59, "101.00"), tick(3, 60, "99.50")))
    (message,) = listener.heard()
    assert (message["S"], counts(message)) == ("AAPL", [2, 1])
    stored = bars_at([("AAPL", OPEN), ("AAPL", OPEN + timedelta(minutes=1))])
    assert [candle_read(one) for one in message["minutes"]] == [bar for _, bar in sorted(stored.items())]
    assert message["minutes"][0]["vw"] == "100.500000"
    (day,) = message["days"]
    assert (day["t"], day["o"], day["h"], day["l"], day["c"]) == (
        "2026-11-20T05:00:00.000000Z", "100.0000", "101.0000", "99.5000", "99.5000",
    )  # fmt: skip
    assert (day["v"], day["n"]) == (30, 3)


def test_a_candle_travels_exactly(listener: Listener) -> None:
    ticks_append([tick(1, 0, "0.0001"), tick(2, 1, "999999.9999")])
    (bar,) = bars_at([("AAPL", OPEN)]).values()
    assert candle_read(json.loads(json.dumps(candle_wire(bar)))) == bar


def test_events_that_come_again_are_published_again(listener: Listener) -> None:
    """Who died between storing and telling has told nobody; its ticks are known when they come again."""
    events = traded(tick(1, 0))
    ticks_append([tick(1, 0)])
    assert listener.heard() == []
    ticks_write(events)
    ticks_write(events)
    assert [counts(message) for message in listener.heard()] == [[1], [1]]


def test_a_late_trade_corrects_its_minute_and_leaves_the_newest_to_late_joiners(listener: Listener) -> None:
    redis = get_redis_connection("default")
    ticks_write(traded(tick(1, 0), tick(2, 120)))
    ticks_write(traded(tick(3, 30)))
    assert [counts(message) for message in listener.heard()] == [[1, 1], [2]]
    kept = json.loads(redis.get(KEY_PREFIX + "AAPL"))
    assert [candle["t"] for candle in kept["minutes"]] == ["2026-11-20T15:02:00.000000Z"]
    assert 0 < redis.ttl(KEY_PREFIX + "AAPL")


def test_while_redis_is_away_ticks_are_stored_and_their_minutes_wait(listener: Listener) -> None:
    redis = get_redis_connection("default")
    tape = CandleTape(NOWHERE)
    ticks = [tick(1, 0), tick(2, 60), tick(3, 0, symbol="MSFT")]
    for one in ticks:
        ticks_append([one])
        tape.tell([one])
        tape.broken_until = 0.0
    assert list(tape.waiting) == [("AAPL", OPEN), ("AAPL", OPEN + timedelta(minutes=1)), ("MSFT", OPEN)]
    tape.redis = redis
    tape.tell([])
    assert {message["S"]: counts(message) for message in listener.heard()} == {"AAPL": [1, 1], "MSFT": [1]}
    assert not tape.waiting
    tape.tell([])
    assert listener.heard() == []


def test_what_waits_for_redis_is_bounded(database: None) -> None:
    tape = CandleTape(NOWHERE)
    tape.broken_until = float("inf")
    tape.tell([tick(n, 60 * n) for n in range(WAITING_MAX + 5)])
    assert len(tape.waiting) == WAITING_MAX
    assert ("AAPL", OPEN) not in tape.waiting


def test_no_trades_tell_nothing(listener: Listener) -> None:
    ticks_write([])
    assert listener.heard() == []


def test_a_database_that_goes_away_before_the_telling_only_makes_the_relay_wait(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*rest: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(live, "bars_at", gone)
    candle_tape.cache_clear()
    with pytest.raises(SinkUnavailable, match="market data"):
        ticks_write([trade_event()])


def trade_event() -> EventRecord:
    data = {
        "side": "BUY",
        "executed_at": iso(OPEN),
        "trade_id": 1,
        "symbol": "AAPL",
        "price": "10.00",
        "quantity": 3,
    }
    return EventRecord(1, "trades-events", "TRADE_EXECUTED", 1, 1, 1, OPEN, json.dumps(data), "{}", 1)
