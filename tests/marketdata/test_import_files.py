"""A file of ticks or bars comes in whole or not at all, once, on both back ends, whoever dies meanwhile."""

import gzip
import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections

from apps.marketdata.backends import Backend, backend_current
from apps.marketdata.candles import Bar, Tick
from apps.marketdata.imports import files
from apps.marketdata.imports import source as sources
from apps.marketdata.imports.record import Content, content_locked
from apps.marketdata.selectors import bar_list
from apps.marketdata.services import ticks_append
from apps.operations.services.partition_history import market_days_ensure
from brokerage.env import ROOT
from tests.support.builders import market_open

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
INTERVALS = ("1m", "5m", "1h", "1D")


@pytest.fixture(autouse=True)
def listed(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two listed shares, and pieces so small that each file has many."""
    market_open({"AAPL": Decimal("100.00"), "MSFT": Decimal("50.00")})
    monkeypatch.setattr(sources, "BLOCK_BYTES", 4_000)


def make_ticks(count: int, seed: int = 1, days: int = 3) -> list[Tick]:
    rng = random.Random(seed)
    times = sorted(OPEN + timedelta(microseconds=rng.randrange(days * 86_400 * 10**6)) for _ in range(count))
    return [
        Tick(
            1_000 + n,
            time,
            rng.choice(("AAPL", "MSFT")),
            Decimal(rng.randint(9_000, 11_000)) / 100,
            rng.randint(1, 300),
            rng.choice(("BUY", "SELL", None)),
            rng.choice(("NASDAQ", None)),
        )
        for n, time in enumerate(times)
    ]


def line_of(tick: Tick) -> str:
    return (
        f"{tick.time.isoformat()},{tick.symbol},{tick.price},{tick.quantity},{tick.side or ''},"
        f"{tick.exchange or ''},{tick.trade_id}\n"
    )


HEADER = "time,symbol,price,quantity,side,exchange,trade_id\n"


def file_make(path: Path, lines: Sequence[str], header: str = HEADER) -> Path:
    path.write_text(header + "".join(lines))
    return path


def ticks_there() -> list[Tick]:
    with connections["marketdata"].cursor() as cursor:
        cursor.execute(
            "SELECT trade_id, time, symbol, price, quantity, side, exchange, in_session "
            "FROM market_data_ticks ORDER BY time, trade_id"
        )
        return [Tick(*row) for row in cursor.fetchall()]


def candles_there() -> dict[tuple[str, str], list[Bar]]:
    end = OPEN + timedelta(days=9)
    return {
        (symbol, interval): bar_list(symbol, interval, end=end, limit=9_999)
        for symbol in ("AAPL", "MSFT")
        for interval in INTERVALS
    }


def candles_of(ticks: Sequence[Tick]) -> dict[tuple[str, str], list[Bar]]:
    """Return the candles that appending the ticks one by one makes, in place of all that are there."""
    with connections["marketdata"].cursor() as cursor:
        cursor.execute("DELETE FROM market_data_ticks")
        if backend_current() is Backend.PLAIN:
            for interval in INTERVALS:
                cursor.execute(f"DELETE FROM ohlcv_{interval.lower()}")
    ticks_append(ticks)
    return candles_there()


def run(*arguments: object, command: str = "import_ticks") -> str:
    """Run the command; returns what it told, errors included."""
    out = StringIO()
    try:
        call_command(command, *map(str, arguments), stdout=out, stderr=out)
    except CommandError as error:
        return f"{out.getvalue()}ENDED: {error}"
    return out.getvalue()


def test_a_file_becomes_ticks_and_the_candles_that_appending_makes(tmp_path: Path) -> None:
    ticks = make_ticks(2_000)
    told = run(file_make(tmp_path / "t.csv", [line_of(tick) for tick in ticks]))
    assert told == "t.csv: 2,000 ticks imported, 2,000 of them new, 0 bad lines left out.\n"
    assert ticks_there() == ticks
    found = candles_there()
    assert found[("AAPL", "1m")]
    assert found == candles_of(ticks)


def test_order_packing_and_quoting_make_no_difference(tmp_path: Path) -> None:
    ticks = make_ticks(600, seed=2)
    whole = [line_of(tick) for tick in ticks]
    random.Random(3).shuffle(whole)
    path = tmp_path / "t.csv.gz"
    quoted = "".join(",".join(f'"{value}"' for value in line.strip().split(",")) + "\r\n" for line in whole)
    path.write_bytes(gzip.compress(HEADER.encode() + quoted.encode()))
    assert "600 ticks imported, 600 of them new" in run(path)
    assert ticks_there() == ticks
    assert candles_there() == candles_of(ticks)


def test_a_file_that_is_in_changes_nothing_and_says_so(tmp_path: Path) -> None:
    lines = [line_of(tick) for tick in make_ticks(50)]
    run(file_make(tmp_path / "t.csv", lines))
    before = ticks_there()
    assert " UTC, no change.\n" in run(file_make(tmp_path / "other name.csv", lines))
    told = run(tmp_path / "t.csv", "--again")
    assert told == "t.csv: 50 ticks imported, 0 of them new, 0 bad lines left out.\n"
    assert ticks_there() == before


def test_ticks_that_are_there_already_stay_once(tmp_path: Path) -> None:
    ticks = make_ticks(900, seed=4)
    ticks_append(ticks[100:300])
    told = run(file_make(tmp_path / "t.csv", [line_of(tick) for tick in [*ticks, *ticks[:70]]]))
    assert told == "t.csv: 970 ticks imported, 700 of them new, 0 bad lines left out.\n"
    assert ticks_there() == ticks
    assert candles_there() == candles_of(ticks)


def test_ids_made_from_the_content_repeat_with_it_and_keep_the_order(tmp_path: Path) -> None:
    header, at = "time,symbol,price,quantity\n", OPEN.isoformat()
    lines = [f"{at},AAPL,{price},5\n" for price in ("10", "12", "9", "11")] * 50
    told = run(file_make(tmp_path / "t.csv", lines, header))
    assert "200 ticks imported, 200 of them new" in told
    (day,) = bar_list("AAPL", "1D", end=OPEN + timedelta(days=1))
    assert (day.open, day.high, day.low, day.close, day.volume) == (10, 12, 9, 11, 1_000)
    assert "200 ticks imported, 0 of them new" in run(tmp_path / "t.csv", "--again")


def test_a_file_with_bad_lines_is_refused_whole(tmp_path: Path) -> None:
    lines = [line_of(tick) for tick in make_ticks(300)]
    lines[200] = lines[200].replace("AAPL", "XXXX").replace("MSFT", "XXXX")
    lines.append('"odd",line\n')
    told = run(file_make(tmp_path / "t.csv", lines))
    assert told.splitlines() == [
        "t.csv:202: symbol 'XXXX' is not listed",
        "t.csv:302: the line does not have the 7 columns of the first",
        f"t.csv: all bad lines are in {tmp_path}/t.csv.rejected.csv.",
        "t.csv: refused, nothing was written: 299 good ticks, 2 bad lines (see --skip-bad).",
        "ENDED: 1 of 1 files were not imported.",
    ]
    assert ticks_there() == []
    rejected = (tmp_path / "t.csv.rejected.csv").read_text().splitlines()
    assert rejected[0] == "line,reason,text"
    assert rejected[2] == '302,the line does not have the 7 columns of the first,"""odd"",line"'


def test_good_lines_come_in_when_bad_ones_are_to_be_skipped(tmp_path: Path) -> None:
    lines = [line_of(tick) for tick in make_ticks(300)]
    bad = [f"bad {n}\n" for n in range(30)]
    path = file_make(tmp_path / "t.csv", [*lines[:100], *bad, *lines[100:]])
    told = run(path, "--skip-bad", "--rejects", tmp_path / "elsewhere.csv")
    assert "t.csv: and 10 more bad lines.\n" in told
    assert "t.csv: 300 ticks imported, 300 of them new, 30 bad lines left out.\n" in told
    assert len((tmp_path / "elsewhere.csv").read_text().splitlines()) == 31


def test_a_dry_run_only_checks(tmp_path: Path) -> None:
    path = file_make(tmp_path / "t.csv", [line_of(tick) for tick in make_ticks(100)])
    assert run(path, "--dry-run") == "t.csv: checked, 100 good ticks, 0 bad lines; nothing was written.\n"
    assert ticks_there() == []
    path.write_text(path.read_text() + "bad\n")
    assert "ENDED: 1 of 1 files were not imported." in run(path, "--dry-run")


def test_what_was_broken_off_goes_on_after_the_last_piece_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> None:
    ticks = make_ticks(1_500, seed=5)
    path = file_make(tmp_path / "t.csv", [line_of(tick) for tick in ticks])
    move, moves = files.place_move, []

    def dying(content: Any, before: Any, after: Any) -> None:
        move(content, before, after)
        moves.append(after)
        if len(moves) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(files, "place_move", dying)
    with pytest.raises(KeyboardInterrupt):
        run(path)
    written = ticks_there()
    assert len(written) == moves[3].rows, "the fifth piece, whose transaction broke, is not there"
    if backend is Backend.PLAIN:
        assert candles_there() == candles_of(written)
        assert ticks_there() == written
    monkeypatch.setattr(files, "place_move", move)
    told = run(path)
    assert told.startswith(f"t.csv: went on at line {moves[3].line:,}.\n")
    assert "1,500 ticks imported, 1,500 of them new" in told
    assert ticks_there() == ticks
    assert candles_there() == candles_of(ticks)


IMPORTING = """
import sys, django
django.setup()
from django.conf import settings
from django.core.management import call_command
from apps.marketdata.imports import source
source.BLOCK_BYTES = 20_000
call_command("import_ticks", sys.argv[1])
"""


def address(alias: str) -> str:
    found = connections[alias].settings_dict
    return "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**found)


def process_start(path: Path) -> "subprocess.Popen[bytes]":
    """Import a file in a process of its own, in smaller pieces than usual."""
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "brokerage.settings.testing",
        "DATABASE_URL": address("default"),
        "MARKETDATA_URL": address("marketdata"),
        "REDIS_URL": settings.REDIS_URL,
    }
    return subprocess.Popen([sys.executable, "-c", IMPORTING, str(path)], cwd=ROOT, env=env)


def rows_imported() -> int:
    with connections["marketdata"].cursor() as cursor:
        cursor.execute("SELECT coalesce(sum(row_count), 0) FROM market_data_imports")
        return int(cursor.fetchone()[0])


def test_a_killed_process_leaves_whole_pieces_and_the_next_one_goes_on(tmp_path: Path) -> None:
    ticks = make_ticks(12_000, seed=6)
    path = file_make(tmp_path / "t.csv", [line_of(tick) for tick in ticks])
    process = process_start(path)
    deadline = time.monotonic() + 120
    while rows_imported() < 1_000:
        assert time.monotonic() < deadline and process.poll() is None, "it wrote nothing"
        time.sleep(0.005)
    process.kill()
    process.wait()
    there, counted = ticks_there(), rows_imported()
    assert there == ticks[: len(there)]
    assert 1_000 <= counted == len(there) < len(ticks), "it was killed in the middle"
    assert process_start(path).wait(120) == 0
    assert ticks_there() == ticks
    assert candles_there() == candles_of(ticks)


def test_two_imports_of_one_file_at_once_are_one(tmp_path: Path) -> None:
    path = file_make(tmp_path / "t.csv", [line_of(tick) for tick in make_ticks(20)])
    held = Content("ticks", hashlib.sha256(path.read_bytes()).hexdigest())
    told = []

    def second() -> None:
        told.append(run(path))
        for connection in connections.all():
            connection.close()

    with content_locked(held, "ticks.csv"):
        thread = Thread(target=second)
        thread.start()
        thread.join(60)
    assert told == ["t.csv is being imported by somebody else now.\nENDED: 1 of 1 files were not imported."]
    assert ticks_there() == []
    assert "20 ticks imported" in run(path)


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_make(tmp_path / "t.csv", [line_of(tick) for tick in make_ticks(500)])
    move = files.place_move

    def meddling(content: Any, before: Any, after: Any) -> None:
        move(content, before, after)
        with path.open("a") as file:
            file.write("more")

    monkeypatch.setattr(files, "place_move", meddling)
    assert run(path).startswith("t.csv was changed while it was imported")
    assert 0 < len(ticks_there()) < 500, "what was written before is whole pieces"


def test_days_long_past_get_their_partitions(tmp_path: Path, backend: Backend) -> None:
    long_ago = Tick(1, OPEN - timedelta(days=900), "AAPL", Decimal("10.0000"), 5)
    run(file_make(tmp_path / "t.csv", [line_of(long_ago)]))
    assert ticks_there() == [long_ago]
    if backend is Backend.PLAIN:
        assert market_days_ensure([long_ago.time.date()]) == []
        with connections["marketdata"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM market_data_ticks_default")
            assert cursor.fetchone()[0] == 0


def test_ticks_outside_sessions_make_no_candles(tmp_path: Path, settings: Any) -> None:
    settings.MARKET_CALENDAR = "XNYS"
    saturday, early = OPEN + timedelta(days=5), OPEN - timedelta(minutes=1)
    ticks = [
        Tick(1, early, "AAPL", Decimal("10.0000"), 5, in_session=False),
        Tick(2, OPEN, "AAPL", Decimal("11.0000"), 5),
        Tick(3, OPEN + timedelta(hours=6, minutes=30), "AAPL", Decimal("12.0000"), 5),
        Tick(4, OPEN + timedelta(hours=7), "AAPL", Decimal("13.0000"), 5, in_session=False),
        Tick(5, saturday, "AAPL", Decimal("14.0000"), 5, in_session=False),
    ]
    run(file_make(tmp_path / "t.csv", [line_of(tick) for tick in ticks]))
    assert ticks_there() == ticks
    (day,) = bar_list("AAPL", "1D", end=OPEN + timedelta(days=9))
    assert (day.open, day.close, day.trade_count) == (11, 12, 2)


BAR_HEADER = "symbol,date,open,high,low,close,volume,trade_count,vwap\n"


def test_daily_bars_come_in_by_their_dates_and_replace_what_is_there(tmp_path: Path) -> None:
    lines = ["AAPL,2026-03-02,10,12,9,11,1000,50,10.5\n", "AAPL,2026-03-09,11,13,11,12,900,,\n"]
    told = run(file_make(tmp_path / "d.csv", lines, BAR_HEADER), "--interval", "1d", command="import_bars")
    assert told == "d.csv: 2 bars imported, 2 of them new or replaced, 0 bad lines left out.\n"
    monday, after = bar_list("AAPL", "1D", end=OPEN + timedelta(days=9))
    assert monday.time == datetime(2026, 3, 2, 5, tzinfo=UTC), "midnight in New York"
    assert after.time == datetime(2026, 3, 9, 4, tzinfo=UTC), "after the clocks were put forward"
    assert (monday.trade_count, monday.vwap) == (50, Decimal("10.500000"))
    assert (after.trade_count, after.vwap) == (None, None)
    lines[0] = lines[0].replace(",11,", ",10,")
    run(file_make(tmp_path / "d.csv", lines, BAR_HEADER), "--interval", "1d", command="import_bars")
    assert bar_list("AAPL", "1D", end=OPEN + timedelta(days=9))[0].close == 10


@pytest.mark.parametrize(
    ("line", "interval", "reason"),
    [
        ("AAPL,2026-03-02,10,12,9,11,1,,", "1m", "time must be ISO 8601 with a zone"),
        ("AAPL,2026-03-02T15:00:30Z,10,12,9,11,1,,", "1m", "time must be the start of a minute"),
        ("AAPL,2026-03-02T15:00:00Z,10,12,9,11,1,,", "1d", "time must be a date, or midnight in New York"),
        ("AAPL,2026-03-02,10,12,10.5,11,1,,", "1d", "low and high must enclose open and close"),
        ("AAPL,2026-03-02,10,12,9,11,-1,,", "1d", "volume must be from 0"),
        ("AAPL,2026-03-02,10,12,9,11,1,1.5,", "1d", "trade_count must be a whole number"),
        ("AAPL,2026-03-02,10,12,9,11,1,,-4", "1d", "vwap must be greater than zero"),
        ("AAPL,9999-12-31,10,12,9,11,1,,", "1d", "time lies in the future"),
    ],
)
def test_bad_bars_are_told(tmp_path: Path, line: str, interval: str, reason: str) -> None:
    path = file_make(tmp_path / "d.csv", [line + "\n"], BAR_HEADER)
    assert run(path, "--interval", interval, command="import_bars").startswith(f"d.csv:2: {reason}")
    assert bar_list("AAPL", "1D", end=OPEN + timedelta(days=9)) == []


def test_files_are_done_one_after_another_and_one_refusal_ends_with_an_error(tmp_path: Path) -> None:
    good = file_make(tmp_path / "good.csv", [line_of(tick) for tick in make_ticks(10)])
    bad = file_make(tmp_path / "bad.csv", [], "what,is,this\n")
    told = run(bad, good, tmp_path / "absent.csv")
    assert "bad.csv: This is no CSV file of ticks: its first line does not name time, symbol" in told
    assert "good.csv: 10 ticks imported" in told
    assert "absent.csv: cannot be read" in told
    assert told.endswith("ENDED: 2 of 3 files were not imported.")


def test_a_file_of_a_header_alone_is_in_with_nothing(tmp_path: Path) -> None:
    assert run(file_make(tmp_path / "t.csv", [])) == (
        "t.csv: 0 ticks imported, 0 of them new, 0 bad lines left out.\n"
    )


def test_rejects_of_two_files_cannot_go_to_one(tmp_path: Path) -> None:
    path = file_make(tmp_path / "t.csv", [])
    assert "--rejects takes one file" in run(path, path, "--rejects", tmp_path / "r.csv")
    assert "cannot be written" in run(file_make(path, ["bad\n"]), "--rejects", tmp_path / "no" / "r.csv")


def test_bad_lines_never_go_over_the_file_itself_nor_through_a_link(tmp_path: Path) -> None:
    path = file_make(tmp_path / "t.csv", ["2026-03-02T15:00:00Z,AAPL,NaN,1,,,1\n"])
    text = path.read_text()
    said = run(path, "--skip-bad", "--rejects", str(path))
    assert path.read_text() == text and "is the file that is read" in said
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "t.csv.rejected.csv").symlink_to(victim)
    said = run(path, "--dry-run")
    assert victim.read_text() == "precious" and "cannot be written" in said


def test_a_bars_volume_stays_far_from_what_cannot_be_added_up(tmp_path: Path) -> None:
    header = "symbol,time,open,high,low,close,volume\n"
    line = "AAPL,2026-03-02T15:00:00Z,10,10,10,10,9223372036854775807\n"
    path = file_make(tmp_path / "b.csv", [line], header)
    with pytest.raises(CommandError):
        call_command("import_bars", "--interval", "1m", str(path), stderr=StringIO())
