"""Trades that the tape lost on its way here: noticed by a gap in its sequence, read from the store."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from channels.db import database_sync_to_async
from django.db import DatabaseError

from apps.marketdata.candles import Tick
from apps.marketdata.paging import LIMIT_MAX, Walk, trades_page
from apps.primitives.clock import iso, utc_now

logger = logging.getLogger(__name__)

LOOKS_S = (1.0, 5.0, 30.0)
"""When the store is asked after a gap: ticks are there within half a second, unless their relay lags."""

STEP_S = 0.25
SYMBOLS_MAX = 10_000
PAGES_MAX = 5
SEEN_S, SEEN_MIN, SEEN_MAX = 60.0, 1_000, 50_000
"""How long trades of a symbol are remembered, so that none is told twice: beyond the last look at a gap."""

MARGIN = timedelta(seconds=2)
"""How far outside the frames around a gap a missed trade can be: it bears the time of its batch."""

Told = Callable[[str, list[dict[str, Any]]], None]


@dataclass(frozen=True, slots=True)
class _Gap:
    """Between which times trades may be missing, and when, monotonic, the store is still to be asked."""

    start: datetime
    end: datetime
    looks: tuple[float, ...]


class TradesSeen:
    """The newest trades of one symbol that went through here, so that none goes through twice."""

    def __init__(self) -> None:
        self._ids: dict[int, float] = {}

    def fresh(self, trades: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the trades that were not seen before, and take them as seen."""
        new = {trade["i"]: trade for trade in trades if trade["i"] not in self._ids}
        now = time.monotonic()
        self._ids.update(dict.fromkeys(new, now))
        while len(self._ids) > SEEN_MIN:
            oldest = next(iter(self._ids))
            if now - self._ids[oldest] < SEEN_S and len(self._ids) <= SEEN_MAX:
                break
            del self._ids[oldest]
        return list(new.values())


class Repairs:
    """Symbols with a gap, and when to ask the store what was in it; only for those whom somebody hears."""

    def __init__(self, is_heard: Callable[[str], bool], tell: Told) -> None:
        self._is_heard = is_heard
        self._tell = tell
        self._began = utc_now()
        self._due: dict[str, _Gap] = {}

    def ask(self, symbol: str, before: str, after: str) -> None:
        """Look for missed trades of a symbol between the times of two frames."""
        known = self._due.get(symbol)
        if known is None and (len(self._due) >= SYMBOLS_MAX or not self._is_heard(symbol)):
            return
        start = max(datetime.fromisoformat(before) - MARGIN, self._began)
        end = datetime.fromisoformat(after) + MARGIN
        now = time.monotonic()
        looks = tuple(now + wait_s for wait_s in LOOKS_S)
        self._due[symbol] = _Gap(min(start, known.start) if known else start, end, looks)

    async def run(self) -> None:
        """Look when it is time, for ever."""
        while True:
            await asyncio.sleep(STEP_S)
            try:
                await self.step()
            except Exception:
                logger.exception("missed trades could not be told")

    async def step(self) -> None:
        """Look once at all gaps that are due."""
        now = time.monotonic()
        due = {symbol: gap for symbol, gap in self._due.items() if gap.looks[0] <= now}
        if not due:
            return
        for symbol, gap in due.items():
            del self._due[symbol]
            if gap.looks[1:]:
                self._due[symbol] = replace(gap, looks=gap.looks[1:])
        start, end = min(gap.start for gap in due.values()), max(gap.end for gap in due.values())
        try:
            found = await database_sync_to_async(_trades_read)(list(due), start, end)
        except DatabaseError as error:
            logger.warning("missed trades could not be read: %s", error)
            return
        for symbol, trades in found.items():
            self._tell(symbol, trades)


def _trades_read(symbols: list[str], start: datetime, end: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return the stored trades of these symbols in a span, oldest first."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    walk = Walk(tuple(symbols), start, end, limit=LIMIT_MAX)
    for _ in range(PAGES_MAX):
        page = trades_page(walk)
        for symbol, tick in page.rows:
            found[symbol].append(trade_told(tick))
        if page.position is None:
            return found
        walk = replace(walk, position=page.position)
    logger.error("trades of %s symbols are missing since %s: too many to tell them all", len(symbols), start)
    return found


def trade_told(tick: Tick) -> dict[str, Any]:
    """Return a stored trade as the tape tells one."""
    return {
        "i": tick.trade_id,
        "p": format(tick.price, "f"),
        "s": tick.quantity,
        "side": tick.side,
        "t": iso(tick.time),
    }
