"""A market with real processes around it, and what must hold in its books after any fault."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import psycopg
from django.db import connections

from apps.orders.selectors import OrderView
from apps.primitives.errors import BrokerageError
from brokerage.supervisor.ports import port_answers, port_choose
from tests.support.books import books_problems
from tests.support.builders import Trader
from tests.support.processes import Child, Place, relay_main, runner_main, suite_place, web_main

_LEADER_SQL = """
SELECT l.pid, l.epoch FROM matching_leader l JOIN pg_stat_activity a ON a.pid = l.backend_pid
WHERE EXISTS (SELECT 1 FROM pg_locks k WHERE k.locktype = 'advisory' AND k.granted AND k.pid = l.backend_pid)
"""

# Each row is one contradiction. An epoch that goes back is a row of a leader that had been replaced.
_JOURNAL_SQL = """
SELECT 'journal', seq, epoch FROM (
    SELECT seq, epoch, lag(seq) OVER w AS last_seq, lag(epoch) OVER w AS last_epoch
    FROM matching_journal WINDOW w AS (PARTITION BY matching_partition ORDER BY seq)) AS j
WHERE seq <> last_seq + 1 OR epoch < last_epoch
UNION ALL
SELECT 'leader', l.seq, l.epoch FROM matching_leader l
WHERE l.seq <> (SELECT coalesce(max(seq), 0) FROM matching_journal j USING_PARTITION)
UNION ALL
SELECT 'trade twice', match_seq, match_n FROM trades
GROUP BY matching_partition, match_seq, match_n HAVING count(*) > 1
""".replace("USING_PARTITION", "WHERE j.matching_partition = l.matching_partition")

_LOST_SQL = """
SELECT a FROM unnest(%s::bigint[]) AS a
WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.order_id = a AND o.status <> 'PENDING')
"""


def until(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    """Wait until ``condition`` returns something true, and return it."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"not within {timeout_s:g} s: {what}")


class House:
    """Starts processes on one place and knows who leads; ends them all at the end."""

    def __init__(self, place: Place | None = None) -> None:
        self.place = place or suite_place()
        self.acknowledged: list[int] = []
        self._children = ExitStack()

    def __enter__(self) -> "House":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._children.__exit__(kind, error, trace)

    def child(self, main: Callable[..., None], *arguments: Any, failpoints: str = "", **env: str) -> Child:
        """Start any process on this place."""
        return self._children.enter_context(Child(main, self.place, *arguments, failpoints=failpoints, **env))

    def runner(self, failpoints: str = "", **env: str) -> Child:
        """Start a matching worker: it leads, or stands by while another does."""
        return self.child(runner_main, failpoints=failpoints, **env)

    def leader(self, failpoints: str = "", **env: str) -> Child:
        """Start a matching worker and wait until it leads."""
        child = self.runner(failpoints, **env)
        self.wait_leads(child)
        return child

    def relay(self, failpoints: str = "", **env: str) -> Child:
        return self.child(relay_main, failpoints=failpoints, **env)

    def web(self, failpoints: str = "", **env: str) -> tuple[Child, str]:
        """Start a web process; return it and its address."""
        port = port_choose()
        child = self.child(web_main, port, failpoints=failpoints, **env)
        until(lambda: port_answers(port), "the web process answers")
        return child, f"http://127.0.0.1:{port}"

    def connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(self.place.env["DATABASE_URL"], autocommit=True)

    def rows(self, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(sql, parameters).fetchall()

    def leader_now(self) -> tuple[int, int] | None:
        """Return the process id and epoch of whoever leads now."""
        found = self.rows(_LEADER_SQL)
        return (found[0][0], found[0][1]) if found else None

    def wait_leads(self, child: Child, timeout_s: float = 30.0) -> int:
        """Wait until this process leads; return its epoch."""

        def epoch() -> int | None:
            assert child.is_alive, f"it ended with {child.process.exitcode}:\n{child.log[-4000:]}"
            now = self.leader_now()
            return now[1] if now and now[0] == child.pid else None

        return int(until(epoch, "the process leads", timeout_s))

    def drained(self, timeout_s: float = 30.0) -> None:
        """Wait until no command is queued."""
        until(
            lambda: self.rows("SELECT count(*) FROM order_commands")[0][0] == 0, "the queue drains", timeout_s
        )

    def sent(self, order: OrderView) -> OrderView:
        """Remember an acknowledgement: the order must never be lost from here on."""
        self.acknowledged.append(order.order_id)
        return order

    def books_hold(self) -> None:
        """Wait for the queue to drain, then prove the books."""
        self.drained()
        self.prove(books_problems())

    def prove(self, problems: list[str]) -> None:
        """Assert that nothing acknowledged is lost, no fill double, the journal whole, the books in order."""
        assert self.lost() == []
        assert self.contradictions() == []
        assert problems == []

    def lost(self) -> list[int]:
        """Return the acknowledged orders that are not in the books, or that no runner has taken."""
        return [row[0] for row in self.rows(_LOST_SQL, (self.acknowledged,))]

    def contradictions(self) -> list[tuple[Any, ...]]:
        """Return the gaps of the journal, rows of a replaced leader, and trades that are there twice."""
        return self.rows(_JOURNAL_SQL)


class Load:
    """Traders who enter and cancel orders from their own threads, and note every acknowledgement."""

    def __init__(self, house: House, traders: Sequence[Trader], seed: int, pause_s: float = 0.01) -> None:
        self.house = house
        self.pause_s = pause_s
        self.stopping = threading.Event()
        self.failures: list[BaseException] = []
        self.threads = [
            threading.Thread(target=self._trade, args=(trader, random.Random(seed + index)))
            for index, trader in enumerate(traders)
        ]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=30)
        if kind is None and self.failures:
            raise self.failures[0]

    def _trade(self, trader: Trader, chance: random.Random) -> None:
        try:
            while not self.stopping.is_set():
                self._act(trader, chance)
                time.sleep(self.pause_s)
        except Exception as error:
            self.failures.append(error)
        finally:
            connections.close_all()

    def _act(self, trader: Trader, chance: random.Random) -> None:
        side = chance.choice(("buy", "sell"))
        price = f"{chance.randint(9950, 10050) / 100:.2f}"
        life = chance.choice(("day", "gtc", "ioc"))
        try:
            order = trader.submit(side, chance.randint(1, 20), price=price, time_in_force=life)
            self.house.sent(order)
            if chance.random() < 0.3:
                trader.cancel(order)
        except BrokerageError:
            pass
