"""Reads of what is cut by day and keyed by symbol and time: trades and quotes, of many symbols at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Generic, TypeVar

from apps.marketdata.candles import LEVELS, Tick
from apps.marketdata.joining import Direction, rows_read
from apps.marketdata.written import written_of
from apps.primitives.clock import utc_now

CELLS_MAX = 4_096
"""How many daily partitions, counted once a symbol, one statement may look into."""

WINDOW = timedelta(days=32)
"""How far the first symbol is read before it is read four times further: most pages fill within it."""

WINDOW_MAX = timedelta(days=366)
"""No statement reads further: to open a day takes longer than to find nothing in it."""

BACK_MAX = timedelta(days=366 * 20)
"""All there is of recorded quotes, which are kept for days; a tick's day is known by its candle."""

BACK = (timedelta(days=2), timedelta(days=31))
"""How far back the newest row is looked for first: few daily partitions are opened."""

DAYS = LEVELS[-1]

AHEAD = timedelta(hours=1)
"""How far in the future a clock that runs before ours may have put a row."""

_MICROSECOND = timedelta(microseconds=1)

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Quote:
    """The best prices of one symbol at a time, in dollars; a side without orders has no price and size 0."""

    time: datetime
    symbol: str
    bid_price: Decimal | None
    bid_size: int
    ask_price: Decimal | None
    ask_size: int


@dataclass(frozen=True, slots=True)
class Cut:
    """One symbol's rows from ``start`` to ``end``; those up to the key ``told`` are known already."""

    symbol: str
    start: datetime
    end: datetime
    told: tuple[datetime, int] | None = None


@dataclass(frozen=True, slots=True)
class Table(Generic[_Row]):
    """A table that is cut by day; its key is the symbol, then these columns."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    make: Callable[..., _Row]


TICKS = Table(
    "market_data_ticks",
    ("trade_id", "time", "symbol", "price", "quantity", "side", "exchange"),
    ("time", "trade_id"),
    Tick,
)
QUOTES = Table(
    "market_data_quotes",
    ("time", "symbol", "bid_price", "bid_size", "ask_price", "ask_size"),
    ("time",),
    Quote,
)

# The bounds are the statement's own: only what the planner knows beforehand keeps whole days closed.
_SQL = """
SELECT s.symbol, t.*
FROM (SELECT * FROM unnest(%(symbols)s::text[]) WITH ORDINALITY AS u (symbol, n) ORDER BY n) AS s
CROSS JOIN LATERAL (
    SELECT {columns} FROM {table}
    WHERE symbol = s.symbol AND time BETWEEN %(start)s AND %(end)s {untold}
    ORDER BY {key} LIMIT %(each)s
) AS t
ORDER BY s.n, {key_of_t} LIMIT %(limit)s
"""

# What is newer than what TimescaleDB has written down has been looked at by then.
_DAY_SQL = """
SELECT s.symbol, d.time FROM unnest(%s::text[]) AS s (symbol)
CROSS JOIN LATERAL (SELECT time FROM {table} WHERE symbol = s.symbol ORDER BY time DESC LIMIT 1) AS d
"""

_PARTITIONS_SQL = "SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass(%s)"


def _sql(table: Table[Any], direction: Direction, is_told: bool) -> str:
    beyond = ">" if direction == "asc" else "<"
    told = ", ".join(("%(told_time)s", "%(told_id)s")[: len(table.key)])
    return _SQL.format(
        columns=", ".join(table.columns),
        table=table.name,
        untold=f"AND ({', '.join(table.key)}) {beyond} ({told})" if is_told else "",
        key=", ".join(f"{name} {direction}" for name in table.key),
        key_of_t=", ".join(f"t.{name} {direction}" for name in table.key),
    )


def rows_of(
    cuts: Sequence[Cut], table: Table[_Row], direction: Direction, *, limit: int, each: int | None = None
) -> list[tuple[str, _Row]]:
    """Return rows with their symbols: in the cuts' order, then by key; at most ``each`` a cut."""
    found: list[tuple[str, _Row]] = []
    for (start, end, told), alike in groupby(cuts, key=lambda cut: (cut.start, cut.end, cut.told)):
        wanted = limit - len(found)
        parameters = {
            "symbols": [cut.symbol for cut in alike],
            "start": start,
            "end": end,
            "told_time": told and told[0],
            "told_id": told and told[1],
            "each": min(each or wanted, wanted),
            "limit": wanted,
        }
        rows = rows_read(_sql(table, direction, told is not None), parameters)
        found += [(symbol, table.make(*values)) for symbol, *values in rows]
        if len(found) >= limit:
            break
    return found


def parts_of(cuts: Sequence[Cut], table: Table[Any], direction: Direction) -> Iterator[list[Cut]]:
    """Yield what one statement at a time looks through, in the walk's order.

    The first symbol is read a window at a time, each four times longer; the others so many at once as their
    days allow.
    """
    if not cuts:
        return
    days = min(_days(table), max((cut.end - cut.start).days + 1 for cut in cuts))
    if days > WINDOW.days:
        yield from ([window] for window in _windows(cuts[0], direction))
        cuts = cuts[1:]
    yield from _groups(cuts, days)


def _groups(cuts: Sequence[Cut], days: int) -> Iterator[list[Cut]]:
    count = max(1, CELLS_MAX // max(days, 1))
    for first in range(0, len(cuts), count):
        yield list(cuts[first : first + count])


def _days(table: Table[Any]) -> int:
    """Return how many partitions a table has, whichever back end cuts it."""
    return int(rows_read(_PARTITIONS_SQL, (table.name,))[0][0])


def _windows(whole: Cut, direction: Direction) -> Iterator[Cut]:
    length = WINDOW
    while whole.end - whole.start > length:
        if direction == "asc":
            edge = whole.start + length
            yield replace(whole, end=edge - _MICROSECOND)
            whole = replace(whole, start=edge, told=None)
        else:
            edge = whole.end - length
            yield replace(whole, start=edge)
            whole = replace(whole, end=edge - _MICROSECOND, told=None)
        length = min(length * 4, WINDOW_MAX)
    yield whole


def trades_newest(symbols: Sequence[str]) -> dict[str, Tick]:
    """Return the newest trade of each symbol that has one."""
    found = _newest(symbols, TICKS, BACK)
    for cut in _days_newest([symbol for symbol in symbols if symbol not in found]):
        found.update(rows_of([cut], TICKS, "desc", limit=1))
    return found


def quotes_newest(symbols: Sequence[str]) -> dict[str, Quote]:
    """Return the newest recorded quote of each symbol that has one."""
    return _newest(symbols, QUOTES, (*BACK, BACK_MAX))


def _newest(symbols: Sequence[str], table: Table[_Row], looks: Sequence[timedelta]) -> dict[str, _Row]:
    """Return each symbol's newest row: of the last days first, then of longer times for who has none."""
    found: dict[str, _Row] = {}
    end, days = utc_now() + AHEAD, _days(table)
    for back in looks:
        missing = [Cut(symbol, end - back, end) for symbol in symbols if symbol not in found]
        for group in _groups(missing, min(days, back.days)):
            found.update(rows_of(group, table, "desc", limit=len(group), each=1))
    return found


def _days_newest(symbols: Sequence[str]) -> list[Cut]:
    """Return each symbol's newest day that has a candle made from ticks, of those that have one."""
    if not symbols:
        return []
    written = written_of(DAYS.table)
    rows = rows_read(_DAY_SQL.format(table=written.table if written else DAYS.table), (list(symbols),))
    return [Cut(symbol, day, DAYS.ceil(day + _MICROSECOND) - _MICROSECOND) for symbol, day in rows]
