"""A psycopg connection to the simulated server: each statement is a message out, an act, an answer back."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import errors

from apps.matching.codes import COMMAND_DTYPE
from apps.matching.replay import TAIL_SQL
from apps.matching.standby import FOLLOW_SQL
from tests.simulation.database import Blocked, Row, Server, Transaction
from tests.simulation.schema import PLANS
from tests.simulation.sql import Result, parameters_of
from tests.simulation.sql_expressions import Unsupported
from tests.simulation.world import MS, SECOND, Process, World

Act = Callable[[Transaction], Any]

_COPY = re.compile(r"\s*COPY (\w+) \(([^)]*)\)\s+FROM STDIN\s*$")
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r"}


@dataclass(slots=True)
class Weather:
    """How likely each thing is that can happen to one statement, and how slow the way is."""

    latency_us: int = 150
    slow: float = 0.0
    lost_before: float = 0.0
    lost_after: float = 0.0
    commit_lost: float = 0.0
    commit_aborted: float = 0.0
    deadlock: float = 0.0
    misread_journal: str = ""

    def calm(self) -> None:
        """Let nothing happen any more."""
        self.slow = self.lost_before = self.lost_after = 0.0
        self.commit_lost = self.commit_aborted = self.deadlock = 0.0
        self.misread_journal = ""


class Link:
    """One client's line to its backend: what is on its way when the client dies still arrives."""

    def __init__(self, world: World, server: Server, weather: Weather, process: Process) -> None:
        self.world, self.server, self.weather, self.process = world, server, weather, process
        self.session = server.session_open(process.name)
        self.is_down = False
        process.on_end.append(self.hang_up)

    def hang_up(self) -> None:
        """The client is gone; the server finds out a little later, and only then ends the session."""
        chance = self.world.random
        delay = chance.choice((50, 500, 5 * MS, 20 * MS, 20 * MS, 300 * MS, 2 * SECOND))
        self.world.at(chance.randint(1, delay), self.session.end)

    def ask(self, what: str, act: Act, *, ends: str = "") -> Any:
        """Send a statement and return its answer; raises what the server or the line does."""
        if not self.process.alive or self.is_down:
            raise psycopg.OperationalError("the connection is closed")
        resume = self.process.resumer()
        self.world.at(self._delay(), lambda: self._arrive(what, act, ends, resume))
        answer = self.process.park()
        if isinstance(answer, psycopg.Error):
            raise answer
        return answer

    def _delay(self) -> int:
        weather, chance = self.weather, self.world.random
        delay = 1 + int(chance.random() * 2 * weather.latency_us)
        if weather.slow and chance.random() < weather.slow:
            self.world.fault("slow statement", self.process.name)
            self.session.is_busy = True
            delay += chance.randint(1, 1500) * MS
        return delay

    def _arrive(self, what: str, act: Act, ends: str, resume: Callable[[Any], None]) -> None:
        self.session.is_busy = False
        if not self.session.alive:
            self._answer(resume, errors.AdminShutdown("terminating connection due to administrator command"))
            return
        weather, chance = self.weather, self.world.random
        if weather.lost_before and chance.random() < weather.lost_before:
            self._lose(resume, f"before {what}")
            return
        try:
            answer = self._commit(resume) if ends == "COMMIT" else self._act(act, what, ends)
        except Blocked as blocked:
            transaction = self.session.transaction
            assert transaction is not None
            transaction.waiting_for = blocked.holder
            blocked.holder.ended.append(
                lambda: self.world.at(1, lambda: self._again(transaction, what, act, ends, resume))
            )
            return
        except psycopg.Error as error:
            answer = error
        if self.is_down:
            return
        lost = weather.commit_lost if ends == "COMMIT" else weather.lost_after
        if lost and chance.random() < lost:
            self._lose(resume, f"after {what}")
            return
        self._answer(resume, answer)

    def _again(
        self, transaction: Transaction, what: str, act: Act, ends: str, resume: Callable[[Any], None]
    ) -> None:
        if self.session.transaction is transaction:
            transaction.waiting_for = None
        self._arrive(what, act, ends, resume)

    def _answer(self, resume: Callable[[Any], None], answer: Any) -> None:
        self.world.at(1 + int(self.world.random.random() * self.weather.latency_us), lambda: resume(answer))

    def _lose(self, resume: Callable[[Any], None], what: str) -> None:
        """Cut the line: the client cannot know, the server finds out later."""
        self.world.fault("lost line", f"{self.process.name} {what}")
        self.is_down = True
        self.hang_up()
        self._answer(resume, psycopg.OperationalError("server closed the connection unexpectedly"))

    def _act(self, act: Act, what: str, ends: str) -> Any:
        session, weather = self.session, self.weather
        if ends == "ROLLBACK":
            if session.transaction is not None:
                self.server.rollback(session.transaction)
            return Result()
        if ends == "BEGIN":
            assert session.transaction is None, "there is already a transaction in progress"
            session.begin(serializable=act is _serializable)
            return Result()
        transaction = session.transaction or session.begin(serializable=False, implicit=True)
        if transaction.failed:
            raise errors.InFailedSqlTransaction("current transaction is aborted")
        if ends != "LOCK":
            transaction.statement_begin()
        try:
            if weather.deadlock and not transaction.implicit and self.world.chance(weather.deadlock):
                self.world.fault("deadlock", f"{self.process.name} {what}")
                raise errors.DeadlockDetected("deadlock detected")
            answer = act(transaction)
        except Blocked:
            transaction.statement_undo()
            raise
        except psycopg.Error:
            if transaction.implicit:
                self.server.rollback(transaction)
            else:
                transaction.failed = True
            raise
        if transaction.implicit and session.alive:
            self.server.commit(transaction)
        return answer

    def _commit(self, resume: Callable[[Any], None]) -> Result:
        transaction, chance = self.session.transaction, self.world.random
        if transaction is None:
            return Result()
        if transaction.failed:
            self.server.rollback(transaction)
            return Result()
        if transaction.serializable and transaction.writes and chance.random() < self.weather.commit_aborted:
            self.world.fault("aborted commit", self.process.name)
            self.server.rollback(transaction)
            raise errors.SerializationFailure("could not serialize access due to read/write dependencies")
        self.server.commit(transaction)
        return Result(status="COMMIT")


def _serializable(transaction: Transaction) -> None:
    """Mark a BEGIN that reads from one snapshot."""


def _read_committed(transaction: Transaction) -> None:
    """Mark a BEGIN whose every statement reads anew."""


class Copy:
    """Takes the rows of a COPY and sends them at its end."""

    def __init__(self, cursor: "Cursor", table: str, columns: Sequence[str]) -> None:
        self.cursor, self.table, self.columns = cursor, table, columns
        self.rows: list[Sequence[Any]] = []
        self.text: list[bytes] = []

    def write_row(self, row: Sequence[Any]) -> None:
        self.rows.append(row)

    def write(self, text: bytes | str) -> None:
        self.text.append(text.encode() if isinstance(text, str) else bytes(text))

    def send(self) -> None:
        rows = self.rows + copy_rows(self.table, self.columns, b"".join(self.text))
        self.cursor.act(f"COPY {self.table}", lambda transaction: self._insert(transaction, rows))

    def _insert(self, transaction: Transaction, rows: Sequence[Sequence[Any]]) -> Result:
        server = transaction.server
        table = server.tables[self.table]
        at = {column: index for index, column in enumerate(self.columns)}
        places = [(at.get(column), table.defaults.get(column)) for column in table.columns]
        for row in rows:
            values = [
                row[place]
                if place is not None
                else (default(server, transaction) if callable(default) else default)
                for place, default in places
            ]
            transaction.insert(table, tuple(values))
        return Result([], len(rows))


def copy_parse(text: str) -> tuple[str, list[str]]:
    """Return the table and the columns of a COPY statement."""
    found = _COPY.match(text)
    if found is None:
        raise Unsupported(text)
    return found[1], [name.strip() for name in found[2].split(",")]


def copy_rows(table: str, columns: Sequence[str], text: bytes) -> list[Row]:
    """Return the rows of COPY's text format."""
    if not text:
        return []
    kinds = [_COPY_KINDS.get(f"{table}.{column}", str) for column in columns]
    lines = [line.split("\t") for line in text.decode().removesuffix("\n").split("\n")]
    return [tuple(_field(k, v) for k, v in zip(kinds, line, strict=True)) for line in lines]


def _field(kind: Callable[[str], Any], text: str) -> Any:
    if text == r"\N":
        return None
    if "\\" in text:
        text = _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), text)
    return kind(text)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix(r"\x"))


_COPY_KINDS: dict[str, Callable[[str], Any]] = {
    "matching_journal.matching_partition": int,
    "matching_journal.seq": int,
    "matching_journal.epoch": int,
    "matching_journal.command_id": int,
    "matching_journal.order_id": int,
    "matching_journal.record": _bytes,
    "matching_journal.recorded_at": datetime.fromisoformat,
    "events.user_id": int,
    "events.account_id": int,
    "events.account_seq": int,
}


class Cursor:
    """The part of psycopg's cursor that the shipped code uses."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.rows: list[Row] = []
        self.rowcount = -1
        self.statusmessage = ""
        self._read = 0

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, text: str, parameters: Any = None, **_: Any) -> "Cursor":
        """Run one statement of the shipped code, by its own text."""
        result = self.connection.execute_raw(text, parameters)
        self.statusmessage = result.status
        self.rows, self.rowcount, self._read = result.rows, result.count, 0
        return self

    def act(self, what: str, act: Act) -> Any:
        """Do something on the server that is no SQL: what the simulated brokerage reads and writes."""
        return self.connection.link.ask(what, act)

    def fetchone(self) -> Row | None:
        if self._read >= len(self.rows):
            return None
        self._read += 1
        return self.rows[self._read - 1]

    def fetchall(self) -> list[Row]:
        rows, self._read = self.rows[self._read :], len(self.rows)
        return rows

    def fetchmany(self, size: int = 1) -> list[Row]:
        rows = self.rows[self._read : self._read + size]
        self._read += len(rows)
        return rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchall())

    def stream(self, text: str, parameters: Any = None, **_: Any) -> Iterator[Row]:
        return iter(self.execute(text, parameters))

    @contextmanager
    def copy(self, text: str, *_: Any) -> Iterator[Copy]:
        copy = Copy(self, *copy_parse(text))
        yield copy
        copy.send()


class Connection:
    """The part of psycopg's connection that the shipped code uses, always in autocommit."""

    autocommit = True

    def __init__(self, world: World, server: Server, weather: Weather) -> None:
        self.link = Link(world, server, weather, world.me)
        self.world = world
        self.info = self.pgconn = self

    @property
    def backend_pid(self) -> int:
        return self.link.session.pid

    @property
    def closed(self) -> bool:
        return self.link.is_down

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if not self.link.is_down:
            self.link.is_down = True
            self.world.at(100, self.link.session.end)

    def cursor(self, *_: Any, **__: Any) -> Cursor:
        return Cursor(self)

    def rollback(self) -> None:
        self.execute("ROLLBACK")

    def flush(self) -> None:
        """Send what waits: nothing does."""

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """Answer each statement before the next is sent, as the slowest of servers would."""
        yield

    def execute(self, text: str, parameters: Any = None, **_: Any) -> Cursor:
        return self.cursor().execute(text, parameters)

    def execute_raw(self, text: str, parameters: Any) -> Result:
        words = text.split(None, 6)
        first = words[0].upper()
        if first == "SET":
            return Result()
        if first in ("COMMIT", "ROLLBACK"):
            return self.link.ask(first, _read_committed, ends=first)
        if first == "BEGIN":
            keeps = "SERIALIZABLE" in text or "REPEATABLE READ" in text
            return self.link.ask(first, _serializable if keeps else _read_committed, ends=first)
        if first == "LOCK":
            assert text.endswith("IN EXCLUSIVE MODE"), text
            return self.link.ask(text, lambda t: t.lock("pg_class", (words[2],)), ends=first) or Result()
        plan, named = PLANS.plan(text), parameters_of(parameters)
        result: Result = self.link.ask(" ".join(words[:4]), lambda t: plan(t.server, t, named))
        if self.link.weather.misread_journal and text in (TAIL_SQL, FOLLOW_SQL):
            self._misread(result)
        return result

    def _misread(self, result: Result) -> None:
        """Damage one reading of the journal, as a broken page or index would."""
        weather, rows = self.link.weather, result.rows
        is_one = len(rows) == 1 and isinstance(rows[0][-1], bytes) and len(rows[0]) > 2
        records: list[Any] = _records(rows[0][-1]) if is_one else list(rows)
        if len(records) < 3:
            return
        place, how = self.world.random.randrange(len(records) - 1), weather.misread_journal
        weather.misread_journal = ""
        self.world.fault(f"journal read with a {how} record", self.link.process.name)
        if how == "gap":
            del records[place]
        elif how == "twice":
            records.insert(place, records[place])
        else:
            records[place], records[place + 1] = records[place + 1], records[place]
        result.rows = [(*rows[0][:-1], b"".join(records))] if is_one else records


def _records(raw: bytes) -> list[bytes]:
    size = COMMAND_DTYPE.itemsize
    return [raw[start : start + size] for start in range(0, len(raw), size)]
