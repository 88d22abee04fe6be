"""The active-order view in Redis shows exactly the live orders, whatever is repeated, lost or killed."""

import os
import signal
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django_redis import get_redis_connection

from apps.events.models import Event
from apps.events.records import EventRecord
from apps.events.relay import Relay, SinkUnavailable, relay_run
from apps.orders.models import LiveOrder
from apps.orders.services import view
from apps.orders.subscribers import orders_view_standing, orders_view_write
from brokerage.supervisor.valkey import TEST_SETTINGS, EmbeddedValkey
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange


def relay_make() -> Relay:
    return Relay("view", orders_view_write, orders_view_standing)


def caught_up(relay: Relay) -> None:
    """Step until nothing waits: an open transaction on the server, anybody's, delays events."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        relay.place_take()
        while relay.step():
            pass
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM events WHERE (xact_id, id) > (%s::text::xid8, %s)",
                (str(relay.position.xact_id), relay.position.event_id),
            )
            if not cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise TimeoutError("events still wait")


def shown() -> dict[str, Any]:
    """Return all that Redis shows of orders."""
    redis = get_redis_connection("default")
    hashes = {key.decode(): redis.hgetall(key) for key in redis.scan_iter("order:*")}
    sets = {
        key.decode(): redis.zrange(key, 0, -1)
        for pattern in ("user:*:orders", "symbol:*:orders")
        for key in redis.scan_iter(pattern)
    }
    return hashes | sets


def wanted() -> set[str]:
    live = list(LiveOrder.objects.all())
    return (
        {f"order:{order.order_id}" for order in live}
        | {f"user:{order.user_id}:orders" for order in live}
        | {f"symbol:{order.symbol}:orders" for order in live}
    )


def test_view_follows_an_order_until_it_ends(exchange: Exchange) -> None:
    ada, redis, relay = trader_open(cash="1000.00"), get_redis_connection("default"), relay_make()
    order = ada.buy(5, "100.00")
    caught_up(relay)
    key = f"order:{order.order_id}"
    assert redis.hget(key, "status") == b"PENDING"
    exchange.run()
    caught_up(relay)
    assert redis.hgetall(key) == {
        b"user_id": str(ada.user_id).encode(),
        b"symbol": b"AAPL",
        b"side": b"BUY",
        b"price": b"100.0000",
        b"quantity": b"5",
        b"status": b"NEW",
        b"created_at": redis.hget(key, "created_at"),
    }
    assert redis.ttl(key) > 86_000
    assert redis.zrange(f"user:{ada.user_id}:orders", 0, -1) == [str(order.order_id).encode()]
    assert redis.zrange("symbol:AAPL:orders", 0, -1) == [str(order.order_id).encode()]
    ada.cancel(order)
    exchange.run()
    caught_up(relay)
    assert shown() == {}
    assert Event.objects.filter(event_type="ORDER_CANCELLED").count() == 1


def test_repeated_and_late_events_bring_no_ended_order_back(exchange: Exchange) -> None:
    told: list[EventRecord] = []
    ada = trader_open(cash="1000.00")
    gone, stays = ada.buy(5, "100.00"), ada.buy(1, "99.00")
    exchange.run()
    ada.cancel(gone)
    exchange.run()
    recorder = Relay("recorder", told.extend)
    relay = relay_make()
    caught_up(relay)
    while len(told) < Event.objects.count():
        recorder.step()
    whole = shown()
    assert f"order:{stays.order_id}" in whole and f"order:{gone.order_id}" not in whole
    for one in told:
        orders_view_write([one])
        assert shown() == whole
    orders_view_write(list(reversed(told)))
    assert shown() == whole


def test_emptied_redis_is_filled_again_before_the_relay_goes_on(exchange: Exchange) -> None:
    ada, relay = trader_open(cash="1000.00"), relay_make()
    first = ada.buy(5, "100.00")
    exchange.run()
    caught_up(relay)
    before = shown()
    get_redis_connection("default").flushall()
    second = ada.buy(1, "99.00")
    caught_up(relay)
    assert shown().items() >= {k: v for k, v in before.items() if k.startswith("order:")}.items()
    assert set(shown()) == wanted()
    assert {f"order:{o.order_id}" for o in (first, second)} <= set(shown())


def test_rebuild_takes_out_strangers_and_puts_in_what_is_missing(exchange: Exchange) -> None:
    ada, relay, redis = trader_open(cash="9000.00"), relay_make(), get_redis_connection("default")
    orders = [ada.buy(1, "100.00") for _ in range(7)]
    caught_up(relay)
    redis.delete(f"order:{orders[0].order_id}")
    redis.zrem("symbol:AAPL:orders", str(orders[1].order_id))
    redis.hset("order:12345", "status", "NEW")
    redis.zadd("symbol:AAPL:orders", {"12345": 1})
    redis.zadd("user:99:orders", {"12345": 1})
    redis.set("order:of-somebody-else", "kept")
    out = StringIO()
    call_command("redis_rebuild", stdout=out)
    assert "7 live orders are in Redis" in out.getvalue()
    assert redis.get("order:of-somebody-else") == b"kept"
    redis.delete("order:of-somebody-else")
    assert set(shown()) == wanted()
    assert len(redis.zrange("symbol:AAPL:orders", 0, -1)) == 7


def test_orders_that_end_and_begin_during_a_rebuild_are_right_after_it(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "PAGE_ORDERS", 2)
    ada, relay = trader_open(cash="9000.00"), relay_make()
    orders = [ada.buy(1, "100.00") for _ in range(8)]
    exchange.run()
    caught_up(relay)

    def trade_on(done: int, total: int) -> None:
        # A page was read and written; the world and the relay do not stand still.
        if done <= 6:
            ada.cancel(orders[done - 1])
            ada.buy(1, "98.00")
            exchange.run()
        with pytest.raises(SinkUnavailable):
            relay.step()
            orders_view_standing()

    assert view.view_rebuild(trade_on) >= 8
    caught_up(relay)
    assert set(shown()) == wanted()
    assert not any(f"order:{orders[n].order_id}" in shown() for n in (1, 3, 5))


def test_second_rebuild_at_once_is_refused(exchange: Exchange) -> None:
    lock = get_redis_connection("default").lock(view.LOCK_KEY, timeout=30)
    assert lock.acquire(blocking=False)
    with pytest.raises(CommandError, match="being rebuilt already"):
        call_command("redis_rebuild")
    lock.release()


@pytest.fixture
def valkey(tmp_path: Path, settings: Any) -> Iterator[EmbeddedValkey]:
    """A Valkey of the test's own, which it may kill, in place of the suite's."""
    with EmbeddedValkey(tmp_path / "valkey", settings=TEST_SETTINGS) as server:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": server.url(0)}}
        yield server


def test_killed_valkey_stops_nothing_and_is_filled_again(exchange: Exchange, valkey: EmbeddedValkey) -> None:
    ada, relay = trader_open(cash="9000.00"), relay_make()
    first = ada.buy(1, "100.00")
    exchange.run()
    caught_up(relay)
    assert set(shown()) == wanted()
    os.kill(valkey.pid, signal.SIGKILL)
    second = _order_while_away(ada, exchange, relay)
    with pytest.raises(CommandError, match="does not answer"):
        call_command("redis_rebuild")
    valkey.start()
    deadline = time.monotonic() + 20

    def done() -> bool:
        return time.monotonic() > deadline or relay.position.event_id >= second

    relay_run(relay, lambda s: time.sleep(0.05), done)
    assert set(shown()) == wanted() and f"order:{first.order_id}" in shown()


def _order_while_away(ada: Trader, exchange: Exchange, relay: Relay) -> int:
    ada.buy(1, "99.00")
    exchange.run()
    deadline = time.monotonic() + 10
    with pytest.raises(SinkUnavailable):
        while time.monotonic() < deadline:
            relay.step()
    newest = Event.objects.order_by("-id").first()
    assert newest is not None
    return newest.id


def test_view_that_lost_its_last_second_gets_it_again(exchange: Exchange) -> None:
    ada, relay, redis = trader_open(cash="9000.00"), relay_make(), get_redis_connection("default")
    ada.buy(1, "100.00")
    exchange.run()
    caught_up(relay)
    old = {key: redis.dump(key) for key in redis.keys("*")}
    ada.buy(1, "99.00")
    exchange.run()
    caught_up(relay)
    whole = set(shown())
    # What a server does that dies between two writes of its file.
    redis.flushall()
    for key, value in old.items():
        redis.restore(key, 0, value)
    epoch = relay.position.stream_epoch
    caught_up(relay)
    assert set(shown()) == whole == wanted()
    assert relay.position.stream_epoch == epoch + 1
