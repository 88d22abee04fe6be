"""Read pieces of a file into rows: whole columns at once where they are plain, else line by line."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from apps.marketdata.candles import Bar
from apps.marketdata.imports import columns
from apps.marketdata.imports.columns import Symbols
from apps.marketdata.imports.lines import Block, Booleans
from apps.marketdata.imports.rows import (
    BIGINT_MAX,
    EXCHANGE_LENGTH_MAX,
    Limits,
    bar_read,
    tick_read,
)
from apps.marketdata.imports.source import Piece
from apps.marketdata.imports.table import Ticks, instant_us
from apps.primitives.errors import Invalid

_Rows = TypeVar("_Rows")
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that cannot be taken: its number, why, and its text."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Parsed(Generic[_Rows]):
    """What a piece holds: its good rows, its bad lines in order, and where the next piece begins."""

    rows: _Rows
    bad: list[Bad]
    piece: Piece


class Lines:
    """The lines of one piece, read one by one."""

    def __init__(self, block: Block, positions: Mapping[str, int]) -> None:
        self.block = block
        self.positions = positions
        self.bad: list[Bad] = []

    def read(self, index: int, take: Callable[[dict[str, str], int], Any]) -> bool:
        """Give one line's values and number to ``take``; returns False, and notes why, when it is bad."""
        number = int(self.block.number[index])
        row = self.block.row(index)
        try:
            if row is None:
                raise Invalid(
                    "bad_line", f"the line does not have the {self.block.columns} columns of the first"
                )
            take({name: row[position] for name, position in self.positions.items()}, number)
        except Invalid as error:
            self.bad.append(Bad(number, error.message.rstrip("."), self.block.text(index)))
            return False
        return True


class TickReader:
    """Reads ticks of a file with these columns; safe to use from several threads at once."""

    def __init__(
        self, header: list[str], positions: Mapping[str, int], limits: Limits, first_id: int
    ) -> None:
        assert isinstance(limits.symbols, Symbols)
        self.width = len(header)
        self.positions = positions
        self.limits = limits
        self.symbols = limits.symbols
        self.first_id = first_id

    def read(self, piece: Piece) -> Parsed[Ticks]:
        """Read a piece. Without a column of trade ids, a tick's is ``first_id`` plus its line's number."""
        block = Block(piece.content, piece.line, self.width)
        sure, ticks = self._columns_read(block)
        lines, numbers, read = Lines(block, self.positions), [], []

        def take(values: dict[str, str], number: int) -> None:
            read.append(tick_read(values, self.limits, self.first_id + number))
            numbers.append(number)

        for index in np.flatnonzero(~sure):
            lines.read(int(index), take)
        if read:
            ticks = Ticks.joined([ticks, Ticks.made(numbers, read, self.symbols)])
        return Parsed(ticks, lines.bad, piece)

    def _columns_read(self, block: Block) -> tuple[Booleans, Ticks]:
        """Return which lines are sure, and their ticks."""
        at = {name: block.column(position) for name, position in self.positions.items()}
        number = block.number[block.is_plain]
        time = columns.times(at["time"])
        symbol = self.symbols.read(at["symbol"])
        price = columns.prices(at["price"])
        quantity = columns.quantities(at["quantity"])
        low, high = instant_us(self.limits.first), instant_us(self.limits.last)
        sure = (
            time.sure & (time.value >= low) & (time.value <= high) & symbol.sure & price.sure & quantity.sure
        )
        side, exchange = np.zeros(len(number), np.int64), np.zeros(len(number), f"S{EXCHANGE_LENGTH_MAX}")
        trade_id = self.first_id + number
        if "side" in at:
            side, are_sides = columns.sides(at["side"])
            sure &= are_sides
        if "exchange" in at:
            exchange, are_exchanges = columns.exchanges(at["exchange"])
            sure &= are_exchanges
        if "trade_id" in at:
            trade_id, are_ids = columns.whole_numbers(at["trade_id"], columns.NUMBER_WIDTH, BIGINT_MAX)
            sure &= are_ids
        ticks = Ticks(number, time.value, symbol.value, price.value, quantity.value, side, exchange, trade_id)
        all_sure = block.is_plain.copy()
        all_sure[all_sure] = sure
        return all_sure, ticks if sure.all() else ticks.pick(sure)


class BarReader:
    """Reads bars of one interval from a file with these columns, line by line."""

    def __init__(
        self, header: list[str], positions: Mapping[str, int], limits: Limits, interval: str
    ) -> None:
        self.width = len(header)
        self.positions = positions
        self.limits = limits
        self.interval = interval

    def read(self, piece: Piece) -> Parsed[dict[str, list[Bar]]]:
        """Read a piece into the bars of each symbol."""
        block = Block(piece.content, piece.line, self.width)
        lines = Lines(block, self.positions)
        rows: dict[str, list[Bar]] = {}

        def take(values: dict[str, str], number: int) -> None:
            symbol, bar = bar_read(values, self.limits, self.interval)
            rows.setdefault(symbol, []).append(bar)

        for index in range(len(block)):
            lines.read(index, take)
        return Parsed(rows, lines.bad, piece)


def ahead(make: Callable[[_Given], _Made], given: Iterable[_Given], workers: int) -> Iterator[_Made]:
    """Yield what ``make`` makes of each thing given, in order, made by other threads a few things ahead."""
    waiting: deque[Future[_Made]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for one in given:
                waiting.append(pool.submit(make, one))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
