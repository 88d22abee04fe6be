"""Loading the demo: rules, shares with their history, participants, people; all of it safe to repeat."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection

from apps.demo.credentials import Credentials
from apps.demo.history import DailyBar, history_read, session_hours
from apps.demo.minute_bars import day_bar, minute_bars
from apps.demo.people import participants_ensure, people_ensure
from apps.demo.universe import LISTINGS, SYMBOLS, TRADERS
from apps.instruments.selectors import instrument_list, market_session
from apps.instruments.services import instrument_add, market_rules_default
from apps.marketdata.selectors import bar_list, bars_imported
from apps.marketdata.services import bars_import

RULES_FROM = date(2000, 1, 3)
"""The first day of the history, so that every day has rules."""

MINUTE_SESSIONS = 20
"""How many sessions of simulated minutes: the 5m chart is full and the 1h chart has a hundred bars."""

COST_SESSIONS = 20
"""The traders' first shares cost what they closed at so many sessions ago."""

LOCK_KEY = 0x0B_DE40_5EED
LOCK_WAIT_S = 120.0

Report = Callable[[str], None]


@contextmanager
def seed_lock() -> Iterator[None]:
    """Hold the one lock of seeding on this database; a second run waits, then finds all done."""
    deadline = time.monotonic() + LOCK_WAIT_S
    with connection.cursor() as cursor:
        while not _lock_try(cursor):
            if time.monotonic() > deadline:
                raise TimeoutError("Another demo_seed has been running for two minutes; try again later.")
            time.sleep(0.2)
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))


def _lock_try(cursor: Any) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,))
    return bool(cursor.fetchone()[0])


def demo_seed(path: Path, url: str, report: Report) -> Credentials:
    """Bring the database and ``demo.json`` at ``path`` to where the demo can start."""
    with seed_lock():
        market_rules_default(RULES_FROM)
        shares_ensure(report)
        closes = {view.symbol: view.last_price for view in instrument_list(SYMBOLS) if view.last_price}
        participants_ensure(closes)
        report("Simulated participants have cash and shares.")
        credentials = people_ensure(path, url, _costs_read())
        report(f"Traders {', '.join(trader.username for trader in TRADERS)} can sign in; see {path}.")
    return credentials


def shares_ensure(report: Report) -> None:
    """List the demo's shares with their history, those that are missing."""
    imported = bars_imported()
    listed = {view.symbol for view in instrument_list(SYMBOLS)}
    missing = [
        one
        for one in LISTINGS
        if one.symbol not in listed or not all((one.symbol, unit) in imported for unit in ("1d", "1m"))
    ]
    if not missing:
        report(f"{len(LISTINGS)} shares are listed, their history is there.")
        return
    history = history_read([one.symbol for one in missing], market_session().trade_date)
    for one in missing:
        bars = history[one.symbol]
        minutes = history_import(one.symbol, bars)
        instrument_add(
            symbol=one.symbol,
            name=one.name,
            exchange=one.exchange,
            price=bars[-1].close,
            trade_date=bars[-1].date,
            simulated=True,
        )
        report(f"{one.symbol}: {len(bars)} real days, {minutes} simulated minutes, last {bars[-1].close}.")


def history_import(symbol: str, bars: list[DailyBar]) -> int:
    """Import a share's days and the minutes of the newest sessions; returns how many minutes."""
    minutes = {bar.date: minute_bars(symbol, bar, session_hours(bar.date)) for bar in bars[-MINUTE_SESSIONS:]}
    bars_import(symbol, "1d", [day_bar(bar, minutes.get(bar.date, ())) for bar in bars])
    return bars_import(symbol, "1m", [minute for day in minutes.values() for minute in day])


def _costs_read() -> dict[str, Decimal]:
    wanted = {symbol for trader in TRADERS for symbol, _ in trader.shares}
    return {symbol: bar_list(symbol, "1D", limit=COST_SESSIONS)[0].close for symbol in wanted}
