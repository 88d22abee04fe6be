"""Market data at exchange rate, on each back end there is: importing, candles, reading, what a client sees.

For each back end a PostgreSQL of its own, durable settings on. A file of ticks is imported, beside a bare
COPY of the same rows into the same table: that ratio leaves the candles out on both sides, and has the
import's check of the whole file in it; ``ingest_ticks_per_s`` is the whole import with all candles.
``rollup_vs_group_by`` is what making a million ticks' minute candles costs, ``rollup_all_vs_group_by`` the
candles of all four lengths, beside one GROUP BY of the same ticks to minutes; ``rollup_again_vs_group_by`` is
making them once more, after some ticks were changed. Then TICKS ticks on DAYS
days are made, bars are read and batches of ticks appended. At last a whole platform, whose demo market trades
while one client waits for ticks and another for candles.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.marketdata_live import figures_measure as live_measure
from benchmarks.report import report_write
from brokerage.env import ROOT
from brokerage.supervisor.postgres import EmbeddedPostgres

SEED = 20261124
TICKS = int(os.environ.get("TICKS", "50000000"))
DAYS = int(os.environ.get("DAYS", "250"))
FILE_ROWS = int(os.environ.get("FILE_ROWS", "1000000"))
SAMPLES = int(os.environ.get("SAMPLES", "5"))
TRADES = int(os.environ.get("TRADES", "200"))
TIMESCALE_BIN = os.environ.get("OPENBELL_TEST_TIMESCALE_BIN", "")


def backends() -> Iterator[tuple[str, Path | None]]:
    """Yield each back end's name with its server's folder, None for the embedded one."""
    yield "plain", None
    if TIMESCALE_BIN:
        yield "timescale", Path(TIMESCALE_BIN)
    else:
        print("  TimescaleDB is left out: OPENBELL_TEST_TIMESCALE_BIN names no server.", file=sys.stderr)


def tables_make(environment: dict[str, str]) -> None:
    """Bring the server's tables and the days' partitions into being."""
    for command in (["migrate"], ["migrate", "--database=marketdata"], ["partitions_ensure"]):
        whole = [sys.executable, "manage.py", *command, "--verbosity=0"]
        subprocess.run(whole, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def backend_measure(
    name: str, bindir: Path | None, ticks: int, days: int, file_rows: int, samples: int
) -> dict[str, dict[str, float]]:
    """Return the figures and ratios of one back end, on a server that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="openbell-marketdata-") as folder_name:
        folder = Path(folder_name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "postgres", bindir=bindir) as server:
            environment = {
                **os.environ,
                "DATABASE_URL": server.url("super"),
                "MARKETDATA_URL": server.url("super", "openbell_marketdata"),
                "MARKETDATA_BACKEND": name,
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "OPENBELL_VAR": str(folder / "var"),
                "DJANGO_SETTINGS_MODULE": "brokerage.settings.testing",
            }
            tables_make(environment)
            command = [sys.executable, "-m", "benchmarks.marketdata_store"]
            command += [str(ticks), str(days), str(file_rows), str(samples)]
            done = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def figures_measure(
    ticks: int = TICKS,
    days: int = DAYS,
    file_rows: int = FILE_ROWS,
    samples: int = SAMPLES,
    trades: int = TRADES,
) -> tuple[dict[str, float], dict[str, float]]:
    """Return every figure and ratio of the benchmark; those of a back end carry its name."""
    totals: tuple[dict[str, Any], dict[str, Any]] = ({"ticks": ticks, "days": days}, {})
    for name, bindir in backends():
        found = backend_measure(name, bindir, ticks, days, file_rows, samples)
        for total, kind in zip(totals, ("figures", "ratios"), strict=True):
            total.update({f"{key}_{name}": value for key, value in found[kind].items()})
    if trades:
        totals[0].update(live_measure(trades))
    return totals


def main() -> None:
    """Measure and report."""
    figures, ratios = figures_measure()
    report_write("marketdata", seed=SEED, samples=SAMPLES, figures=figures, ratios=ratios)


if __name__ == "__main__":
    main()
