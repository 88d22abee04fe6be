"""kill -9 of the matching leader in mid-flow: nothing acknowledged is lost, and the books add up."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.support.platform import Platform

ROUNDS = int(os.environ.get("OPENBELL_TEST_FAULT_ROUNDS", "5"))
SEED = int(os.environ.get("OPENBELL_TEST_SEED", "20261122"))
pytestmark = [pytest.mark.platform, pytest.mark.timeout(60 + 30 * ROUNDS)]

SETUP = """
from decimal import Decimal
from apps.access.services import api_key_issue
from apps.accounts.services import account_open
from apps.events.facts import SYSTEM
from apps.operations.services.funding import cash_deposit, shares_issue
from tests.support.builders import market_open
market_open({"AAPL": Decimal("100.00")})
for number in range(4):
    account = account_open(username=f"fault-{number}", password=None, account_type="CASH", origin=SYSTEM)
    cash_deposit(account_id=account.account_id, amount=Decimal("5000000"), description="test",
                 origin=SYSTEM)
    shares_issue(account_id=account.account_id, symbol="AAPL", quantity=200000, unit_cost=Decimal("90"),
                 reason="test", origin=SYSTEM)
    print(*api_key_issue(account_id=account.account_id, origin=SYSTEM))
"""


@dataclass
class Load:
    """Clients that place and cancel orders over HTTP and remember every acknowledgement."""

    url: str
    keys: list[tuple[str, str]]
    acknowledged: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self.threads = [
            threading.Thread(target=self._client, args=(index, key)) for index, key in enumerate(self.keys)
        ]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=30)

    def _client(self, index: int, key: tuple[str, str]) -> None:
        chance = random.Random(SEED + index)
        session = requests.Session()
        session.headers.update({"APCA-API-KEY-ID": key[0], "APCA-API-SECRET-KEY": key[1]})
        while not self.stopping.is_set():
            try:
                self._act(chance, session)
            except requests.RequestException:
                time.sleep(0.05)

    def _act(self, chance: random.Random, session: requests.Session) -> None:
        order = {
            "symbol": "AAPL",
            "side": chance.choice(("buy", "sell")),
            "qty": str(chance.randint(1, 20)),
            "type": "limit",
            "limit_price": f"{chance.randint(9950, 10050) / 100:.2f}",
            "time_in_force": chance.choice(("day", "gtc", "ioc")),
        }
        answer = session.post(f"{self.url}/v2/orders", json=order, timeout=5)
        if answer.status_code != 200:
            return
        self.acknowledged.append(answer.json()["client_order_id"])
        if chance.random() < 0.3:
            session.delete(f"{self.url}/v2/orders/{answer.json()['id']}", timeout=5)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(demo=False) as running:
        yield running


def queue_drained(platform: Platform, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    with platform.connect() as connection:
        while time.monotonic() < deadline:
            row = connection.execute("SELECT count(*) FROM order_commands").fetchone()
            if row and row[0] == 0:
                return
            time.sleep(0.05)
    raise AssertionError("commands stay queued: nobody matches any more\n" + platform.log("matching")[-3000:])


def test_killed_leader_loses_nothing_and_books_nothing_twice(platform: Platform) -> None:
    keys = [tuple(line.split()) for line in platform.python(SETUP).splitlines()]
    chance = random.Random(SEED)
    epochs = []
    with Load(platform.url, keys) as load:  # type: ignore[arg-type]
        for round_number in range(ROUNDS):
            time.sleep(chance.uniform(0.2, 1.2))
            os.kill(platform.leader_pid(), signal.SIGKILL)
            epochs.append(platform.leader_pid())
            checked = platform.manage("reconcile")
            assert checked.returncode == 0, f"round {round_number}:\n{checked.stdout}{checked.stderr}"
    queue_drained(platform)
    checked = platform.manage("reconcile")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(load.acknowledged) > 20 * ROUNDS
    with platform.connect() as connection:
        found = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE o.status = 'PENDING') FROM order_client_keys k "
            "JOIN orders o USING (order_id) WHERE k.client_order_id = ANY(%s)",
            (load.acknowledged,),
        ).fetchone()
        trades = connection.execute("SELECT count(*) FROM trades").fetchone()
        epoch = connection.execute("SELECT epoch FROM matching_leader").fetchone()
        stale = connection.execute(
            "SELECT count(*) FROM (SELECT epoch < lag(epoch) OVER (ORDER BY seq) AS back, "
            "seq <> lag(seq) OVER (ORDER BY seq) + 1 AS gap FROM matching_journal) AS j WHERE back OR gap"
        ).fetchone()
    assert found == (len(load.acknowledged), 0)
    assert trades and trades[0] > 0
    assert epoch and epoch[0] > ROUNDS
    assert stale == (0,)
