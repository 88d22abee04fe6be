"""The market-data tables as they were keep all they hold on their way to what they are now, and back."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from apps.marketdata.backends import Backend, backend_current, backend_forget
from apps.marketdata.candles import LEVELS, Tick
from apps.marketdata.services import ticks_append
from tests.marketdata.test_ticks import make_ticks
from tests.support.backends import ALIASES, TimescaleServer, pointed, timescale_required
from tests.support.tape import candles_agree, rows_of, time_passes

NAME = "openbell_migrating"

FORMER_SQL = """
INSERT INTO market_data_ticks (time, symbol, price, quantity, side, exchange, trade_id)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""


@pytest.fixture(params=list(Backend))
def empty_database(database: None, request: pytest.FixtureRequest, settings: Any) -> Iterator[Backend]:
    """A database without tables, on a server of either kind."""
    settings.MARKETDATA_BACKEND = request.param
    if request.param is Backend.TIMESCALE:
        timescale_required()
        server: TimescaleServer = request.getfixturevalue("timescale_server")
        with server.copied("template1") as name, server.pointed(name):
            yield request.param
        backend_forget()
        return
    with connections["marketdata"].cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {NAME}")
    here = connections["marketdata"].settings_dict
    url = f"postgresql://{here['USER']}:{here['PASSWORD']}@{here['HOST']}:{here['PORT']}/{NAME}"
    with pointed(dict.fromkeys(ALIASES, url)):
        yield request.param
    backend_forget()
    with connections["marketdata"].cursor() as cursor:
        cursor.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def migrate(to: str | None = None) -> None:
    target = ["marketdata", to] if to else []
    call_command("migrate", *target, database="marketdata", verbosity=0)
    backend_forget()


def former_ticks() -> list[Tick]:
    """Write ticks as the former release did, with a candle of each of the former tables."""
    ticks = make_ticks(300)
    for tick in ticks:
        row = (tick.time, tick.symbol, tick.price, tick.quantity, tick.side, tick.exchange, tick.trade_id)
        rows_of(FORMER_SQL, *row)
    return ticks


def test_the_present_tables_arrive_with_what_they_hold(empty_database: Backend) -> None:
    migrate("0002")
    ticks = former_ticks()
    migrate()
    assert backend_current() is empty_database
    candles_agree(ticks)
    time_passes()
    more = make_ticks(400, seed=3)[300:]
    assert ticks_append([*ticks, *more]).added == 100
    candles_agree([*ticks, *more])
    migrate()
    candles_agree([*ticks, *more])


def test_the_way_back_keeps_ticks_and_candles_or_is_refused(empty_database: Backend) -> None:
    migrate()
    ticks = make_ticks(100)
    ticks_append(ticks)
    if empty_database is Backend.TIMESCALE:
        with pytest.raises(RuntimeError, match="no way back"):
            migrate("0003")
        assert backend_current() is Backend.TIMESCALE
        return
    migrate("0002")
    ((volume,),) = rows_of(f"SELECT sum(volume) FROM {LEVELS[-1].table}")
    assert volume == sum(tick.quantity for tick in ticks)
    migrate()
    candles_agree(ticks)
