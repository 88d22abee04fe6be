"""A PostgreSQL of a test's own, with roles, tables and a market: to be killed, starved and filled."""

import atexit
import functools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import requests

from brokerage.supervisor.postgres import TEST_SETTINGS, EmbeddedPostgres
from tests.support.house import House, until
from tests.support.processes import Child, Place, function_main

ROLES = ("super", "owner", "web", "worker", "runner")
SMALL = {"max_connections": "50", "shared_buffers": "64MB", "max_wal_size": "256MB", "min_wal_size": "32MB"}
SHIM_SOURCE = Path(__file__).with_name("shim.c")


def folder_make() -> Path:
    """Return a new folder that the server's user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="openbell-server-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def market_make(path: str) -> None:
    """Make the tables and a market with two clients in it; write their keys to a file."""
    from django.core.management import call_command

    from apps.access.services import api_key_issue
    from apps.events.facts import SYSTEM
    from tests.support.builders import market_open, trader_open

    call_command("migrate", verbosity=0)
    call_command("migrate", database="marketdata", verbosity=0)
    call_command("partitions_ensure", verbosity=0)
    market_open({"AAPL": Decimal("100.00")})
    keys = []
    for _ in range(2):
        trader = trader_open(cash="5000000.00", shares={"AAPL": 200_000})
        keys.append(api_key_issue(account_id=trader.account_id, origin=SYSTEM))
    Path(path).write_text(json.dumps(keys))


def reconcile_main(path: str) -> None:
    """Write what the reconciler finds to a file."""
    from tests.support.books import books_problems

    Path(path).write_text(json.dumps(books_problems(), default=str))


def place_of(server: EmbeddedPostgres, redis_url: str, folder: Path) -> Place:
    """Return the place of the owner's processes on this server."""
    env = {"REDIS_URL": redis_url, "OPENBELL_VAR": str(folder), "SECRET_KEY": "x" * 40}
    place = Place(env, folder)
    return place.with_env(**role_env(server, "owner"))


def role_env(server: EmbeddedPostgres, role: str) -> dict[str, str]:
    """Return the addresses that a process of this role is given."""
    return {
        "DATABASE_URL": server.url(role),
        "MARKETDATA_URL": server.url(role, "openbell_marketdata"),
        "DATABASE_RUNNER_URL": server.url("runner"),
    }


@functools.cache
def template(redis_url: str) -> Path:
    """Make the server's folder once; every test gets a copy."""
    folder = folder_make()
    with EmbeddedPostgres(folder / "postgres", settings={**TEST_SETTINGS, **SMALL}) as server:
        with Child(
            function_main, place_of(server, redis_url, folder), market_make, str(folder / "keys")
        ) as child:
            assert child.exit_code(240) == 0, child.log[-4000:]
    return folder


class OwnServer(House):
    """A house on a server of its own, with processes in the roles they have in production."""

    def __init__(
        self,
        redis_url: str,
        *,
        settings: Mapping[str, str] | None = None,
        shim: bool = False,
        folder: Path | None = None,
    ) -> None:
        made = template(redis_url)
        self.folder = folder or folder_make()
        subprocess.run(["cp", "-a", made / "postgres", made / "secrets.json", self.folder], check=True)
        self.server = EmbeddedPostgres(
            self.folder / "postgres",
            settings={**TEST_SETTINGS, **SMALL, **(settings or {})},
            bindir=self._shimmed() if shim else None,
        )
        self.server.start()
        super().__init__(place_of(self.server, redis_url, folder_make()))
        self.keys: list[list[str]] = json.loads((made / "keys").read_text())
        self.acknowledged_ids: list[str] = []

    def __exit__(self, *how: Any) -> None:
        super().__exit__(*how)
        self.server.stop()

    def _shimmed(self) -> Path:
        """Return a folder of server binaries whose disk and clock obey ``tell``."""
        real, _ = EmbeddedPostgres(self.folder / "postgres")._binaries_find()
        bindir = self.folder / "bin"
        bindir.mkdir(mode=0o755)
        shim = bindir / "shim.so"
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(SHIM_SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        (self.folder / "shim").mkdir(mode=0o755)
        for name in ("postgres", "initdb"):
            script = bindir / name
            env = f"LD_PRELOAD={shim} OPENBELL_SHIM={self.folder / 'shim'}"
            script.write_text(f'#!/bin/sh\n{env} exec {real / name} "$@"\n')
            script.chmod(0o755)
        return bindir

    def tell(self, what: str, text: str) -> None:
        """Tell the shim how the disk (``fsync``) or the clock is to be; an empty text: as it is."""
        path = self.folder / "shim" / what
        if text:
            path.write_text(text)
            path.chmod(0o644)
        else:
            path.unlink(missing_ok=True)

    def connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(self.server.url("super"), autocommit=True)

    def runner(self, failpoints: str = "", **env: str) -> Child:
        return super().runner(failpoints, **{**role_env(self.server, "worker"), **env})

    def web(self, failpoints: str = "", **env: str) -> tuple[Child, str]:
        return super().web(failpoints, **{**role_env(self.server, "web"), **env})

    def client(self, number: int) -> requests.Session:
        session = requests.Session()
        key_id, secret = self.keys[number]
        session.headers.update({"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret})
        return session

    def order(
        self, url: str, client: requests.Session, side: str, price: str = "100.00"
    ) -> requests.Response:
        """Send one order; what is acknowledged must never be lost."""
        body = {"symbol": "AAPL", "qty": "1", "side": side, "type": "limit", "time_in_force": "gtc"}
        answer = client.post(f"{url}/v2/orders", json={**body, "limit_price": price}, timeout=20)
        if answer.status_code == 200:
            self.acknowledged_ids.append(answer.json()["client_order_id"])
        return answer

    def is_up(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def books_hold(self) -> None:
        self.drained(60)
        sql = "SELECT order_id FROM order_client_keys WHERE client_order_id = ANY(%s)"
        found = [row[0] for row in self.rows(sql, (self.acknowledged_ids,))]
        assert len(found) == len(self.acknowledged_ids), "an acknowledged order is lost"
        path = self.place.folder / "problems"
        checked = self.child(function_main, reconcile_main, str(path))
        assert checked.exit_code(120) == 0, checked.log[-3000:]
        self.acknowledged = found
        self.prove(json.loads(path.read_text()))

    def wait_up(self) -> None:
        until(self.is_up, "the server accepts connections again", 60)
