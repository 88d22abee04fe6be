"""One back end of the market-data benchmark, in a process with Django: import, make candles, fill, read.

Prints one line of figures. The server is empty but for its tables; its address is in the environment.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import django

from benchmarks.report import percentile

SEED = 20261124
SYMBOLS = 50
FILE_SYMBOLS = 100
"""A million ticks of a session are then some 26 a minute and symbol."""

SESSION_S = 23_400
"""Six and a half hours, from 14:30 UTC on."""

BATCH = 100
"""Ticks of one small increment."""

_FILL_SQL = """
INSERT INTO market_data_ticks (time, symbol, price, quantity, side, exchange, trade_id)
SELECT %(open)s::timestamptz + n * interval '1 second' * (%(seconds)s::numeric / %(each)s),
       'B' || lpad(s::text, 3, '0'), 50 + s + (n * 7919 + s * 104729) %% 400 * 0.01, 1 + n * 31 %% 900,
       CASE n %% 2 WHEN 0 THEN 'BUY' ELSE 'SELL' END, 'NASDAQ', %(id)s + s * 1000000 + n
FROM generate_series(1, %(symbols)s) AS s, generate_series(0, %(each)s - 1) AS n
"""

_HISTORY_SQL = """
INSERT INTO ohlcv (symbol, interval, time, open, high, low, close, volume)
SELECT 'B' || lpad(s::text, 3, '0'), '1d', day AT TIME ZONE 'America/New_York', 100, 102, 99, 101, 1000
FROM generate_series(1, %s) AS s, generate_series(%s::timestamp, %s::timestamp, interval '1 day') AS day
"""

_COMPRESS_SQL = """
SELECT compress_chunk(c, true) FROM show_chunks('market_data_ticks', older_than => interval '1 day') AS c
"""

_GROUPED = "(symbol, bucket, o, h, l, c, v, n, turnover, opened_at, open_id, closed_at, close_id)"


def say(text: str) -> None:
    """Tell a person who waits what is being done."""
    print(f"    {time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def seconds_of(act: Callable[[], Any]) -> float:
    """Return how long an act takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def cpu_s() -> float:
    """Return the processor time that this process, and the server for its sessions, have taken."""
    from django.db import connections

    ticks = 0
    for alias in ("marketdata", "marketdata_owner"):
        connections[alias].ensure_connection()
        pid = connections[alias].connection.info.backend_pid
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += sum(map(int, fields[11:13]))
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def seconds_of_writing(table: str) -> Iterator[list[float]]:
    """Give the seconds of each statement that writes ``table``: an insert, or a refresh."""
    from django.db import connections

    writing = (f"INSERT INTO {table} ", f"aggregate('{table}'")
    found: list[float] = []

    def watch(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, *rest)
        finally:
            if any(word in sql for word in writing):
                found.append(time.perf_counter() - began)

    with ExitStack() as watching:
        for alias in ("marketdata", "marketdata_owner"):
            watching.enter_context(connections[alias].execute_wrapper(watch))
        yield found
    assert found, f"nothing wrote {table}"


def costs_of(act: Callable[[], Any]) -> tuple[float, float]:
    """Return how many seconds an act takes, and how many of them the processor's."""
    began = cpu_s()
    return seconds_of(act), cpu_s() - began


def medians(name: str, rounds: list[tuple[float, ...]]) -> dict[str, float]:
    """Return the ratios of making minutes, of all lengths, and of the latter's processor time."""
    kinds = ("vs_group_by", "all_vs_group_by", "all_vs_group_by_cpu")
    columns = zip(kinds, zip(*rounds, strict=True), strict=True)
    return {f"{name}_{kind}": statistics.median(column) for kind, column in columns}


def execute(sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    """Run a statement on the market-data database; returns its rows."""
    from django.db import connections

    with connections["marketdata"].cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []


class Bench:
    """Everything measured on one back end, with ``ticks`` in all on ``days`` that end before yesterday."""

    def __init__(self, ticks: int, days: int, file_rows: int, samples: int) -> None:
        self.days, self.file_rows, self.samples = days, file_rows, samples
        self.reads_each = max(samples * 100, 20)
        self.each = max(ticks // days // SYMBOLS, 1)
        self.random = Random(SEED)
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.file_day = midnight - timedelta(days=1)
        self.first_day = midnight - timedelta(days=days + 1)
        self.symbols = [f"B{n:03d}" for n in range(1, SYMBOLS + 1)]

    def run(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return figures and ratios."""
        from apps.marketdata.backends import backend_current

        say(f"{backend_current()}: {self.each * SYMBOLS:,} ticks a day on {self.days} days")
        self.symbols_list()
        figures, ratios = self.ingest()
        ratios.update(self.rollup_again())
        few = min(10, self.days)
        self.fill(self.days - few, self.days)
        early = self.reads()
        self.fill(0, self.days - few)
        late = self.reads()
        figures.update(late)
        ratios["bars_p99_days_ratio"] = late["bars_p99_ms"] / early["bars_p99_ms"]
        ratios["bars_cpu_days_ratio"] = late["bars_minutes_cpu_ms"] / early["bars_minutes_cpu_ms"]
        figures.update(self.increments())
        return figures, ratios

    def symbols_list(self) -> None:
        """List the shares; nothing else of the brokerage is needed."""
        from django.db import connections

        with connections["default"].cursor() as cursor:
            cursor.execute(
                "INSERT INTO instruments (symbol, name, exchange) SELECT 'S' || lpad(n::text, 3, '0'), 'S', "
                "'NASDAQ' FROM generate_series(0, %s) AS n",
                [FILE_SYMBOLS - 1],
            )

    # -- importing -------------------------------------------------------------------------------------------

    def ingest(self) -> tuple[dict[str, float], dict[str, float]]:
        """Import one file several times, and the same rows by a bare COPY, in turn."""
        from apps.marketdata.imports.cargo import TickCargo
        from apps.operations.services.partition_history import market_days_ensure

        market_days_ensure([self.file_day.date()])
        whole, bare, copied, cpus, rolled = [], [], [], [], []
        with tempfile.TemporaryDirectory(prefix="openbell-ticks-") as folder:
            path = Path(folder) / "ticks.csv"
            say(f"a file of {self.file_rows:,} ticks")
            file_make(path, self.file_rows, self.file_day, SEED)
            for number in range(self.samples):
                copied.append(self._emptied(lambda: raw_copy(path)))
                bare.append(self._emptied(lambda: imported(path, bare_cargo()(market_days_ensure))))
                rolled.append(self.rollup())
                self.empty()
                taken_s, taken_cpu_s = costs_of(lambda: imported(path, TickCargo(market_days_ensure)))
                whole.append(taken_s)
                cpus.append(taken_cpu_s)
                taken = ", ".join(f"{self.file_rows / s[-1]:,.0f}/s" for s in (copied, bare, whole))
                say(f"round {number + 1}: COPY, import without candles, import: {taken}")
        each = [one / other for one, other in zip(copied, bare, strict=True)]
        figures = {
            "ingest_ticks_per_s": self.file_rows / statistics.median(whole),
            "ingest_cpu_us_per_tick": statistics.median(cpus) / self.file_rows * 1e6,
            "ingest_bare_ticks_per_s": self.file_rows / statistics.median(bare),
            "raw_copy_ticks_per_s": self.file_rows / statistics.median(copied),
        }
        return figures, {"ingest_vs_raw_copy": statistics.median(each), **medians("rollup", rolled)}

    def _emptied(self, act: Callable[[], Any]) -> float:
        self.empty()
        return seconds_of(act)

    def empty(self) -> None:
        """Leave no ticks, no candles, no imports."""
        from apps.marketdata.backends import Backend, backend_current

        execute("TRUNCATE market_data_ticks")
        execute("TRUNCATE market_data_imports")
        if backend_current() is Backend.PLAIN:
            execute("TRUNCATE ohlcv_1m, ohlcv_5m, ohlcv_1h, ohlcv_1d")
        else:
            self._refresh_all()
        execute("CHECKPOINT")

    def _refresh_all(self) -> None:
        for view in ("ohlcv_1m", "ohlcv_5m", "ohlcv_1h", "ohlcv_1d"):
            execute(f"CALL refresh_continuous_aggregate('{view}', NULL, NULL)")

    # -- candles ---------------------------------------------------------------------------------------------

    def rollup(self) -> tuple[float, ...]:
        """Return the ratios of making the first candles of a day's ticks to one GROUP BY to minutes."""
        from apps.marketdata.candles import LEVELS
        from apps.marketdata.rollup import ticks_group_sql
        from apps.marketdata.services import candles_rebuild

        span = (self.file_day, self.file_day + timedelta(days=1))
        group = ticks_group_sql(LEVELS[0], "market_data_ticks", "in_session AND time >= %s AND time < %s")
        making = f"CREATE TEMP TABLE grouped {_GROUPED} AS {group}"
        # Who reads rows first after they were written marks them as committed: neither side is to pay for it.
        execute("VACUUM ANALYZE market_data_ticks")
        assert execute("SELECT 1 FROM market_data_ticks LIMIT 1"), "there are no ticks to make candles of"
        # What writes rows works alone; so that work is compared, and no number of helpers, so does the other.
        execute("SET max_parallel_workers_per_gather = 0")
        grouped, grouped_cpu = costs_of(lambda: execute(making, span))
        execute("DROP TABLE grouped")
        with seconds_of_writing(LEVELS[0].table) as minutes:
            made, made_cpu = costs_of(lambda: candles_rebuild(None, *span))
        execute("RESET max_parallel_workers_per_gather")
        say(
            f"candles of a minute {sum(minutes):.2f} s, of all lengths {made:.2f} s, one GROUP BY "
            f"{grouped:.2f} s; CPU of all {made_cpu:.2f}, {grouped_cpu:.2f} s"
        )
        return sum(minutes) / grouped, made / grouped, made_cpu / max(grouped_cpu, 0.01)

    def rollup_again(self) -> dict[str, float]:
        """Return the same of making candles anew, with every thousandth tick changed."""
        rounds = []
        for _ in range(self.samples):
            # Where nothing has changed an aggregate has nothing to do.
            execute("UPDATE market_data_ticks SET quantity = quantity + 1 WHERE trade_id % 1000 = 0")
            rounds.append(self.rollup())
        return medians("rollup_again", rounds)

    # -- reading and adding, with much there -----------------------------------------------------------------

    def fill(self, first: int, last: int) -> None:
        """Make the ticks and candles of these days, the server by itself."""
        from apps.marketdata.backends import Backend, backend_current
        from apps.marketdata.services import candles_rebuild
        from apps.operations.services.partition_history import market_days_ensure

        if first == last:
            return
        if first == self.days - min(10, self.days):
            self.empty()
            history = (self.first_day - timedelta(days=500)).date(), (self.first_day).date()
            execute(_HISTORY_SQL, (SYMBOLS, *history))
        days = [self.first_day + timedelta(days=number) for number in range(first, last)]
        market_days_ensure(day.date() for day in days)
        for number, day in zip(range(first, last), days, strict=True):
            values = {
                "open": day + timedelta(hours=14, minutes=30),
                "seconds": SESSION_S,
                "each": self.each,
                "symbols": SYMBOLS,
                "id": number * 1_000_000_000,
            }
            execute(_FILL_SQL, values)
            candles_rebuild(None, day, day + timedelta(days=1))
            if (number - first) % 20 == 19:
                say(f"{number - first + 1} of {last - first} days")
        if backend_current() is Backend.TIMESCALE:
            execute(_COMPRESS_SQL)
        execute("VACUUM ANALYZE")

    def reads(self) -> dict[str, float]:
        """Return what 500 days' and 1,000 minutes' bars of one symbol take, in milliseconds."""
        figures = {}
        for name, interval, limit, least in (("days", "1D", 500, 500), ("minutes", "1m", 1_000, self.each)):
            times, cpus = zip(
                *(self._read(interval, limit, least) for _ in range(self.reads_each)), strict=True
            )
            figures[f"bars_{name}_p99_ms"] = percentile(list(times), 0.99) * 1e3
            figures[f"bars_{name}_ms"] = statistics.median(times) * 1e3
            figures[f"bars_{name}_cpu_ms"] = statistics.mean(cpus) * 1e3
        figures["bars_p99_ms"] = max(figures["bars_days_p99_ms"], figures["bars_minutes_p99_ms"])
        return figures

    def _read(self, interval: str, limit: int, least: int) -> tuple[float, float]:
        from apps.marketdata.selectors import bar_list

        symbol, found = self.random.choice(self.symbols), 0

        def read() -> None:
            nonlocal found
            found = len(bar_list(symbol, interval, limit=limit))

        costs = costs_of(read)
        assert found >= min(least, limit), found
        return costs

    def increments(self) -> dict[str, float]:
        """Return the milliseconds that a batch of ticks takes: now, and a month late."""
        from apps.marketdata.candles import Tick
        from apps.marketdata.services import ticks_append

        def batches(at: datetime, id_start: int) -> Iterator[list[Tick]]:
            for number in range(max(self.samples * 10, 5)):
                instant = at + timedelta(milliseconds=100 * number)
                yield [
                    Tick(
                        id_start + number * BATCH + n, instant, self.symbols[n % SYMBOLS], Decimal(100 + n), 5
                    )
                    for n in range(BATCH)
                ]

        now = datetime.now(UTC).replace(microsecond=0)
        long_ago = now - timedelta(days=min(30, self.days))
        figures = {}
        for name, at, id_start in (("", now, 1), ("late_", long_ago, 500_000)):
            times = [seconds_of(lambda one=one: ticks_append(one)) * 1e3 for one in batches(at, id_start)]
            figures[f"small_increment_{name}ms"] = statistics.median(times)
            figures[f"small_increment_{name}max_ms"] = max(times)
        return figures


def file_make(path: Path, rows: int, day: datetime, seed: int) -> None:
    """Write a file of one day's ticks in order of time, as an exchange would give it."""
    import numpy as np

    rng = np.random.default_rng(seed)
    micros = np.sort(rng.integers(0, SESSION_S * 1_000_000, rows)) + int(day.timestamp()) * 1_000_000
    times = (micros + 52_200 * 1_000_000).astype("datetime64[us]").astype(str)
    symbols, cents = rng.integers(0, FILE_SYMBOLS, rows), 10_000 + rng.integers(-500, 500, rows)
    quantities, sides = rng.integers(1, 900, rows), rng.integers(0, 2, rows)
    with path.open("w") as file:
        file.write("time,symbol,price,quantity,side,exchange,trade_id\n")
        for n in range(rows):
            price, side = f"{cents[n] // 100}.{cents[n] % 100:02d}", "BUY" if sides[n] else "SELL"
            file.write(f"{times[n]}Z,S{symbols[n]:03d},{price},{quantities[n]},{side},NASDAQ,{n + 1}\n")


def raw_copy(path: Path) -> None:
    """Write a file's rows by the server's own reading of CSV, in one statement and without candles."""
    from django.db import connections

    columns = "time, symbol, price, quantity, side, exchange, trade_id"
    with connections["marketdata"].cursor() as cursor, path.open("rb") as file:
        with cursor.copy(f"COPY market_data_ticks ({columns}) FROM STDIN (FORMAT csv, HEADER)") as copy:
            while block := file.read(1 << 18):
                copy.write(block)


def bare_cargo() -> type:
    """Return the import's cargo without the candles: what a bare COPY can be compared with."""
    from django.db import connections

    from apps.marketdata.imports.cargo import TickCargo, TickLoad, Written
    from apps.marketdata.services import ticks_copy

    class Bare(TickCargo):
        def write(self, ready: TickLoad) -> Written:
            with connections["marketdata"].cursor() as cursor:
                return Written(ticks_copy(cursor, [ready.content], *ready.bounds))

    return Bare


def imported(path: Path, cargo: Any) -> None:
    """Import a file as the command does: checked whole, then written piece by piece."""
    from apps.marketdata.imports.files import Options, file_import

    outcome = file_import(path, cargo, Options(), lambda *told: None)
    assert outcome.place is not None and outcome.place.added == outcome.rows


def main() -> None:
    """Measure one back end and print what came of it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings.testing")
    django.setup()
    ticks, days, file_rows, samples = map(int, sys.argv[1:])
    figures, ratios = Bench(ticks, days, file_rows, samples).run()
    print(json.dumps({"figures": figures, "ratios": ratios}))


if __name__ == "__main__":
    main()
