"""Ticks in columns: thousands of rows as arrays of integers, in key order and in the server's own form."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Self

import numpy as np

from apps.marketdata.candles import Tick
from apps.marketdata.imports.columns import SIDE_TEXTS, Symbols, Texts, side_number
from apps.marketdata.imports.lines import Booleans, Integers
from apps.marketdata.imports.rows import EPOCH, EXCHANGE_LENGTH_MAX, SYMBOL_LENGTH_MAX
from apps.primitives.clock import unix_ns
from apps.primitives.money import PRICE_SCALE, price_to_units

EPOCH_OF_SERVER_US = 946_684_800 * 1_000_000
"""PostgreSQL counts from the year 2000."""

DAY_US = 86_400 * 1_000_000
MINUTE_US = 60 * 1_000_000

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"
DIGITS_BASE = 10_000
"""A numeric goes as digits of four decimal places each: units of 1/10,000 are one of them."""

_RECORD = np.dtype(
    [
        ("columns", ">i2"),
        ("time_length", ">i4"),
        ("time", ">i8"),
        ("symbol_length", ">i4"),
        ("symbol", f"S{SYMBOL_LENGTH_MAX}"),
        ("price_length", ">i4"),
        ("price", ">i2", (7,)),
        ("quantity_length", ">i4"),
        ("quantity", ">i4"),
        ("side_length", ">i4"),
        ("side", "S4"),
        ("exchange_length", ">i4"),
        ("exchange", f"S{EXCHANGE_LENGTH_MAX}"),
        ("trade_id_length", ">i4"),
        ("trade_id", ">i8"),
        ("in_session_length", ">i4"),
        ("in_session", "?"),
    ]
)
_OFFSETS = {name: place[1] for name, place in (_RECORD.fields or {}).items()}
COLUMNS = ("time", "symbol", "price", "quantity", "side", "exchange", "trade_id", "in_session")
"""The table's columns in the order in which ``copy_bytes`` writes them."""


def instant_us(instant: datetime) -> int:
    """Return an instant as whole microseconds since 1970."""
    return unix_ns(instant) // 1_000


def us_instant(us: int) -> datetime:
    """Return the instant so many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=int(us))


@dataclass(frozen=True, slots=True)
class Ticks:
    """Rows as columns: times in microseconds since 1970, prices in 1/10,000 dollar, symbols by number."""

    line: Integers
    time: Integers
    symbol: Integers
    price: Integers
    quantity: Integers
    side: Integers
    exchange: Texts
    trade_id: Integers

    def __len__(self) -> int:
        return len(self.time)

    def pick(self, rows: Integers | Booleans) -> Self:
        """Return some rows, in the order given."""
        return type(self)(*(getattr(self, one.name)[rows] for one in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence["Ticks"]) -> "Ticks":
        """Return the rows of all parts."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))

    @classmethod
    def made(cls, lines: Sequence[int], ticks: Sequence[Tick], symbols: Symbols) -> "Ticks":
        """Return ticks that were read one by one, with the lines they stand on."""
        return cls(
            np.array(lines, np.int64),
            np.array([instant_us(tick.time) for tick in ticks], np.int64),
            np.array([symbols.number(tick.symbol) for tick in ticks], np.int64),
            np.array([price_to_units(tick.price) for tick in ticks], np.int64),
            np.array([tick.quantity for tick in ticks], np.int64),
            np.array([side_number(tick.side) for tick in ticks], np.int64),
            np.array([(tick.exchange or "").encode() for tick in ticks], f"S{EXCHANGE_LENGTH_MAX}"),
            np.array([tick.trade_id for tick in ticks], np.int64),
        )

    def sorted(self) -> "Ticks":
        """Return the rows in the order of the table's key: two writers cannot deadlock, the index is near."""
        return self.pick(np.lexsort((self.trade_id, self.time, self.symbol)))

    def days(self) -> list[datetime]:
        """Return the midnights, UTC, of the days that hold a row, in order."""
        return [us_instant(day * DAY_US) for day in np.unique(self.time // DAY_US)]


def copy_bytes(ticks: Ticks, in_session: Booleans, symbols: Symbols) -> bytes:
    """Return the rows as PostgreSQL's binary COPY takes them for ``COLUMNS``, header and trailer included."""
    records = np.zeros(len(ticks), _RECORD)
    records["columns"] = len(COLUMNS)
    records["time"] = ticks.time - EPOCH_OF_SERVER_US
    records["price"] = _numerics(ticks.price)
    records["quantity"] = ticks.quantity
    records["trade_id"] = ticks.trade_id
    records["in_session"] = in_session
    for name, size in (("time", 8), ("price", 14), ("quantity", 4), ("trade_id", 8), ("in_session", 1)):
        records[f"{name}_length"] = size
    kept = np.ones((len(ticks), _RECORD.itemsize), bool)
    texts = (
        ("symbol", symbols.texts[ticks.symbol], np.char.str_len(symbols.texts)[ticks.symbol]),
        ("side", SIDE_TEXTS[ticks.side], np.char.str_len(SIDE_TEXTS)[ticks.side]),
        ("exchange", ticks.exchange, _lengths(ticks.exchange)),
    )
    for name, text, lengths in texts:
        records[name] = text
        records[f"{name}_length"] = np.where(lengths > 0, lengths, -1)
        offset, width = _OFFSETS[name], _RECORD[name].itemsize
        for place in range(int(lengths.min(initial=width)), width):
            kept[:, offset + place] = lengths > place
    content = records.view(np.uint8).reshape(kept.shape)[kept]
    return b"".join((COPY_HEADER, content.data, COPY_TRAILER))


def _lengths(text: Texts) -> Integers:
    return (text.view(np.uint8).reshape(len(text), -1) != 0).sum(axis=1)


def _numerics(units: Integers) -> Integers:
    """Return (digits, weight, sign, scale, three digits) of each price; the server drops leading zeros."""
    dollars, rest = np.divmod(units, PRICE_SCALE)
    high, low = np.divmod(dollars, DIGITS_BASE)
    fixed = [np.full(len(units), value) for value in (3, 1, 0, 4)]
    return np.column_stack([*fixed, high, low, rest])
