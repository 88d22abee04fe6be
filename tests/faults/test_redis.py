"""F15, F16 and F17: Redis forgets, dies, hangs or is full; orders are taken and matched all the same."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from redis import Redis

from apps.access.services import api_key_issue
from apps.events.facts import SYSTEM
from brokerage.supervisor.valkey import TEST_SETTINGS, EmbeddedValkey
from tests.faults.conftest import ROUNDS
from tests.support.builders import Trader
from tests.support.house import House, Load, until

POLL_S_MAX = 1.0
"""A lost wake-up costs one poll of 50 ms; the rest is for a busy machine."""


def fill_latencies(house: House) -> list[float]:
    """Return how long each order waited for its runner, in seconds."""
    sql = (
        "SELECT extract(epoch FROM j.recorded_at - o.created_at) FROM matching_journal j "
        "JOIN orders o USING (order_id) WHERE j.kind = 'NEW' ORDER BY 1"
    )
    return [float(row[0]) for row in house.rows(sql)]


def test_orders_are_matched_while_redis_forgets_and_hangs_up_all_the_time(
    house: House, traders: list[Trader]
) -> None:
    """F15: every key is gone, every listener is cut off, again and again: the poll finds the commands."""
    redis = Redis.from_url(house.place.env["REDIS_URL"])
    house.leader()
    ending = threading.Event()

    def forget() -> None:
        while not ending.wait(0.01):
            redis.flushall()
            redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    thread = threading.Thread(target=forget)
    thread.start()
    try:
        with Load(house, traders, seed=15, pause_s=0.02):
            time.sleep(2 + 58 * (ROUNDS > 0))
    finally:
        ending.set()
        thread.join()
    house.books_hold()
    latencies = fill_latencies(house)
    assert len(latencies) > 20
    assert latencies[len(latencies) // 2] < 0.25
    assert latencies[-1] < POLL_S_MAX


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey that the test may kill."""
    with EmbeddedValkey(tmp_path / "valkey", settings=TEST_SETTINGS) as server:
        yield server


class Desk:
    """The platform's web process, runner and relay on a Redis of their own, and a client."""

    def __init__(self, house: House, valkey: EmbeddedValkey, traders: list[Trader]) -> None:
        self.house = house
        env = {"REDIS_URL": valkey.url(0)}
        house.leader(**env)
        _, self.url = house.web(**env)
        house.relay(**env)
        self.sessions = [self._session(trader) for trader in traders]
        self.redis = Redis.from_url(env["REDIS_URL"], socket_timeout=2)

    def _session(self, trader: Trader) -> requests.Session:
        session = requests.Session()
        key_id, secret = api_key_issue(account_id=trader.account_id, origin=SYSTEM)
        session.headers.update({"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret})
        return session

    def trade(self) -> None:
        """Sell one share to the other by HTTP, and wait until the books say so."""
        before = self.trades()
        for session, side in zip(self.sessions, ("sell", "buy"), strict=True):
            body = {"symbol": "AAPL", "qty": "1", "side": side, "type": "limit", "limit_price": "100.00"}
            answer = session.post(f"{self.url}/v2/orders", json={**body, "time_in_force": "gtc"}, timeout=30)
            assert answer.status_code == 200, answer.text
        until(lambda: self.trades() == before + 1, "the trade is booked", 10)

    def trades(self) -> int:
        return int(self.house.rows("SELECT count(*) FROM trades")[0][0])

    def live_in_view(self) -> set[str]:
        return {key.decode() for key in self.redis.scan_iter("order:*")}


def test_trading_goes_on_while_redis_is_dead_and_its_views_are_rebuilt(
    house: House, traders: list[Trader], valkey: EmbeddedValkey
) -> None:
    """F16: killed, and started again with nothing in it."""
    desk = Desk(house, valkey, traders)
    desk.trade()
    resting = house.sent(traders[0].buy(1, "98.00"))
    os.kill(valkey.pid, signal.SIGKILL)
    valkey.stop()
    desk.trade()
    for path in valkey.data_dir.rglob("*"):
        if path.is_file():
            path.unlink()
    valkey.start()
    desk.trade()
    desk.redis = Redis.from_url(valkey.url(0), socket_timeout=2)
    done = house.child(manage_main, "redis_rebuild", REDIS_URL=valkey.url(0))
    assert done.exit_code() == 0
    until(
        lambda: f"order:{resting.order_id}" in desk.live_in_view(), "the working order is in the view again"
    )
    house.books_hold()


def test_trading_goes_on_while_redis_hangs(
    house: House, traders: list[Trader], valkey: EmbeddedValkey
) -> None:
    """F16: it is there, and does not answer. Every wait for it has an end."""
    desk = Desk(house, valkey, traders)
    desk.trade()
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        desk.trade()
        time.sleep(1 + 4 * (ROUNDS > 0))
        desk.trade()
    finally:
        os.kill(valkey.pid, signal.SIGCONT)
    desk.trade()
    house.books_hold()


def test_no_order_is_lost_while_redis_is_full(
    house: House, traders: list[Trader], valkey: EmbeddedValkey
) -> None:
    """F17: it refuses every write; reads, wake-ups and deletions still work."""
    desk = Desk(house, valkey, traders)
    desk.trade()
    desk.redis.config_set("maxmemory-policy", "noeviction")
    desk.redis.config_set("maxmemory", "1")
    try:
        desk.trade()
        desk.trade()
    finally:
        desk.redis.config_set("maxmemory", "0")
    desk.trade()
    house.books_hold()


def manage_main(*arguments: str) -> None:
    """Run a management command."""
    from django.core.management import call_command

    call_command(*arguments)
