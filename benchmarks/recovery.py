"""Cold recovery of a matching partition with a million open orders, to its first match, on either road.

Starts a PostgreSQL of its own, durable settings on, and writes the open orders straight into its tables:
limits, one in twenty partly filled, stops and trails, in 500 symbols. A snapshot stands a tail of journalled
commands behind the newest. Each sample is a new process, whose memory is as cold as after a crash: the time
runs from its first question to the database, its session open, until an order that arrives has traded.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.report import report_write
from brokerage.env import ROOT
from brokerage.supervisor.postgres import EmbeddedPostgres

SEED = 20261122
ORDERS = int(os.environ.get("ORDERS", "1000000"))
SAMPLES = int(os.environ.get("SAMPLES", "5"))
ROADS = ("snapshot", "postgres")

# Bids below and offers above 100.00; the newest twentieth, in which the tail is, are plain limits.
FILL_SQL = """
INSERT INTO instruments (symbol, name, exchange)
SELECT 'S' || n, 'S' || n, 'NASDAQ' FROM generate_series(1, 500) n;

INSERT INTO instrument_prices (symbol, last_price, prev_close, trade_date, day_open, day_volume)
SELECT symbol, 100, 100, current_date, 100, 10 FROM instruments;

CREATE TEMP TABLE made AS
SELECT next_id() AS order_id, n, 1 + n % 10000 AS account_id, 'S' || (1 + (n * 7919) % 500) AS symbol,
       CASE WHEN n / 500 % 2 = 0 THEN 'BUY' ELSE 'SELL' END AS side,
       CASE WHEN n / 500 % 2 = 0 THEN -1 ELSE 1 END AS direction,
       (n * 104729) % 4000 * 0.01 AS away, 2 + n % 900 AS quantity,
       CASE WHEN is_new THEN 'LIMIT' WHEN n % 40 = 1 THEN 'STOP' WHEN n % 40 = 3 THEN 'TRAIL' ELSE 'LIMIT' END
           AS kind,
       (n % 20 = 0 AND NOT is_new)::int AS filled
FROM generate_series(1, :orders::bigint) n CROSS JOIN LATERAL (SELECT n > 0.95 * :orders AS is_new) AS a;

INSERT INTO orders (order_id, user_id, account_id, client_order_id, symbol, side, order_type, price,
                    collar_price, stop_price, trail_amount, high_water_mark, quantity, filled_quantity,
                    filled_value, status, time_in_force)
SELECT order_id, account_id, account_id, 'bench-' || n, symbol, side, kind,
       CASE WHEN kind = 'LIMIT' THEN 100 + (0.01 + away) * direction END,
       CASE WHEN kind <> 'LIMIT' THEN 110 - 90 * direction END,
       CASE WHEN kind <> 'LIMIT' THEN 100 - (1 + away) * direction END,
       CASE WHEN kind = 'TRAIL' THEN 1 + away END, CASE WHEN kind = 'TRAIL' THEN 100 END,
       quantity, filled, filled * 100, CASE filled WHEN 1 THEN 'PARTIALLY_FILLED' ELSE 'NEW' END, 'GTC'
FROM made;

INSERT INTO live_orders (order_id, account_id, user_id, symbol, status, remaining, held_shares, priority)
SELECT order_id, account_id, account_id, symbol, CASE filled WHEN 1 THEN 'PARTIALLY_FILLED' ELSE 'NEW' END,
       quantity - filled, CASE side WHEN 'SELL' THEN quantity - filled ELSE 0 END, n << 20
FROM made;

INSERT INTO matching_leader (matching_partition, epoch, seq) VALUES (0, 1, :orders);

ANALYZE
"""


def tables_make(environment: dict[str, str]) -> None:
    """Bring the server's tables and the days' partitions into being."""
    for command in (["migrate"], ["migrate", "--database=marketdata"], ["partitions_ensure"]):
        whole = [sys.executable, "manage.py", *command, "--verbosity=0"]
        subprocess.run(whole, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def orders_fill(url: str, orders: int) -> None:
    """Write the open orders, without the money behind them."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in FILL_SQL.replace(":orders", str(orders)).split(";\n"):
            connection.execute(statement)


def figures_measure(orders: int = ORDERS, samples: int = SAMPLES) -> dict[str, float]:
    """Return every figure of the benchmark, times as medians of the samples."""
    with tempfile.TemporaryDirectory(prefix="openbell-recovery-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "postgres") as server:
            environment = {
                **os.environ,
                "DATABASE_URL": server.url("owner"),
                "MARKETDATA_URL": server.url("owner", "openbell_marketdata"),
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "OPENBELL_VAR": str(folder / "var"),
                "DJANGO_SETTINGS_MODULE": "brokerage.settings.testing",
            }
            tables_make(environment)
            orders_fill(server.url("super"), orders)
            where = [server.url("runner"), str(folder / "snapshots")]
            figures = {"orders": orders, **_process_run(environment, "keep", *where)}
            taken = [
                (road, _process_run(environment, road, *where)) for _ in range(samples) for road in ROADS
            ]
    assert len({sample["hash"] for _, sample in taken}) == 1, "the roads lead to different books"
    assert {sample["orders"] for _, sample in taken} == {orders}
    for road in ROADS:
        seconds = sorted(sample["seconds"] for which, sample in taken if which == road)
        cpu_s = [sample["cpu_s"] for which, sample in taken if which == road]
        figures[f"recovery_{road}_s"] = statistics.median(seconds)
        figures[f"recovery_{road}_max_s"] = seconds[-1]
        figures[f"recovery_{road}_cpu_s"] = statistics.median(cpu_s)
    return figures


def _process_run(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.recovery_sample", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"  {arguments[0]:<9} {told}")
    return told


def main() -> None:
    """Measure and report."""
    report_write("recovery", seed=SEED, samples=SAMPLES, figures=figures_measure(), ratios={})


if __name__ == "__main__":
    main()
