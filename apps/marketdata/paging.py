"""Pages of bars, trades and quotes: by symbol, then by time, continued at a key, at the cost of the page."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Generic, TypeVar

from apps.marketdata.candles import Bar, Tick
from apps.marketdata.filling import bars_filled
from apps.marketdata.joining import Direction, Span, bars_read
from apps.marketdata.keyed import QUOTES, TICKS, Cut, Quote, Table, parts_of, rows_of
from apps.marketdata.timeframes import Timeframe
from apps.primitives.clock import utc_now

LIMIT_MAX = 10_000
"""How many rows a page may have."""

STEP_ROWS_MAX = 2_500
"""How many rows one statement returns: each must end long before a web process's transactions are cut."""

SOURCE_ROWS_MAX = 10_000
"""How many rows of a source one statement makes bars of: of long bars it returns fewer."""

STEPS_MAX = 8
"""In how many steps a page is read; what is then missing is the next page's."""

PARTS_MAX = 8
"""How many statements a step takes to find its rows; who finds fewer ends the page."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ID_MIN, _ID_MAX = -(2**63), 2**63 - 1

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Position:
    """Everything up to here, in the walk's order, has been told; ``id`` tells trades of one time apart."""

    symbol: str
    time: datetime
    id: int = 0


@dataclass(frozen=True, slots=True)
class Page(Generic[_Row]):
    """Rows with their symbols, and where the next page begins; None when there is nothing more."""

    rows: list[tuple[str, _Row]]
    position: Position | None


@dataclass(frozen=True, slots=True)
class Walk:
    """What a client reads page by page: symbols in order, a time span with both ends, a direction in time."""

    symbols: tuple[str, ...]
    start: datetime
    end: datetime
    direction: Direction = "asc"
    limit: int = 1_000
    position: Position | None = None

    def cuts(self) -> list[Cut]:
        """Return what is still to be told, symbol by symbol."""
        assert 1 <= self.limit <= LIMIT_MAX
        at = self.position
        left = [name for name in sorted(set(self.symbols)) if at is None or name >= at.symbol]
        return [cut for cut in map(self._cut, left) if cut.start <= cut.end]

    def _cut(self, symbol: str) -> Cut:
        at = self.position
        if at is None or symbol != at.symbol:
            return Cut(symbol, self.start, self.end)
        if self.direction == "asc":
            return Cut(symbol, max(self.start, at.time), self.end, (at.time, at.id))
        return Cut(symbol, self.start, min(self.end, at.time), (at.time, at.id))

    def spans(self) -> list[Span]:
        """Return the same for what has no ids: the position's own time has been told."""
        is_rising = self.direction == "asc"
        spans = [
            Span(
                cut.symbol,
                cut.start + _MICROSECOND if cut.told and is_rising else cut.start,
                cut.end - _MICROSECOND if cut.told and not is_rising else cut.end,
            )
            for cut in self.cuts()
        ]
        return [span for span in spans if span.start <= span.end]


def bars_page(walk: Walk, timeframe: Timeframe, *, filled: bool = False) -> Page[Bar]:
    """Return the next page of bars of any length; ``filled`` adds the sessions' missing buckets.

    A page of long bars may be shorter than its limit though more follow.
    """
    rows_each = max(timeframe.interval.imported_rows, timeframe.interval.table_rows)
    step = min(STEP_ROWS_MAX, max(SOURCE_ROWS_MAX // rows_each - 2, 1))
    return _stepped(walk, step, lambda part: _bars_step(part, timeframe, filled))


def _stepped(walk: Walk, step: int, read: Callable[[Walk], Page[_Row]]) -> Page[_Row]:
    """Read a page step by step, each going on where the one before ended."""
    rows: list[tuple[str, _Row]] = []
    position = walk.position
    for _ in range(STEPS_MAX):
        wanted = min(walk.limit - len(rows), step)
        part = read(replace(walk, limit=wanted, position=position))
        rows += part.rows
        position = part.position
        if position is None or len(part.rows) < wanted or len(rows) == walk.limit:
            break
    return Page(rows, position)


def _bars_step(walk: Walk, timeframe: Timeframe, filled: bool) -> Page[Bar]:
    spans = walk.spans()
    if filled:
        spans = [replace(span, end=min(span.end, utc_now())) for span in spans]
        spans = [span for span in spans if span.start <= span.end]
    rows: Iterable[tuple[str, Bar]]
    limit = walk.limit + 1
    rows = bars_read(spans, timeframe.interval, walk.direction, each=limit, limit=limit)
    if filled:
        rows = _filled(rows, spans, timeframe, walk.direction)
    return _page(list(islice(rows, limit)), walk.limit, lambda bar: 0)


def _filled(
    rows: Iterable[tuple[str, Bar]], spans: Sequence[Span], timeframe: Timeframe, direction: Direction
) -> Iterator[tuple[str, Bar]]:
    before = [Span(span.symbol, EPOCH, span.start - _MICROSECOND) for span in spans]
    closes = dict(bars_read(before, timeframe.interval, "desc", each=1, limit=len(before)))
    found = {symbol: [bar for _, bar in group] for symbol, group in groupby(rows, key=lambda row: row[0])}
    for span in spans:
        bars = found.get(span.symbol, [])
        for bar in bars_filled(bars, closes.get(span.symbol), span, timeframe, direction):
            yield span.symbol, bar


def bars_newest(symbols: Sequence[str], timeframe: Timeframe, each: int = 1) -> dict[str, list[Bar]]:
    """Return the newest bars of each symbol that has any, newest first, in one statement."""
    now = utc_now()
    spans = [Span(symbol, EPOCH, now) for symbol in symbols]
    rows = bars_read(spans, timeframe.interval, "desc", each=each, limit=each * max(len(spans), 1))
    return {symbol: [bar for _, bar in group] for symbol, group in groupby(rows, key=lambda row: row[0])}


def days_active(symbols: Sequence[str]) -> dict[str, Bar]:
    """Return the daily bars, by symbol, of the newest of the last seven days on which any was traded."""
    now = utc_now()
    spans = [Span(symbol, now - timedelta(days=7), now) for symbol in symbols]
    rows = bars_read(spans, Timeframe(1, "Day").interval, "desc", each=1, limit=max(len(spans), 1))
    day = max((bar.time for _, bar in rows), default=None)
    return {symbol: bar for symbol, bar in rows if bar.time == day}


def trades_page(walk: Walk) -> Page[Tick]:
    """Return the next page of trades."""
    return _stepped(walk, STEP_ROWS_MAX, lambda part: _keyed_step(part, TICKS, lambda tick: tick.trade_id))


def quotes_page(walk: Walk) -> Page[Quote]:
    """Return the next page of recorded quotes."""
    return _stepped(walk, STEP_ROWS_MAX, lambda part: _keyed_step(part, QUOTES, lambda quote: 0))


def _keyed_step(walk: Walk, table: Table[_Row], id_of: Callable[[_Row], int]) -> Page[_Row]:
    """Read part after part until the step is full, everything is told or it has cost enough."""
    found: list[tuple[str, _Row]] = []
    for number, part in enumerate(parts_of(walk.cuts(), table, walk.direction)):
        if number == PARTS_MAX:
            return Page(found, _before(part[0], walk.direction))
        found += rows_of(part, table, walk.direction, limit=walk.limit + 1 - len(found))
        if len(found) > walk.limit:
            break
    return _page(found, walk.limit, id_of)


def _before(cut: Cut, direction: Direction) -> Position:
    """Return the position before which everything, and nothing of a cut, has been told."""
    if direction == "asc":
        return Position(cut.symbol, cut.start - _MICROSECOND, _ID_MAX)
    return Position(cut.symbol, cut.end + _MICROSECOND, _ID_MIN)


def _page(rows: list[tuple[str, _Row]], limit: int, id_of: Callable[[_Row], int]) -> Page[_Row]:
    """Cut what was read, of which one row more than the limit may be, to a page."""
    if len(rows) <= limit:
        return Page(rows, None)
    symbol, last = rows[limit - 1]
    return Page(rows[:limit], Position(symbol, last.time, id_of(last)))  # type: ignore[attr-defined]
