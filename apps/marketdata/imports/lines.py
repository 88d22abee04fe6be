"""Cut a block of CSV text into lines and fields, thousands at a time; the unusual is left to one by one."""

import csv
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

PAD = 64
"""Blank bytes before and after a block, so that a window around any field stays inside."""

LENGTH_MAX = 255
"""Longer fields count as this long: no value of ours has so many bytes."""

NEWLINE, RETURN, COMMA, QUOTE = b'\n\r,"'


@dataclass(frozen=True)
class Fields:
    """Where the values of one column are: from ``start`` up to ``end``, one of each for every plain line.

    Windows are turned: one row for each byte's place, one column for each line, so that a place is one run of
    memory and costs the processor a few instructions for dozens of lines.
    """

    data: Bytes
    start: Integers
    end: Integers

    @cached_property
    def length(self) -> Bytes:
        """The number of bytes of each value."""
        return np.minimum(self.end - self.start, LENGTH_MAX).astype(np.uint8)

    @cached_property
    def shortest(self) -> int:
        """The number of bytes of the shortest value."""
        return int(self.length.min(initial=LENGTH_MAX))

    def left(self, width: int) -> Bytes:
        """Return the first ``width`` bytes of each value, zero beyond its end."""
        window = self._window(self.start, width)
        for place in range(self.shortest, width):
            window[place] *= self.length > place
        return window

    def right(self, width: int, blank: int = 0) -> Bytes:
        """Return the last ``width`` bytes of each value, ``blank`` before its start."""
        window = self._window(self.end - width, width)
        for place in range(width - self.shortest):
            np.copyto(window[place], blank, where=self.length < width - place)
        return window

    def _window(self, at: Integers, width: int) -> Bytes:
        assert width <= PAD
        size = len(self.data) - width + 1
        windows = np.ndarray(shape=(size,), dtype=f"V{width}", buffer=self.data, strides=(1,))
        return np.ascontiguousarray(windows[at].view(np.uint8).reshape(len(at), width).T)

    def pick(self, rows: Integers) -> "Fields":
        """Return the same column of some rows."""
        return Fields(self.data, self.start[rows], self.end[rows])


class Block:
    """Whole lines of one file: which of them are plain, and where the fields of the plain ones are.

    A line is plain when it has the header's number of columns and quotes only around whole values. All
    others need ``row``, which reads one line by the rules of CSV. A record never spans two lines; empty lines
    are passed over.
    """

    def __init__(self, content: bytes, first_line: int, columns: int) -> None:
        assert content.endswith(b"\n")
        self.content = content
        self.columns = columns
        self.data = np.frombuffer(b"\0" * PAD + content + b"\0" * PAD, np.uint8)
        marks = np.flatnonzero((self.data == COMMA) | (self.data == NEWLINE))
        is_break = self.data[marks] == NEWLINE
        breaks = marks[is_break]
        starts = np.concatenate(([PAD], breaks[:-1] + 1))
        ends = breaks - ((self.data[breaks - 1] == RETURN) & (breaks > starts))
        widths = np.diff(np.flatnonzero(is_break), prepend=-1)
        filled = ends > starts
        whole = (widths == columns) & filled
        if not whole.all():
            marks = marks[np.repeat(whole, widths)]
        self.start, self.end = starts[filled], ends[filled]
        self.number = first_line + np.flatnonzero(filled)
        self.is_plain: Booleans = whole[filled]
        self._edges = marks.reshape(-1, columns)
        self._first, self._last = starts[whole], ends[whole]
        self._wrapped: Booleans | None = None
        if b'"' in content:
            self._unquote(np.flatnonzero(self.data == QUOTE))

    def __len__(self) -> int:
        return len(self.start)

    def _unquote(self, quotes: Integers) -> None:
        """Take the quotes off; lines that have any others are not plain."""
        bounds = [self._bounds(position) for position in range(self.columns)]
        wrapped = np.column_stack([self._are_wrapped(low, high) for low, high in bounds])
        held = np.diff(np.searchsorted(quotes, self.end), prepend=0)[self.is_plain]
        tidy = wrapped.sum(axis=1) * 2 == held
        self.is_plain[np.flatnonzero(self.is_plain)[~tidy]] = False
        self._edges, self._first, self._last = self._edges[tidy], self._first[tidy], self._last[tidy]
        self._wrapped = wrapped[tidy]

    def _are_wrapped(self, low: Integers, high: Integers) -> Booleans:
        return (self.data[low] == QUOTE) & (self.data[high - 1] == QUOTE) & (high - low >= 2)

    def _bounds(self, position: int) -> tuple[Integers, Integers]:
        low = self._edges[:, position - 1] + 1 if position else self._first
        high = self._edges[:, position].copy() if position < self.columns - 1 else self._last
        return low, high

    def column(self, position: int) -> Fields:
        """Return one column of the plain lines, in their order."""
        low, high = self._bounds(position)
        if self._wrapped is not None:
            low, high = low + self._wrapped[:, position], high - self._wrapped[:, position]
        return Fields(self.data, low, high)

    def text(self, index: int) -> str:
        """Return one line as it stands in the file; bytes that are no UTF-8 show as escapes."""
        start, end = self.start[index] - PAD, self.end[index] - PAD
        return self.content[start:end].decode("utf-8", "backslashreplace")

    def row(self, index: int) -> list[str] | None:
        """Return one line's values by the rules of CSV, None when it is not one row of the header's width."""
        try:
            rows = list(csv.reader([self.text(index)], strict=True))
        except csv.Error:
            return None
        return rows[0] if len(rows) == 1 and len(rows[0]) == self.columns else None
