"""One story for both back ends: whatever road ticks take, however late, candles are a plain model's."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from random import Random
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from apps.instruments.calendar import exchange_date
from apps.marketdata.backends import Backend, backend_current
from apps.marketdata.candles import LEVELS, Level, Tick
from apps.marketdata.selectors import bars_at
from apps.marketdata.services import (
    Appended,
    candles_rebuild,
    ticks_append,
    ticks_copy,
    ticks_kept_since,
)
from apps.primitives.clock import utc_now
from apps.primitives.errors import Invalid
from tests.support.tape import (
    candles_agree,
    candles_found,
    copy_stream,
    rows_of,
    ticks_load,
    time_passes,
)

SYMBOLS = ("AAPL", "MSFT", "ZION")
AGES = (0, 0, 0, 1, 2, 30, 400)
"""How many days old a random tick is: mostly of today, some of a day that is long compressed."""

CLOCK_CHANGE = datetime(2026, 3, 8, 7, 0, tzinfo=UTC)


def random_ticks(rng: Random, count: int) -> list[Tick]:
    """Return ticks of few distinct instants, so that many share one, in no order."""
    now = utc_now().replace(microsecond=0)
    bases = [now - timedelta(days=age) for age in AGES] + [CLOCK_CHANGE]
    return [
        Tick(
            trade_id=rng.randint(1, 10**9),
            time=rng.choice(bases)
            - timedelta(seconds=rng.choice((0, 0, 1, 70, 400, 5_000, rng.randint(0, 90_000)))),
            symbol=rng.choice(SYMBOLS),
            price=Decimal(rng.randint(9_000, 11_000)) / 100 + Decimal("0.0001") * rng.randint(0, 9),
            quantity=rng.randint(1, 300),
            side=rng.choice(("BUY", "SELL", None)),
            in_session=rng.random() < 0.9,
        )
        for _ in range(count)
    ]


def span_of(ticks: list[Tick]) -> tuple[datetime, datetime]:
    times = [tick.time for tick in ticks]
    return min(times), max(times) + timedelta(microseconds=1)


@pytest.mark.parametrize("seed", range(8))
def test_candles_are_what_a_plain_model_makes(backend: Backend, seed: int) -> None:
    """Late, twice, out of order, outside sessions, in random batches, on random roads, beside compression."""
    assert backend_current() is backend
    rng = Random(seed)
    ticks = random_ticks(rng, 400)
    waiting, stored = ticks + rng.sample(ticks, 60), []
    rng.shuffle(waiting)
    while waiting:
        size = rng.choice((1, 3, 20, 90))
        batch, waiting = waiting[:size], waiting[size:]
        before = {(tick.symbol, tick.time, tick.trade_id) for tick in stored}
        fresh = {(tick.symbol, tick.time, tick.trade_id) for tick in batch} - before
        added = ticks_load(batch) if rng.random() < 0.3 else ticks_append(batch).added
        assert added == len(fresh)
        stored += batch
        if rng.random() < 0.15:
            time_passes()
        if rng.random() < 0.1:
            candles_rebuild(rng.choice((None, ["AAPL"])), *span_of(batch))
        if rng.random() < 0.2:
            candles_agree(stored)
    candles_agree(ticks)
    time_passes()
    candles_agree(ticks)
    assert rows_of("SELECT count(*) FROM market_data_ticks") == [(len(ticks),)]


def one_minute(start: datetime, count: int = 5, first_id: int = 1) -> list[Tick]:
    return [
        Tick(first_id + n, start + timedelta(seconds=n), "AAPL", Decimal("100.0000") + n, 10)
        for n in range(count)
    ]


def days_ago(days: int) -> datetime:
    return LEVELS[0].floor(utc_now() - timedelta(days=days))


def test_a_late_tick_corrects_what_is_written_down_and_compressed(backend: Backend) -> None:
    old, present = one_minute(days_ago(40)), one_minute(days_ago(0), first_id=50)
    ticks_append(old + present)
    time_passes()
    late = Tick(7, old[0].time - timedelta(milliseconds=0), "AAPL", Decimal("55.5000"), 3)
    earlier = Tick(0, old[0].time, "AAPL", Decimal("77.0000"), 1)
    for tick in (late, earlier):
        assert ticks_append([tick]) == Appended(1, (("AAPL", old[0].time),))
        old.append(tick)
        candles_agree(old + present)
    assert ticks_append([late, earlier]) == Appended(0, ())


@pytest.mark.parametrize("road", ["append", "load", "missed"])
def test_a_change_that_ends_in_the_first_hour_of_a_day_reaches_that_day(
    backend: Backend, road: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TimescaleDB forgets the second of two changed days when its first hour is the last that changed."""
    midnight = LEVELS[-1].floor(utc_now() - timedelta(days=9))
    spans = [timedelta(hours=n) for n in (-30, -5, -1, 0, 1, 7, 23)]
    ticks = [tick for n, span in enumerate(spans) for tick in one_minute(midnight + span, first_id=n * 100)]
    ticks_append(ticks)
    time_passes()
    times = [midnight - timedelta(hours=22), midnight - timedelta(hours=1), midnight + timedelta(minutes=29)]
    late = [Tick(9_000 + n, time, "AAPL", Decimal("900.0000"), 7) for n, time in enumerate(times)]
    if road == "missed":
        monkeypatch.setattr("apps.marketdata.aggregates.minutes_refresh", lambda minutes: None)
    if road == "load":
        ticks_load(late)
    else:
        ticks_append(late)
    if road == "missed":
        time_passes()
    candles_agree(ticks + late)


def test_late_ticks_of_many_days_and_those_of_now_come_in_one_batch(backend: Backend) -> None:
    written = [tick for days in range(0, 80, 2) for tick in one_minute(days_ago(days), first_id=days * 100)]
    ticks_append(written)
    time_passes()
    batch = [
        tick for days in range(0, 81) for tick in one_minute(days_ago(days), 2, first_id=50_000 + days * 100)
    ]
    assert ticks_append(batch).added == len(batch)
    candles_agree(written + batch)


def test_the_minutes_that_changed_are_told_once_and_in_order(backend: Backend) -> None:
    start = days_ago(1)
    ticks = [
        Tick(1, start + timedelta(seconds=61), "MSFT", Decimal("10.0000"), 1),
        Tick(2, start + timedelta(seconds=1), "MSFT", Decimal("10.0000"), 1),
        Tick(3, start + timedelta(seconds=2), "AAPL", Decimal("10.0000"), 1),
        Tick(4, start + timedelta(seconds=3), "AAPL", Decimal("10.0000"), 1),
        Tick(5, start + timedelta(minutes=9), "AAPL", Decimal("10.0000"), 1, in_session=False),
    ]
    minute = timedelta(minutes=1)
    assert ticks_append(ticks) == Appended(5, (("AAPL", start), ("MSFT", start), ("MSFT", start + minute)))


def test_candles_are_read_by_their_keys(backend: Backend) -> None:
    start = days_ago(2)
    ticks_append([*one_minute(start), *one_minute(start + timedelta(minutes=1), first_id=20)])
    keys = [("AAPL", start), ("AAPL", start + timedelta(minutes=2)), ("MSFT", start)]
    found = bars_at(keys)
    assert list(found) == [("AAPL", start)]
    bar = found["AAPL", start]
    assert (bar.open, bar.close, bar.volume, bar.trade_count) == (100, 104, 50, 5)
    assert bar.vwap == Decimal("102.000000")
    day = LEVELS[-1].floor(start)
    assert bars_at([("AAPL", day)], "1D")["AAPL", day].volume == 100
    assert bars_at([]) == {}
    with pytest.raises(Invalid):
        bars_at(keys, "15m")


def test_a_load_that_fails_leaves_nothing(backend: Backend) -> None:
    ticks = one_minute(days_ago(3))
    blocks = copy_stream(ticks)
    with (
        pytest.raises(ZeroDivisionError),
        transaction.atomic(using="marketdata"),
        connections["marketdata"].cursor() as cursor,
    ):
        assert ticks_copy(cursor, blocks, ticks[0].time, ticks[-1].time) == len(ticks)
        candles_rebuild(["AAPL"], ticks[0].time, ticks[-1].time)
        raise ZeroDivisionError
    assert rows_of("SELECT count(*) FROM market_data_ticks") == [(0,)]
    candles_agree([])
    assert ticks_load(ticks) == len(ticks)
    assert ticks_load(ticks[:2] + ticks) == 0
    candles_agree(ticks)


def test_making_anew_mends_what_was_changed_behind_its_back(backend: Backend) -> None:
    ticks = [
        *one_minute(days_ago(5)),
        *one_minute(days_ago(4), first_id=30),
        *one_minute(days_ago(3), first_id=60),
    ]
    ticks_append(ticks)
    time_passes()
    rows_of("DELETE FROM market_data_ticks WHERE time < %s", ticks[5].time)
    rows_of("UPDATE market_data_ticks SET price = 1 WHERE trade_id = 30")
    left = [Tick(30, ticks[5].time, "AAPL", Decimal(1), 10), *ticks[6:]]
    candles_rebuild(None, days_ago(6), utc_now())
    candles_agree(left)
    candles_rebuild([], days_ago(6), utc_now())
    candles_rebuild(["AAPL"], utc_now(), days_ago(6))
    candles_agree(left)


def test_appending_and_loading_at_once_lose_nothing(backend: Backend) -> None:
    """The same ticks by both roads, from four sides, while candles are made anew: each counts once."""
    rng, start = Random(7), days_ago(1)
    ticks = [
        Tick(
            n,
            start + timedelta(seconds=rng.randint(0, 300)),
            rng.choice(SYMBOLS),
            Decimal(rng.randint(1, 99)),
            1,
        )
        for n in range(1, 600)
    ]
    ticks_append(ticks[:100])
    time_passes()
    added, errors = [], []

    def act(seed: int) -> None:
        mine = Random(seed).sample(ticks, len(ticks))
        try:
            for at in range(0, len(mine), 100):
                road = ticks_load if seed % 2 else lambda some: ticks_append(some).added
                added.append(road(mine[at : at + 100]))
                if seed == 0:
                    candles_rebuild(None, *span_of(ticks))
        except Exception as error:
            errors.append(error)
        finally:
            connections["marketdata"].close()
            connections["marketdata_owner"].close()

    threads = [Thread(target=act, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert sum(added) == len(ticks) - 100
    if backend is Backend.TIMESCALE:
        # A refresh that met another one too often is left to the policy.
        time_passes()
    candles_agree(ticks)


def test_ticks_older_than_what_is_kept_make_nothing_and_unmake_nothing(backend: Backend) -> None:
    since = ticks_kept_since()
    ancient = one_minute(since - timedelta(hours=1))
    oldest = one_minute(since, first_id=40)
    assert ticks_append(ancient + oldest) == Appended(len(oldest), (("AAPL", since),))
    candles_rebuild(None, since - timedelta(days=900), utc_now())
    candles_agree(oldest)


def test_longest_history_of_a_symbol_is_in_the_order_of_its_days(backend: Backend) -> None:
    ticks = [tick for days in range(0, 400, 40) for tick in one_minute(days_ago(days), first_id=days)]
    ticks_load(ticks)
    found = candles_found(LEVELS[-1])
    assert sorted(start for _, start in found) == sorted({LEVELS[-1].floor(tick.time) for tick in ticks})


def test_the_engineer_on_call_makes_days_anew(backend: Backend) -> None:
    """Candles that nobody can explain, and no change of ticks that would be noted."""
    ticks = [*one_minute(days_ago(3)), *one_minute(days_ago(2), first_id=30)]
    ticks_append(ticks)
    time_passes()
    for level in LEVELS:
        rows_of(f"UPDATE {written_down(backend, level)} SET high = 500")
    with pytest.raises(AssertionError):
        candles_agree(ticks)
    first, last = (exchange_date(days_ago(days)).isoformat() for days in (3, 2))
    call_command("candles_rebuild", first, last, stdout=StringIO())
    candles_agree(ticks)
    for wrong in ([last, first], ["1999-01-01"], [first, "2999-01-01"]):
        with pytest.raises(CommandError, match="since when ticks are kept"):
            call_command("candles_rebuild", *wrong)


def written_down(backend: Backend, level: Level) -> str:
    if backend is Backend.PLAIN:
        return level.table
    ((name,),) = rows_of(
        "SELECT format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name) "
        "FROM timescaledb_information.continuous_aggregates WHERE view_name = %s",
        level.table,
    )
    return str(name)
