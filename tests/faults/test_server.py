"""F20, F22, F23 and F24: PostgreSQL crashes, refuses, runs out of disk, or cannot flush it."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests
from django.conf import settings as django_settings

from tests.faults.conftest import ROUNDS
from tests.support.house import until
from tests.support.own_server import OwnServer, folder_make
from tests.support.processes import Child


@pytest.fixture
def house() -> Iterator[OwnServer]:
    """A house on a server that the test may kill."""
    with OwnServer(django_settings.REDIS_URL) as running:
        yield running


class Supervised:
    """Two runners that are started again whenever they end, and clients that never stop sending."""

    def __init__(self, house: OwnServer) -> None:
        self.house = house
        self.stopping = threading.Event()
        self.runners: list[Child] = [house.runner() for _ in range(2)]
        _, self.url = house.web()
        self.answers: list[int] = []
        self.threads = [threading.Thread(target=self._watch)]
        self.threads += [threading.Thread(target=self._send, args=(number,)) for number in range(2)]

    def __enter__(self) -> "Supervised":
        for thread in self.threads:
            thread.start()
        until(lambda: self.trades() > 3, "they trade")
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)

    def _watch(self) -> None:
        while not self.stopping.wait(0.1):
            for place, child in enumerate(self.runners):
                if not child.is_alive:
                    self.runners[place] = self.house.runner()

    def _send(self, number: int) -> None:
        client = self.house.client(number)
        while not self.stopping.wait(0.01):
            try:
                self.answers.append(self.house.order(self.url, client, ("buy", "sell")[number]).status_code)
            except requests.RequestException:
                self.answers.append(0)

    def trades(self) -> int:
        return int(self.house.rows("SELECT count(*) FROM trades")[0][0])

    def trading_again(self) -> None:
        """Wait until orders are accepted and matched again, by nobody's hand."""
        self.house.wait_up()
        before = self.trades()
        until(lambda: self.trades() > before + 3, "they trade again", 60)


def server_crash(house: OwnServer) -> None:
    """Let the server stop at once, without a checkpoint, and start it again as its supervisor would."""
    if house.server.is_running():
        os.kill(house.server.pid, signal.SIGQUIT)
    until(lambda: not house.server.is_running(), "the server has stopped")
    house.server.stop()
    house.server.start()


def backend_kill(house: OwnServer) -> None:
    """Kill the leader's backend by SIGKILL: the server ends every session and recovers by itself."""
    pid = until(lambda: house.rows("SELECT backend_pid FROM matching_leader"), "somebody leads")[0][0]
    with house.connect() as session:
        os.kill(pid, signal.SIGKILL)
        until(lambda: _is_cut(session), "the server has ended every session")


def _is_cut(session: "psycopg.Connection[tuple[int]]") -> bool:
    try:
        session.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


@pytest.mark.parametrize("crash", [server_crash, backend_kill], ids=["stopped at once", "a backend killed"])
def test_the_server_crashes_under_load_and_everything_acknowledged_is_there(
    house: OwnServer, crash: "type[server_crash]"
) -> None:
    """F20: the processes end or wait, come back by themselves, and the books are those of before."""
    with Supervised(house) as desk:
        for _ in range(1 + 4 * (ROUNDS > 0)):
            crash(house)
            desk.trading_again()
        assert set(desk.answers) <= {200, 503, 0}, desk.answers
    house.books_hold()


def refused(house: OwnServer, url: str) -> None:
    """Expect a refusal that says when to come back, quickly, and that nothing was written."""
    before = house.rows("SELECT count(*) FROM orders")
    started = time.monotonic()
    answer = house.order(url, house.client(0), "buy")
    assert (answer.status_code, answer.headers.get("Retry-After", "").isdigit()) == (503, True), answer.text
    assert time.monotonic() - started < 10
    assert house.rows("SELECT count(*) FROM orders") == before


def taken(house: OwnServer, url: str) -> None:
    assert house.order(url, house.client(0), "buy").status_code == 200


def test_a_locked_account_is_a_503_within_the_time_that_entry_may_wait(house: OwnServer) -> None:
    """F22: lock time-out. Somebody stalls with the account's row in hand."""
    _, url = house.web()
    house.leader()
    taken(house, url)
    house.drained()
    with house.connect() as session, session.transaction():
        session.execute("SELECT 1 FROM accounts FOR UPDATE")
        refused(house, url)
    taken(house, url)
    house.books_hold()


def test_a_server_that_only_reads_is_a_503(house: OwnServer) -> None:
    """F22: as after a failover to a standby. Matching cannot write either, and comes back with the server."""
    _, url = house.web()
    taken(house, url)
    with house.connect() as session:
        session.execute("ALTER ROLE openbell_web SET default_transaction_read_only = on")
        _sessions_end(session, "openbell_web")
    refused(house, url)
    with house.connect() as session:
        session.execute("ALTER ROLE openbell_web RESET default_transaction_read_only")
        _sessions_end(session, "openbell_web")
    house.leader()
    until(lambda: house.order(url, house.client(0), "buy").status_code == 200, "orders are taken again")
    house.books_hold()


def _sessions_end(session: "psycopg.Connection[tuple[int]]", role: str) -> None:
    session.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (role,)
    )


def test_with_no_connection_left_entry_says_503_and_matching_goes_on(house: OwnServer) -> None:
    """F22: idle sessions hold them all. What is queued is matched, and a new runner finds one kept free."""
    leader = house.leader()
    _, url = house.web()
    idle: list[psycopg.Connection[tuple[int]]] = []
    _connections_take(house, idle)
    refused(house, url)
    leader.kill()
    _connections_take(house, idle)
    house.leader()
    for session in idle:
        session.close()
    until(lambda: house.order(url, house.client(0), "buy").status_code == 200, "orders are taken again")
    house.books_hold()


def _connections_take(house: OwnServer, idle: "list[psycopg.Connection[tuple[int]]]") -> None:
    """Open idle sessions until the server refuses another."""
    with pytest.raises(psycopg.OperationalError, match="remaining connection slots"):
        while True:
            idle.append(psycopg.connect(house.server.url("web"), connect_timeout=5))


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own that can be filled."""
    folder = folder_make()
    command = ["mount", "-t", "tmpfs", "-o", "size=400m,mode=0755", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a disk that can be filled needs the right to mount one: run as root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_orders_and_loses_none(small_disk: Path) -> None:
    """F23: the server's own disk. It may refuse or panic; with room again it is as it was."""
    with OwnServer(django_settings.REDIS_URL, folder=small_disk) as house:
        with Supervised(house) as desk:
            _fill(small_disk)
            sent = len(desk.answers)
            until(
                lambda: any(code != 200 for code in desk.answers[sent:]), "the disk is seen to be full", 120
            )
            (small_disk / "ballast").unlink()
            if not house.server.is_running():
                house.server.stop()
                house.server.start()
            desk.trading_again()
        assert set(desk.answers) <= {200, 500, 503, 0}
        house.books_hold()


def _fill(disk: Path) -> None:
    free = os.statvfs(disk)
    with open(disk / "ballast", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - (1 << 20))


def test_a_disk_that_cannot_flush_stops_the_server_and_acknowledges_nothing() -> None:
    """F24: after a failed flush nobody may try again: the server panics, and recovers what was flushed."""
    with OwnServer(django_settings.REDIS_URL, settings={"fsync": "on"}, shim=True) as house:
        with Supervised(house) as desk:
            house.tell("fsync", "eio")
            until(lambda: not house.server.is_running() or not house.is_up(), "the server has seen it", 60)
            failed_at = len(house.acknowledged_ids)
            time.sleep(1)
            assert len(house.acknowledged_ids) <= failed_at + 2, "orders are acknowledged that nobody flushed"
            house.tell("fsync", "")
            server_crash(house)
            desk.trading_again()
        house.books_hold()


def test_a_slow_disk_costs_time_and_nothing_else() -> None:
    """F24: each flush takes two seconds. Entry refuses in time, and nothing is lost or booked twice."""
    with OwnServer(django_settings.REDIS_URL, settings={"fsync": "on"}, shim=True) as house:
        with Supervised(house) as desk:
            house.tell("fsync", "slow")
            time.sleep(5 + 25 * (ROUNDS > 0))
            house.tell("fsync", "")
            desk.trading_again()
        house.books_hold()
