"""Statements that the server works at while the client works out what comes next."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any


class PipelinedCursor:
    """A cursor for one transaction that waits for the server only where something depends on an answer.

    Statements are sent one behind the other in libpq's pipeline mode; a COPY, which that mode does not know,
    ends the pipeline, and is itself ended when the next statement comes, which has been made while the server
    read its rows. What a statement returns is waited for when it is fetched, until the next one is sent.

    What is wrong with a statement is raised by a later call, at the latest by ``settle``; nothing that comes
    after it takes effect. Of rows missed and what the server refused after them, the first is raised.

    Between a COPY's block and the next call nobody else may use the connection. ``moved`` is called with each
    statement, so that whoever watches the client sees it move.
    """

    def __init__(self, connection: Any, moved: Callable[[], None] = lambda: None) -> None:
        self.connection = connection
        self.moved = moved
        self._sent: Any = None
        self._expected: list[tuple[Any, int, Exception]] = []
        self._under_way = ExitStack()
        self._is_pipeline = False

    def __enter__(self) -> "PipelinedCursor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.settle()
            return
        self._under_way.__exit__(kind, error, trace)
        if isinstance(error, Exception):
            self._expected_check(error)

    def execute(self, sql: str, parameters: Any = None) -> None:
        """Send a statement and return at once."""
        self.moved()
        if not self._is_pipeline:
            self.settle()
            self._under_way.enter_context(self.connection.pipeline())
            self._is_pipeline = True
        self._sent = self.connection.cursor()
        self._sent.execute(sql, parameters)

    def answer(self) -> Callable[[], list[Any]]:
        """Return how to wait, later, for what the last statement returns."""
        wait: Callable[[], list[Any]] = self._sent.fetchall
        return wait

    def fetchall(self) -> list[Any]:
        """Wait for what the last statement returns."""
        return self.answer()()

    def fetchone(self) -> Any:
        """Wait for the next row that the last statement returns."""
        return self._sent.fetchone()

    def expect(self, rows: int, error: Exception) -> None:
        """Have ``error`` raised when this is settled unless the last statement touched so many rows."""
        self._expected.append((self._sent, rows, error))

    @contextmanager
    def copy(self, sql: str) -> Iterator[Any]:
        """Begin a COPY; after the block the server has all its rows, and is told so by the next call."""
        self.moved()
        self.settle()
        self._sent = self.connection.cursor()
        copy = self._under_way.enter_context(self._sent.copy(sql))
        try:
            yield copy
        except BaseException:
            # Whoever goes on after this must not find half of the rows written.
            self._under_way.__exit__(*sys.exc_info())
            raise
        self.connection.pgconn.flush()

    def settle(self) -> None:
        """Wait for everything sent; raises what the server or an expectation has against it."""
        self._is_pipeline = False
        try:
            self._under_way.close()
        except Exception as error:
            self._expected_check(error)
            raise
        self._expected_check()

    def _expected_check(self, later: Exception | None = None) -> None:
        expected, self._expected = self._expected, []
        for sent, rows, error in expected:
            is_answered = sent.rowcount >= 0
            if sent.rowcount != rows and (is_answered or later is None):
                raise error from later


def rows_expect(cursor: Any, rows: int, error: Exception) -> None:
    """Raise ``error`` unless the last statement touched so many rows; of a pipeline, when it is settled."""
    if isinstance(cursor, PipelinedCursor):
        cursor.expect(rows, error)
    elif cursor.rowcount != rows:
        raise error


def rows_ask(cursor: Any, sql: str, parameters: Any = None) -> Callable[[], list[Any]]:
    """Ask for rows and return how to get them: in a pipeline they are waited for only then."""
    cursor.execute(sql, parameters)
    if isinstance(cursor, PipelinedCursor):
        return cursor.answer()
    rows: list[Any] = cursor.fetchall()
    return lambda: rows
