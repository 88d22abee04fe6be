"""Ticks are appended once, whoever repeats them, and their candles are exact in whatever order they come."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from threading import Thread

import pytest
from django.db import connections, transaction

from apps.events.records import EventRecord
from apps.events.relay import SinkUnavailable
from apps.marketdata.backends import Backend
from apps.marketdata.rollup import days_lock
from apps.marketdata.selectors import Tick, bar_list, tick_list
from apps.marketdata.services import Appended, ticks_append, ticks_from_events
from apps.marketdata.subscribers import ticks_write
from apps.primitives.clock import utc_now
from apps.primitives.errors import Invalid

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
END = START + timedelta(days=2)


def make_ticks(count: int, seed: int = 1, symbol: str = "AAPL") -> list[Tick]:
    rng = Random(seed)
    return [
        Tick(
            trade_id=1000 + n,
            time=START + timedelta(seconds=n // 3),
            symbol=symbol,
            price=Decimal(rng.randint(9_000, 11_000)) / 100,
            quantity=rng.randint(1, 300),
            side=rng.choice(("BUY", "SELL")),
        )
        for n in range(count)
    ]


def assert_day_is(ticks: Sequence[Tick]) -> None:
    (day,) = bar_list(ticks[0].symbol, "1D", end=END)
    assert (day.open, day.close) == (ticks[0].price, ticks[-1].price)
    assert day.high == max(tick.price for tick in ticks)
    assert day.low == min(tick.price for tick in ticks)
    assert day.volume == sum(tick.quantity for tick in ticks)


def test_a_tick_appended_again_changes_nothing(backend: Backend) -> None:
    ticks = make_ticks(500)
    assert ticks_append(ticks).added == 500
    before = bar_list("AAPL", "1m", end=END)
    assert ticks_append(ticks) == Appended(0, ())
    assert ticks_append([ticks[7], ticks[7]]) == Appended(0, ())
    assert bar_list("AAPL", "1m", end=END) == before
    assert_day_is(ticks)


@pytest.mark.parametrize("seed", range(5))
def test_candles_do_not_depend_on_the_order_or_the_batches_of_ticks(backend: Backend, seed: int) -> None:
    ticks, rng = make_ticks(700, seed), Random(seed)
    shuffled = rng.sample(ticks, len(ticks))
    while shuffled:
        size = rng.randint(1, 90)
        ticks_append(shuffled[:size])
        shuffled = shuffled[size:]
    assert_day_is(ticks)
    minutes = bar_list("AAPL", "1m", end=END)
    for bar in minutes:
        inside = [tick for tick in ticks if bar.time <= tick.time < bar.time + timedelta(minutes=1)]
        assert (bar.open, bar.close) == (inside[0].price, inside[-1].price)
        assert bar.volume == sum(tick.quantity for tick in inside)
    assert sum(bar.volume for bar in minutes) == sum(tick.quantity for tick in ticks)


def test_two_appenders_at_once_count_each_tick_once(backend: Backend) -> None:
    ticks, added = make_ticks(2_000), []

    def append(seed: int) -> None:
        mine = Random(seed).sample(ticks, len(ticks))
        for start in range(0, len(mine), 100):
            added.append(ticks_append(mine[start : start + 100]).added)
        connections["marketdata"].close()

    threads = [Thread(target=append, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(added) == len(ticks)
    assert_day_is(ticks)


def test_newest_trades_come_first_and_are_bounded(backend: Backend) -> None:
    now = utc_now()
    ticks = [Tick(n, now - timedelta(minutes=n), "AAPL", Decimal("10.0000"), n + 1) for n in range(40)]
    ticks_append(ticks)
    assert [tick.trade_id for tick in tick_list("AAPL", 25)] == list(range(25))
    assert len(tick_list("AAPL", 500)) == 40
    assert tick_list("MSFT", 5) == []


def test_each_trade_of_two_events_becomes_one_tick() -> None:
    buyer = {
        "trade_id": "77",
        "symbol": "AAPL",
        "side": "BUY",
        "price": Decimal("10.5000"),
        "quantity": 3,
        "executed_at": "2026-03-02T15:00:00.000001Z",
        "aggressor_side": "SELL",
    }
    (tick,) = ticks_from_events([buyer, {**buyer, "side": "SELL"}])
    assert tick == Tick(77, START + timedelta(microseconds=1), "AAPL", Decimal("10.5000"), 3, "SELL")


def test_a_float_price_is_refused() -> None:
    event = {"trade_id": "1", "symbol": "A", "side": "BUY", "price": 10.5, "quantity": 1}
    with pytest.raises(Invalid):
        ticks_from_events([{**event, "executed_at": "2026-03-02T15:00:00Z"}])


def trade_event(tick: Tick) -> EventRecord:
    data = {
        "trade_id": str(tick.trade_id),
        "symbol": tick.symbol,
        "side": "BUY",
        "price": str(tick.price),
        "quantity": tick.quantity,
        "executed_at": tick.time.isoformat(),
    }
    text = json.dumps(data)
    return EventRecord(1, "trades-events", "TRADE_EXECUTED", 7, None, None, tick.time, text, "{}", 1)


def test_the_sink_waits_where_a_day_is_made_anew_for_too_long(database: None) -> None:
    """It holds no other sink back, and nothing of its batch is lost."""
    tick = Tick(1, START, "AAPL", Decimal("10.0000"), 2)
    with connections["marketdata"].cursor() as mine, connections["marketdata_owner"].cursor() as other:
        mine.execute("SET lock_timeout = '100ms'")
        with transaction.atomic(using="marketdata_owner"):
            days_lock(other, [START], alone=True)
            with pytest.raises(SinkUnavailable):
                ticks_write([trade_event(tick)])
        mine.execute("RESET lock_timeout")
    ticks_write([trade_event(tick)])
    assert_day_is([tick])
