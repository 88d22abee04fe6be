"""Read whole columns of ticks at once, exactly and in integers; what is not in plain form is never guessed.

Every function returns the values and which of them are sure. The others are read one by one by ``rows``,
which alone says what is right: whatever is sure here has the very value that ``rows`` would give it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.imports.lines import Booleans, Bytes, Fields, Integers
from apps.marketdata.imports.rows import EXCHANGE_LENGTH_MAX, INT_MAX, SIDES, SYMBOL_LENGTH_MAX
from apps.primitives.money import PRICE_MAX, PRICE_SCALE, price_to_units

Texts = NDArray[np.bytes_]

ZERO, NINE, DOT, BLANK, PLUS, MINUS, BETWEEN = b"09. +-T"
DECIMALS_MAX = 4
PRICE_WIDTH = 11
PRICE_UNITS_MAX = price_to_units(PRICE_MAX)
NUMBER_WIDTH = 18
"""So many digits always fit 64 bits."""

SECOND_US = 1_000_000
DATE_TIME = b"0000-00-00T00:00:00"
ZONES = (b"Z", b"+00:00", b"+0000", b"+00")
TIME_WIDTHS = range(len(DATE_TIME) + 1, len(DATE_TIME) + 17)

_SCALES = np.array([PRICE_SCALE // 10**decimals for decimals in range(DECIMALS_MAX + 1)])


class Read(NamedTuple):
    """The numbers of a column, and which of them are sure."""

    value: Integers
    sure: Booleans


def _joined(digits: Bytes) -> Integers:
    """Return the numbers that digits make, the highest place first; what is no digit gives anything."""
    wide: Any = digits
    for kind, base in ((np.uint8, 10), (np.uint16, 100), (np.uint32, 10_000), (np.uint64, 100_000_000)):
        if len(wide) % 2:
            wide = np.concatenate((np.zeros_like(wide[:1]), wide))
        wide = wide[0::2].astype(kind) * kind(base) + wide[1::2]
        if len(wide) == 1:
            break
    value = np.zeros(digits.shape[1], np.int64)
    for part in wide:
        value = value * 10**16 + part.astype(np.int64)
    return value


def _are_digits(digits: Bytes) -> Booleans:
    return digits.max(axis=0, initial=0) <= 9


def whole_numbers(fields: Fields, width: int, highest: int) -> Read:
    """Read digits alone, at most ``width`` of them, as numbers up to ``highest``."""
    assert width <= NUMBER_WIDTH
    digits = fields.right(width, blank=ZERO) - np.uint8(ZERO)
    value = _joined(digits)
    return Read(value, _fits(fields, width) & _are_digits(digits) & (value <= highest))


def _fits(fields: Fields, width: int) -> Booleans:
    return (fields.length > 0) & (fields.length <= width)


def prices(fields: Fields) -> Read:
    """Read prices with at most four decimals as units of 1/10,000 dollar."""
    digits = fields.right(PRICE_WIDTH, blank=ZERO) - np.uint8(ZERO)
    dots = digits == np.uint8((DOT - ZERO) % 256)
    count, decimals = dots.sum(axis=0, dtype=np.uint8), np.zeros(digits.shape[1], np.uint8)
    # The places before the dot move one to the right, over it.
    for place in range(PRICE_WIDTH - 1, 0, -1):
        decimals[dots[place]] = PRICE_WIDTH - 1 - place
    seen = np.zeros(digits.shape[1], bool)
    for place in range(PRICE_WIDTH - 1, 0, -1):
        seen |= dots[place]
        np.copyto(digits[place], digits[place - 1], where=seen)
    digits[0] *= ~(seen | dots[0])
    value = _joined(digits) * _SCALES[np.minimum(decimals, DECIMALS_MAX)]
    sure = _fits(fields, PRICE_WIDTH) & _are_digits(digits) & (count <= 1) & (decimals <= DECIMALS_MAX)
    return Read(value, sure & (value > 0) & (value <= PRICE_UNITS_MAX))


def quantities(fields: Fields) -> Read:
    """Read numbers of shares."""
    value, sure = whole_numbers(fields, len(str(INT_MAX)), INT_MAX)
    return Read(value, sure & (value > 0))


_HALVES = np.dtype([("first", "<u8"), ("rest", "<u2")])
"""A symbol's ten bytes as two numbers."""


class Symbols:
    """The listed symbols, found by number: the order of the numbers is that of the symbols' bytes."""

    def __init__(self, names: Iterable[str]) -> None:
        encoded = sorted({name.encode() for name in names})
        assert all(0 < len(name) <= SYMBOL_LENGTH_MAX for name in encoded)
        self.texts: Texts = np.array(encoded or [b""], dtype=f"S{SYMBOL_LENGTH_MAX}")
        self._number = {name.decode(): number for number, name in enumerate(encoded)}
        halves = self.texts.view(_HALVES)
        keys = _symbol_keys(halves)
        self._order = np.argsort(keys)
        self._keys, self._halves = keys[self._order], halves[self._order]
        assert len(np.unique(keys)) == len(keys), "two symbols have one key"

    def __contains__(self, name: object) -> bool:
        return name in self._number

    def number(self, name: str) -> int:
        """Return the number of a listed symbol."""
        return self._number[name]

    def read(self, fields: Fields) -> Read:
        """Read symbols as their numbers."""
        halves = np.ascontiguousarray(fields.left(SYMBOL_LENGTH_MAX).T).view(_HALVES).reshape(-1)
        at = np.searchsorted(self._keys, _symbol_keys(halves)).clip(max=len(self._order) - 1)
        # Unlike texts may share a key, so what was found is compared.
        same = (self._halves["first"][at] == halves["first"]) & (self._halves["rest"][at] == halves["rest"])
        return Read(self._order[at], same & _fits(fields, SYMBOL_LENGTH_MAX))


def _symbol_keys(halves: NDArray[np.void]) -> NDArray[np.uint64]:
    return halves["first"] + halves["rest"].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)


_SIDE_NUMBERS = {None: 0, "BUY": 1, "SELL": 2}
SIDE_TEXTS: Texts = np.array([b"", b"BUY", b"SELL"])


def side_number(side: str | None) -> int:
    """Return the number by which columns hold a side."""
    return _SIDE_NUMBERS[side]


def sides(fields: Fields) -> Read:
    """Read sides, in capitals or small letters, as the numbers of ``side_number``."""
    # A small letter differs from its capital by one bit.
    text = np.ascontiguousarray((fields.left(4) & np.uint8(0xDF)).T).view("<u4").reshape(-1)
    value, sure = np.zeros(len(text), np.int64), np.zeros(len(text), bool)
    for name, side in SIDES.items():
        matches = text == int.from_bytes(name.encode().ljust(4, b"\0"), "little")
        value[matches] = side_number(side)
        sure |= matches
    return Read(value, sure & (fields.length <= 4))


def exchanges(fields: Fields) -> tuple[Texts, Booleans]:
    """Read names of exchanges: plain characters without blanks, or nothing."""
    text = fields.left(EXCHANGE_LENGTH_MAX)
    is_name = text - np.uint8(BLANK + 1) <= ord("~") - BLANK - 1
    for place in range(fields.shortest, EXCHANGE_LENGTH_MAX):
        is_name[place] |= fields.length <= place
    name = np.ascontiguousarray(text.T).view(f"S{EXCHANGE_LENGTH_MAX}").reshape(-1)
    return name, is_name.all(axis=0) & (fields.length <= EXCHANGE_LENGTH_MAX)


def times(fields: Fields) -> Read:
    """Read instants as microseconds since 1970: whole numbers of any unit, or ISO 8601 of any width."""
    widths = np.flatnonzero(np.bincount(fields.length, minlength=1))
    if len(widths) == 1:
        return _times_of_width(fields, int(widths[0]))
    value, sure = np.zeros(len(fields.start), np.int64), np.zeros(len(fields.start), bool)
    for width in widths:
        rows = np.flatnonzero(fields.length == width)
        value[rows], sure[rows] = _times_of_width(fields.pick(rows), int(width))
    return Read(value, sure)


def _times_of_width(fields: Fields, width: int) -> Read:
    if width in TIME_WIDTHS:
        return _iso_times(fields.left(width))
    if width <= 10:
        value, sure = whole_numbers(fields, 10, 10**10)
        return Read(value * SECOND_US, sure)
    # 11, 14 and 17 digits lie where one unit ends and the next begins: left to one by one, as all else is.
    if width in (12, 13, 15, 16, 18):
        value, sure = whole_numbers(fields, width, 10**width)
        return Read(value * 1_000 if width < 15 else value if width < 18 else value // 1_000, sure)
    if width == 19:
        # The last three digits, of nanoseconds, are cut off.
        value, sure = whole_numbers(Fields(fields.data, fields.start, fields.end - 3), 16, 10**16)
        tail = whole_numbers(Fields(fields.data, fields.end - 3, fields.end), 3, 999)
        return Read(value, sure & tail.sure)
    return Read(np.zeros(len(fields.start), np.int64), np.zeros(len(fields.start), bool))


def _iso_times(text: Bytes) -> Read:
    """Read times of one width, all of the form that the first of them has."""
    width, first = len(text), text[:, 0].tobytes()
    zone = next((form for form in ZONES if _zone_fits(first, form)), None)
    if zone is None:
        return Read(np.zeros(text.shape[1], np.int64), np.zeros(text.shape[1], bool))
    fraction = width - len(DATE_TIME) - len(zone)
    sure = _form_fits(text, DATE_TIME + b".".ljust(fraction, b"0")[:fraction] + zone)
    digits = text - np.uint8(ZERO)
    value, is_real = _seconds(digits)
    offset, is_offset = _offset_seconds(text[-len(zone) :])
    micros = digits[len(DATE_TIME) + 1 :][: min(max(fraction - 1, 0), 6)]
    value = (value - offset) * SECOND_US
    if len(micros):
        value += _joined(micros) * 10 ** (6 - len(micros))
    return Read(value, sure & is_real & is_offset)


def _zone_fits(text: bytes, form: bytes) -> bool:
    rest = len(text) - len(DATE_TIME) - len(form)
    tail = np.frombuffer(text[-len(form) :], np.uint8).reshape(-1, 1)
    return (rest == 0 or 2 <= rest <= 10) and bool(_form_fits(tail, form)[0])


def _form_fits(text: Bytes, form: bytes) -> Booleans:
    """Return which texts have a digit where the form has 0, T or a blank at T, a sign at +, else the same."""
    sure = np.ones(text.shape[1], bool)
    for place, wanted in zip(text, form, strict=True):
        if wanted == ZERO:
            sure &= place - np.uint8(ZERO) <= 9
        elif wanted == BETWEEN:
            sure &= (place == BETWEEN) | (place == BLANK)
        elif wanted == PLUS:
            sure &= (place == PLUS) | (place == MINUS)
        else:
            sure &= place == wanted
    return sure


def _seconds(digits: Bytes) -> Read:
    """Return the seconds since 1970 of dates and times of day, and which of them there are."""
    year, month, day, hour, minute, second = (
        _joined(digits[low:high]) for low, high in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))
    )
    is_real = (year >= 1970) & (year <= 9998) & (month >= 1) & (month <= 12) & (day >= 1)
    is_real &= (hour <= 23) & (minute <= 59) & (second <= 59)
    months = np.where(is_real, (year - 1970) * 12 + month - 1, 0)
    first = _month_day(months)
    is_real &= first + day <= _month_day(months + 1)
    return Read((first + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second, is_real)


def _month_day(months: Integers) -> Integers:
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _offset_seconds(zone: Bytes) -> Read:
    """Return the offsets of ``Z``, ``+05:30``, ``-0530`` or ``-05``, and which of them there are."""
    count = zone.shape[1]
    if len(zone) == 1:
        return Read(np.zeros(count, np.int64), np.ones(count, bool))
    digits = zone - np.uint8(ZERO)
    hour = _joined(digits[1:3])
    minute = _joined(digits[-2:]) if len(zone) > 3 else np.zeros(count, np.int64)
    sign = np.where(zone[0] == MINUS, -1, 1)
    return Read(sign * (hour * 3_600 + minute * 60), (hour <= 23) & (minute <= 59))
