"""The tape by a plain model: what candles must be, how ticks travel by COPY, and what passing time does."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db import connections, transaction

from apps.marketdata.backends import Backend, backend_current
from apps.marketdata.candles import LEVELS, Bar, Level, Tick
from apps.marketdata.services import TICK_COLUMNS, candles_rebuild, ticks_copy

_UNNEST = (
    "SELECT * FROM unnest(%s::timestamptz[], %s::varchar[], %s::numeric[], %s::int[], %s::varchar[], "
    f"%s::varchar[], %s::bigint[], %s::boolean[]) AS t ({TICK_COLUMNS}) ORDER BY symbol, time, trade_id"
)

Candles = dict[tuple[str, datetime], Bar]


def candles_expected(ticks: Iterable[Tick], level: Level) -> Candles:
    """Make the candles in the plainest way there is."""
    groups: dict[tuple[str, datetime], list[Tick]] = defaultdict(list)
    for tick in {(tick.symbol, tick.time, tick.trade_id): tick for tick in ticks}.values():
        if tick.in_session:
            groups[tick.symbol, level.floor(tick.time)].append(tick)
    return {key: _candle(key[1], group) for key, group in groups.items()}


def _candle(start: datetime, ticks: list[Tick]) -> Bar:
    ticks.sort(key=lambda tick: (tick.time, tick.trade_id))
    prices = [tick.price for tick in ticks]
    volume = sum(tick.quantity for tick in ticks)
    turnover = sum((tick.price * tick.quantity for tick in ticks), Decimal())
    vwap = (turnover / volume).quantize(Decimal("0.000001"), ROUND_HALF_UP)
    return Bar(start, prices[0], max(prices), min(prices), prices[-1], volume, len(ticks), vwap)


def candles_found(level: Level) -> Candles:
    """Read all candles of one level, as everybody reads them."""
    rows = rows_of(
        "SELECT symbol, time, open, high, low, close, volume, trade_count, round(turnover / volume, 6) "
        f"FROM {level.table}"
    )
    return {(row[0], row[1]): Bar(*row[1:]) for row in rows}


def candles_agree(ticks: Iterable[Tick]) -> None:
    """Fail unless the candles of every level are what the model makes of these ticks."""
    kept = list(ticks)
    for level in LEVELS:
        expected, found = candles_expected(kept, level), candles_found(level)
        wrong = {
            key: (expected.get(key), found.get(key))
            for key in expected.keys() | found.keys()
            if expected.get(key) != found.get(key)
        }
        assert not wrong, (
            f"{level.table}: {len(wrong)} of {len(expected)}, such as {sorted(wrong.items(), key=repr)[:2]}"
        )


def rows_of(sql: str, *parameters: Any, alias: str = "marketdata") -> list[tuple[Any, ...]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def copy_stream(ticks: Sequence[Tick]) -> list[bytes]:
    """Return ticks as a binary COPY stream in key order, made by the server itself."""
    names = TICK_COLUMNS.split(", ")
    values = [[getattr(tick, name) for tick in ticks] for name in names]
    with connections["marketdata"].cursor() as cursor:
        text = cursor.cursor.mogrify(_UNNEST, values)
        with cursor.copy(f"COPY ({text}) TO STDOUT (FORMAT binary)") as copy:
            return [bytes(block) for block in copy]


def ticks_load(ticks: Sequence[Tick]) -> int:
    """Bring ticks in as an import does: COPY and candles in one transaction."""
    blocks = copy_stream(ticks)
    first, last = min(tick.time for tick in ticks), max(tick.time for tick in ticks)
    with transaction.atomic(using="marketdata"), connections["marketdata"].cursor() as cursor:
        added = ticks_copy(cursor, blocks, first, last)
        symbols = sorted({tick.symbol for tick in ticks})
        candles_rebuild(symbols, first, last + timedelta(microseconds=1))
    return added


def time_passes() -> None:
    """Let the extension do what it does by and by: write candles down, and compress every day of ticks."""
    if backend_current() is Backend.TIMESCALE:
        policies_run()
        rows_of("SELECT compress_chunk(c, true) FROM show_chunks('market_data_ticks') AS c")


def policies_run() -> None:
    """Run the refresh policies once, finest first."""
    for level in LEVELS:
        ((job,),) = rows_of(
            "SELECT job_id FROM timescaledb_information.jobs "
            "WHERE hypertable_name = %s AND proc_name = 'policy_refresh_continuous_aggregate'",
            level.table,
        )
        rows_of("CALL run_job(%s)", job, alias="marketdata_owner")
