"""A file to import as a stream of whole lines: plain, zipped or gzipped CSV, with bounds on everything."""

import csv
import gzip
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from apps.primitives.errors import Invalid

BLOCK_BYTES = 4 * 1024 * 1024
"""How much is read, parsed and written at once: some sixty thousand ticks, a fraction of a second's work."""

HEADER_BYTES_MAX = 64 * 1024
CONTENT_BYTES_MAX = 256 * 1024**3
PACKED_TIMES_MAX = 400
"""Files of prices shrink to a fifth or a twentieth: what grows beyond this many times is no such file."""

PACKED_FREE_BYTES = 64 * 1024 * 1024
"""Up to here nobody asks how well a file was packed."""

_DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines of the content: the number of the first one, and where the next piece begins."""

    content: bytes
    line: int
    next_line: int
    next_offset: int


class Source:
    """One file, open for reading; lines are numbered from 1, and the header is the first.

    ``offset`` counts bytes of the unpacked content. What cannot be read raises ``Invalid`` with one sentence.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._raw = self._stack.enter_context(self.path.open("rb"))
            self.stamp = self._stamp_read()
            self._content, self._is_packed = self._open()
            self.header, self.header_line = self._header_read()
        except Invalid:
            self._stack.close()
            raise
        except _DAMAGED as error:
            self._stack.close()
            raise self._unreadable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        """The file's size on the disk, in bytes."""
        return self.stamp[0]

    @property
    def position(self) -> int:
        """How much of ``size`` has been read."""
        return self._raw.tell()

    @property
    def body_offset(self) -> int:
        """Where the second line begins."""
        return len(self.header_line)

    def is_unchanged(self) -> bool:
        """Return whether the open file is still as long and as old as when it was opened."""
        return self.stamp == self._stamp_read()

    def _stamp_read(self) -> tuple[int, ...]:
        found = os.fstat(self._raw.fileno())
        return found.st_size, found.st_mtime_ns, found.st_dev, found.st_ino

    def _invalid(self, sentence: str) -> Invalid:
        return Invalid("bad_file", f"{self.name}: {sentence}")

    def _unreadable(self, error: BaseException) -> Invalid:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            return self._invalid(f"cannot be read: {error.strerror}.")
        return self._invalid(f"is damaged or packed in a way that is not known: {error}.")

    def _open(self) -> tuple[IO[bytes], bool]:
        start = self._raw.read(4)
        self._raw.seek(0)
        if start.startswith(b"PK"):
            return self._zip_open(), True
        if start.startswith(b"\x1f\x8b"):
            return cast("IO[bytes]", self._stack.enter_context(gzip.GzipFile(fileobj=self._raw))), True
        return self._raw, False

    def _zip_open(self) -> IO[bytes]:
        archive = self._stack.enter_context(zipfile.ZipFile(self._raw))
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise self._invalid(f"holds {len(members)} files, and an import takes one: unpack it.")
        if members[0].flag_bits & 1:
            raise self._invalid("is encrypted: unpack it.")
        return self._stack.enter_context(archive.open(members[0]))

    def _header_read(self) -> tuple[list[str], bytes]:
        start = self._content.read(HEADER_BYTES_MAX)
        line, found, _ = start.partition(b"\n")
        if not start:
            raise self._invalid("is empty.")
        try:
            text = line.decode("utf-8-sig").rstrip("\r")
            (header,) = csv.reader([text], strict=True)
        except (UnicodeDecodeError, csv.Error, ValueError):
            raise self._invalid("is no CSV file: its first line is no line of text.") from None
        if "\0" in text or (not found and len(start) == HEADER_BYTES_MAX):
            raise self._invalid("is no CSV file: its first line is no line of text.")
        return header, line + found

    def pieces(self, offset: int, line: int, hashed: Callable[[bytes], Any]) -> Iterator[Piece]:
        """Yield the content from ``offset``, where ``line`` begins, as whole lines; raises ``Invalid``.

        ``hashed`` is given every byte that is read, in order.
        """
        try:
            self._content.seek(offset)
            yield from self._pieces(offset, line, hashed)
        except _DAMAGED as error:
            raise self._unreadable(error) from error

    def _pieces(self, offset: int, line: int, hashed: Callable[[bytes], Any]) -> Iterator[Piece]:
        rest = b""
        while read := self._content.read(BLOCK_BYTES - len(rest)):
            hashed(read)
            block = rest + read
            cut = block.rfind(b"\n") + 1
            whole, rest = block[:cut], block[cut:]
            if len(rest) >= BLOCK_BYTES:
                raise self._invalid(f"line {line} is longer than {BLOCK_BYTES:,} bytes.")
            if whole:
                piece = self._piece(whole, offset, line)
                yield piece
                offset, line = piece.next_offset, piece.next_line
        if rest:
            piece = self._piece(rest + b"\n", offset, line)
            yield Piece(piece.content, line, piece.next_line, piece.next_offset - 1)

    def _piece(self, content: bytes, offset: int, line: int) -> Piece:
        end = offset + len(content)
        if b"\0" in content:
            raise self._invalid(f"is no CSV file: there are zero bytes after line {line - 1}.")
        if self._is_packed and end > PACKED_FREE_BYTES + PACKED_TIMES_MAX * self.size:
            raise self._invalid(f"unpacks to more than {PACKED_TIMES_MAX} times its size.")
        if end > CONTENT_BYTES_MAX:
            raise self._invalid(f"holds more than {CONTENT_BYTES_MAX // 1024**3} GiB: cut it.")
        return Piece(content, line, line + content.count(b"\n"), end)
