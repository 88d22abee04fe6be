"""What only TimescaleDB has: policies, missed refreshes that are made up for, roles, and the way there."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client

from apps.marketdata import backends
from apps.marketdata.aggregates import span_refresh
from apps.marketdata.backends import Backend, backend_current, backend_forget, backend_problem
from apps.marketdata.candles import LEVELS, Bar, Tick
from apps.marketdata.selectors import bar_list
from apps.marketdata.services import bars_import, ticks_append
from apps.operations.services.partitions import homes
from apps.primitives.clock import utc_now
from tests.support.backends import TEMPLATE, TimescaleServer, pointed, timescale_required
from tests.support.tape import candles_agree, policies_run, rows_of, time_passes


@pytest.fixture
def timescale(database: None, timescale_server: TimescaleServer) -> Iterator[TimescaleServer]:
    """Market data in TimescaleDB, empty."""
    with timescale_server.copied() as name, timescale_server.pointed(name):
        yield timescale_server


def minute_ago(days: int) -> Any:
    return LEVELS[0].floor(utc_now() - timedelta(days=days))


def ticks_of(days: int, count: int = 4, first_id: int = 1) -> list[Tick]:
    start = minute_ago(days)
    return [
        Tick(first_id + n, start + timedelta(seconds=n), "AAPL", Decimal(100 + n), 10) for n in range(count)
    ]


def test_ticks_and_history_are_cut_compressed_by_symbol_and_kept_five_years(
    timescale: TimescaleServer,
) -> None:
    jobs = rows_of("SELECT hypertable_name, proc_name, config FROM timescaledb_information.jobs")
    found = {(table, proc): config for table, proc, config in jobs if table}
    for table in ("market_data_ticks", "ohlcv"):
        assert "1 day" in str(found[table, "policy_compression"])
    assert "1830 days" in str(found["market_data_ticks", "policy_retention"])
    assert ("ohlcv", "policy_retention") not in found
    settings = rows_of(
        "SELECT hypertable::text, segmentby FROM timescaledb_information.hypertable_compression_settings "
        "WHERE segmentby IS NOT NULL"
    )
    assert dict(settings) == {"market_data_ticks": "symbol", "ohlcv": "symbol,interval"}
    for level in LEVELS:
        assert (level.table, "policy_refresh_continuous_aggregate") in found
    live = rows_of(
        "SELECT view_name FROM timescaledb_information.continuous_aggregates WHERE NOT materialized_only"
    )
    assert {name for (name,) in live} == {level.table for level in LEVELS}
    assert "market_data_ticks" not in {home.table.name for home in homes()}
    assert "market_data_quotes" in {home.table.name for home in homes()}


def test_open_buckets_are_read_from_ticks_and_never_written_down(timescale: TimescaleServer) -> None:
    present = ticks_of(0)
    ticks_append(present)
    time_passes()
    candles_agree(present)
    span_refresh(present[0].time, utc_now())
    more = [*present, *ticks_of(0, 3, first_id=70)]
    ticks_append(more)
    candles_agree(more)
    today = LEVELS[-1].floor(utc_now())
    ((written,),) = rows_of(
        "SELECT format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name) "
        "FROM timescaledb_information.continuous_aggregates WHERE view_name = 'ohlcv_1d'"
    )
    assert rows_of(f"SELECT count(*) FROM {written} WHERE time >= %s", today) == [(0,)]


def test_a_refresh_that_was_missed_is_made_up_for_by_the_policy(timescale: TimescaleServer) -> None:
    """Whoever dies between the ticks' commit and the refresh: here its role may not refresh at all."""
    old = ticks_of(3)
    ticks_append(old)
    time_passes()
    name = connections["marketdata"].settings_dict["NAME"]
    worker = timescale.postgres.url("worker", name)
    late = ticks_of(3, 2, first_id=50)
    with pointed({"marketdata": worker, "marketdata_owner": worker}):
        assert ticks_append(late).added == 2
    with pytest.raises(AssertionError):
        candles_agree(old + late)
    policies_run()
    candles_agree(old + late)


def test_the_relays_role_appends_reads_and_lets_the_owner_refresh(timescale: TimescaleServer) -> None:
    name = connections["marketdata"].settings_dict["NAME"]
    old = ticks_of(3)
    with timescale.pointed(name, role="worker"):
        ticks_append(old)
        time_passes_as_owner(timescale, name)
        late = ticks_of(3, 2, first_id=50)
        ticks_append(late)
        candles_agree(old + late)
        bars_import("AAPL", "1d", [Bar(LEVELS[-1].floor(minute_ago(9)), *[Decimal(5)] * 4, 7)])
    with timescale.pointed(name, role="web"):
        assert [bar.volume for bar in bar_list("AAPL", "1D")] == [7, 60]


def time_passes_as_owner(server: TimescaleServer, name: str) -> None:
    with pointed({"marketdata": server.postgres.url("owner", name)}):
        time_passes()


def test_history_is_replaced_in_compressed_chunks(timescale: TimescaleServer) -> None:
    day = LEVELS[-1].floor(minute_ago(800))
    bars_import("AAPL", "1d", [Bar(day, *[Decimal(5)] * 4, 7)])
    rows_of("SELECT compress_chunk(c) FROM show_chunks('ohlcv') AS c")
    better = Bar(day, *[Decimal(6)] * 4, 9, 3, Decimal("6.000000"))
    bars_import("AAPL", "1d", [better])
    assert bar_list("AAPL", "1D") == [better]


def test_retention_drops_ticks_and_leaves_their_candles(timescale: TimescaleServer) -> None:
    ticks = [*ticks_of(1_600), *ticks_of(2, first_id=30)]
    ticks_append(ticks)
    time_passes()
    rows_of("SELECT drop_chunks('market_data_ticks', older_than => INTERVAL '1500 days')")
    assert rows_of("SELECT count(*) FROM market_data_ticks") == [(4,)]
    assert len(bar_list("AAPL", "1D")) == 2
    # The policies reach back as far as ticks are kept, so what retention drops they never see.
    assert policies_reach_days() == 1_830
    policies_run_within(days=1_490)
    assert len(bar_list("AAPL", "1D")) == 2


def policies_reach_days() -> int:
    ((text,),) = rows_of(
        "SELECT DISTINCT config->>'start_offset' FROM timescaledb_information.jobs "
        "WHERE proc_name = 'policy_refresh_continuous_aggregate'"
    )
    return int(text.split()[0])


def policies_run_within(days: int) -> None:
    for level in LEVELS:
        sql = f"CALL refresh_continuous_aggregate('{level.table}', now() - make_interval(days => %s), NULL)"
        rows_of(sql, days)


# -- the way there -------------------------------------------------------------------------------------------


@pytest.fixture
def plain_on_timescale(
    database: None, timescale_server: TimescaleServer, settings: Any
) -> Iterator[TimescaleServer]:
    """Tables that were made for plain PostgreSQL, on a server that has TimescaleDB."""
    settings.MARKETDATA_BACKEND = "plain"
    with timescale_server.copied("template1") as name, timescale_server.pointed(name):
        call_command("migrate", database="marketdata", verbosity=0)
        assert backend_current() is Backend.PLAIN
        yield timescale_server
        backend_forget()


def test_plain_tables_are_converted_with_all_that_is_in_them(
    plain_on_timescale: TimescaleServer, settings: Any
) -> None:
    ticks = [*ticks_of(90), *ticks_of(1, first_id=20), *ticks_of(0, first_id=40)]
    ticks_append(ticks)
    bars_import("AAPL", "1d", [Bar(LEVELS[-1].floor(minute_ago(200)), *[Decimal(5)] * 4, 7)])
    before = bar_list("AAPL", "1D")
    settings.MARKETDATA_BACKEND = "timescale"
    assert "marketdata_convert" in (backend_problem() or "")
    call_command("marketdata_convert", verbosity=0)
    assert backend_current() is Backend.TIMESCALE
    assert backend_problem() is None
    assert bar_list("AAPL", "1D") == before
    candles_agree(ticks)
    time_passes()
    late = ticks_of(90, 2, first_id=70)
    ticks_append(late)
    candles_agree(ticks + late)
    call_command("marketdata_convert", verbosity=0)
    call_command("migrate", database="marketdata", verbosity=0)
    candles_agree(ticks + late)


def test_a_conversion_that_dies_leaves_the_plain_tables(
    plain_on_timescale: TimescaleServer, settings: Any
) -> None:
    """Something of the same name is in the way of its last steps."""
    ticks = ticks_of(2)
    ticks_append(ticks)
    rows_of("CREATE VIEW in_the_way AS SELECT * FROM ohlcv_1d")
    settings.MARKETDATA_BACKEND = "timescale"
    with pytest.raises(Exception, match="in_the_way"):
        call_command("marketdata_convert", verbosity=0)
    assert backend_current() is Backend.PLAIN
    candles_agree(ticks)
    rows_of("DROP VIEW in_the_way")
    call_command("marketdata_convert", verbosity=0)
    candles_agree(ticks)


# -- the check -----------------------------------------------------------------------------------------------


def test_nothing_is_wrong_with_a_server_that_has_all(timescale: TimescaleServer, settings: Any) -> None:
    for wanted in ("auto", "timescale"):
        settings.MARKETDATA_BACKEND = wanted
        assert backend_problem() is None
    settings.MARKETDATA_BACKEND = "plain"
    assert "the tables are TimescaleDB's" in (backend_problem() or "")


def test_an_old_release_is_named(timescale: TimescaleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "VERSION_LEAST", (99, 1))
    assert "99.1 is the least" in (backend_problem() or "")
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "99.1 is the least" in answer.json()["checks"]["marketdata"]


def test_the_edition_without_compression_is_refused_before_anything_is_made(
    database: None, settings: Any
) -> None:
    timescale_required()
    server = TimescaleServer(**{"timescaledb.license": "apache"})
    try:
        with server.pointed(TEMPLATE):
            settings.MARKETDATA_BACKEND = "timescale"
            with pytest.raises(RuntimeError, match="timescaledb.license is 'apache'"):
                call_command("migrate", database="marketdata", verbosity=0)
            settings.MARKETDATA_BACKEND = "auto"
            call_command("migrate", database="marketdata", verbosity=0)
            assert backend_current() is Backend.PLAIN
            assert rows_of("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'") == [(0,)]
            ticks_append(ticks_of(1))
            candles_agree(ticks_of(1))
    finally:
        backend_forget()
        server.stop()


def test_a_server_without_the_extension_is_named_at_the_start(database: None, settings: Any) -> None:
    """The suite's own server: asked for TimescaleDB, it says what is missing and migrates nothing."""
    settings.MARKETDATA_BACKEND = "timescale"
    assert "does not have the extension timescaledb" in (backend_problem() or "")
    with pytest.raises(Exception, match="marketdata.E001"):
        call_command("migrate", database="marketdata", verbosity=0, skip_checks=False)
    with pytest.raises(CommandError, match="does not have the extension"):
        call_command("marketdata_convert")


def test_a_server_started_without_the_library_is_named(database: None, settings: Any) -> None:
    timescale_required()
    server = TimescaleServer(**{"shared_preload_libraries": ""})
    try:
        with server.pointed(TEMPLATE):
            settings.MARKETDATA_BACKEND = "timescale"
            assert "shared_preload_libraries" in (backend_problem() or "")
            settings.MARKETDATA_BACKEND = "auto"
            assert backend_problem() is None
            call_command("migrate", database="marketdata", verbosity=0)
            assert backend_current() is Backend.PLAIN
    finally:
        backend_forget()
        server.stop()


def test_the_server_of_our_own_is_started_with_the_extension_where_it_has_it(tmp_path: Path) -> None:
    timescale_required()
    server = TimescaleServer()
    try:
        with server.connect() as connection:
            shown = connection.execute("SHOW shared_preload_libraries").fetchone()
        assert shown == ("timescaledb",)
    finally:
        server.stop()


def test_many_old_compressed_bars_are_corrected_in_one_go(timescale: TimescaleServer) -> None:
    """The extension opens the thousand bars around each corrected one, and by itself no more than 100,000."""
    start, price = minute_ago(700), Decimal(10)
    history = [Bar(start + n * timedelta(minutes=1), price, price, price, price, 10) for n in range(110_000)]
    bars_import("AAPL", "1m", history)
    rows_of("SELECT compress_chunk(c, true) FROM show_chunks('ohlcv') AS c", alias="marketdata_owner")
    corrected = [replace(bar, volume=11) for bar in history[::900]]
    assert bars_import("AAPL", "1m", corrected) == len(corrected)
    assert rows_of("SELECT count(*) FROM ohlcv WHERE volume = 11") == [(len(corrected),)]


def test_a_share_that_trades_rarely_is_not_looked_for_among_all_candles(timescale: TimescaleServer) -> None:
    start = minute_ago(40)
    busy = [
        Tick(n, start + timedelta(minutes=n), f"S{m:03d}", Decimal(10), 1)
        for n in range(1, 60)
        for m in range(60)
    ]
    ticks_append([*busy, Tick(1, start, "RARE", Decimal(7), 1)])
    time_passes()
    rows_of("ANALYZE", alias="marketdata_owner")
    with connections["marketdata"].execute_wrapper(plans := Plans()):
        assert [bar.close for bar in bar_list("RARE", "1m", limit=1)] == [Decimal(7)]
    used = re.findall(r"Index Scan(?: Backward)? using (\S+_materialized_\S+)", plans.text)
    assert used and all("symbol" in name for name in used), plans.text


class Plans:
    """Explains each statement before it runs."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        cursor = context["cursor"].cursor
        cursor.execute(f"EXPLAIN {sql}", parameters)
        self.text += "\n".join(row[0] for row in cursor.fetchall())
        return execute(sql, parameters, many, context)
