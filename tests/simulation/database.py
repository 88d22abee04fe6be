"""An in-memory PostgreSQL for the simulation: snapshots, row and advisory locks, sessions that get lost."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from psycopg import errors

from apps.primitives.ids import SEQUENCE_BITS, id_floor
from tests.simulation.world import MS, START, World

Row = tuple[Any, ...]
Key = tuple[Any, ...]
FOREVER = 1 << 62
ID_FLOOR = id_floor(START)
_MISSING: Any = object()


class Blocked(Exception):
    """A statement must wait until another transaction has ended."""

    def __init__(self, holder: "Transaction") -> None:
        super().__init__("waits for another transaction")
        self.holder = holder


class Version:
    """A row as it was from one commit to another."""

    __slots__ = ("born", "died", "previous", "row")

    def __init__(self, row: Row | None, born: int, previous: "Version | None") -> None:
        self.row, self.born, self.previous = row, born, previous
        self.died = FOREVER

    def seen_at(self, snapshot: int) -> Row | None:
        version: Version | None = self
        while version is not None and version.born > snapshot:
            version = version.previous
        return None if version is None or version.died <= snapshot else version.row


class Table:
    """Rows by key, each with the versions that some snapshot may still see."""

    def __init__(
        self, name: str, columns: Iterable[str], key: Iterable[str], defaults: dict[str, Any] | None = None
    ) -> None:
        self.name, self.columns = name, list(columns)
        self.at = {column: index for index, column in enumerate(self.columns)}
        self.key = [self.at[column] for column in key]
        self.defaults = defaults or {}
        self.heads: dict[Key, Version] = {}
        self.keys: list[Key] = []

    def key_of(self, row: Row) -> Key:
        return tuple([row[index] for index in self.key])

    def install(self, key: Key, row: Row | None, commit: int, *, keep: bool) -> bool:
        """Make a committed version the newest; return whether a dead one must be cleared away later."""
        head = self.heads.get(key)
        if row is None:
            if head is None:
                return False
            if keep:
                head.died = commit
                return True
            self.forget(key)
            return False
        if head is None:
            if self.keys and self.keys[-1] > key:
                insort(self.keys, key)
            else:
                self.keys.append(key)
        elif keep:
            head.died = min(head.died, commit)
        self.heads[key] = Version(row, commit, head if keep else None)
        return False

    def forget(self, key: Key) -> None:
        del self.heads[key]
        index = bisect_left(self.keys, key)
        del self.keys[index]

    def newest(self) -> Iterator[Row]:
        """Return the committed rows as they are now, in key order."""
        for key in self.keys:
            head = self.heads[key]
            if head.died == FOREVER and head.row is not None:
                yield head.row


class Transaction:
    """What one session has done since BEGIN, or in one statement of its own."""

    def __init__(self, session: "ServerSession", *, serializable: bool, implicit: bool) -> None:
        self.session, self.server = session, session.server
        self.serializable, self.implicit = serializable, implicit
        self.snapshot: int | None = None
        self.xid: int | None = None
        self.writes: dict[str, dict[Key, Row | None]] = {}
        self.locks: list[tuple[str, Key]] = []
        self.failed = False
        self.waiting_for: Transaction | None = None
        self.ended: list[Callable[[], None]] = []
        self._undo: list[tuple[str, Key, Any]] = []

    def statement_begin(self) -> None:
        self._undo.clear()
        if not self.serializable or self.snapshot is None:
            self.snapshot = self.server.commits

    def statement_undo(self) -> None:
        """Take back what the present statement wrote; the locks it took stay."""
        for table, key, old in reversed(self._undo):
            if old is _MISSING:
                del self.writes[table][key]
            else:
                self.writes[table][key] = old
        self._undo.clear()

    def xid_get(self) -> int:
        if self.xid is None:
            self.xid = self.server.xid_draw(self)
        return self.xid

    def lock(self, table: str, key: Key) -> None:
        """Take a lock until the transaction ends, or raise what says whom to wait for."""
        holder = self.server.locks.get((table, key))
        if holder is self:
            return
        if holder is not None:
            other: Transaction | None = holder
            while other is not None:
                if other is self:
                    raise errors.DeadlockDetected("deadlock detected")
                other = other.waiting_for
            raise Blocked(holder)
        self.server.locks[table, key] = self
        self.locks.append((table, key))

    def get(self, table: Table, key: Key) -> Row | None:
        """Return the row that this transaction sees."""
        mine = self.writes.get(table.name)
        if mine is not None and key in mine:
            return mine[key]
        head = table.heads.get(key)
        assert self.snapshot is not None
        return None if head is None else head.seen_at(self.snapshot)

    def scan(self, table: Table, low: Key = (), prefix: int = 0) -> Iterator[Row]:
        """Return the rows from ``low`` on, in key order, while the first ``prefix`` parts of the key last."""
        assert self.snapshot is not None
        snapshot, keys, heads = self.snapshot, table.keys, table.heads
        mine = self.writes.get(table.name)
        bound = low[:prefix]
        if mine:
            keys = sorted(set(keys) | set(mine))
        for index in range(bisect_left(keys, low) if low else 0, len(keys)):
            key = keys[index]
            if prefix and key[:prefix] != bound:
                return
            if mine and key in mine:
                row = mine[key]
            else:
                head = heads[key]
                is_newest = head.born <= snapshot < head.died
                row = head.row if is_newest else head.seen_at(snapshot)
            if row is not None:
                yield row

    def insert(self, table: Table, row: Row) -> None:
        """Add a row; raises when another has its key."""
        key = table.key_of(row)
        self.lock(table.name, key)
        mine = self.writes.get(table.name)
        if mine is not None and key in mine:
            taken = mine[key] is not None
        else:
            head = table.heads.get(key)
            taken = head is not None and head.died == FOREVER
        if taken:
            raise errors.UniqueViolation(f"duplicate key {key} in {table.name}")
        self._write(table, key, row)

    def put(self, table: Table, row: Row) -> None:
        """Change the row of this key that the transaction sees."""
        self._change(table, table.key_of(row), row)

    def delete(self, table: Table, key: Key) -> None:
        self._change(table, key, None)

    def _change(self, table: Table, key: Key, row: Row | None) -> None:
        self.lock(table.name, key)
        head = table.heads.get(key)
        assert self.snapshot is not None
        if head is not None and (head.born > self.snapshot or head.died <= self.server.commits):
            raise errors.SerializationFailure("could not serialize access due to concurrent update")
        self._write(table, key, row)

    def _write(self, table: Table, key: Key, row: Row | None) -> None:
        self.xid_get()
        mine = self.writes.setdefault(table.name, {})
        self._undo.append((table.name, key, mine.get(key, _MISSING)))
        mine[key] = row


class ServerSession:
    """One backend of the server; its locks go when it ends, and not before."""

    def __init__(self, server: "Server", pid: int, name: str) -> None:
        self.server, self.pid, self.name = server, pid, name
        self.alive = True
        self.is_busy = False
        self.transaction: Transaction | None = None

    def begin(self, *, serializable: bool, implicit: bool = False) -> Transaction:
        self.transaction = Transaction(self, serializable=serializable, implicit=implicit)
        self.server.active.append(self.transaction)
        return self.transaction

    def end(self) -> None:
        """End as a backend ends: what was not committed never was, and only then the locks go."""
        if not self.alive:
            return
        self.alive = False
        if self.transaction is not None:
            self.server.rollback(self.transaction)
        self.server.session_forget(self)


class Server:
    """Tables, transactions and locks; everything here happens in one instant of the virtual clock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tables: dict[str, Table] = {}
        self.commits = 0
        self.xids = 700
        self.active: list[Transaction] = []
        self.locks: dict[tuple[str, Key], Transaction] = {}
        self.advisory: dict[Key, ServerSession] = {}
        self.sessions: dict[int, ServerSession] = {}
        self.committed: list[Callable[[Transaction], None]] = []
        self._pids = 1_000
        self._sequence = 0
        self._graves: list[tuple[Table, Key]] = []

    def table_add(self, table: Table) -> Table:
        self.tables[table.name] = table
        return table

    def session_open(self, name: str) -> ServerSession:
        self._pids += 1
        session = ServerSession(self, self._pids, name)
        self.sessions[session.pid] = session
        return session

    def session_forget(self, session: ServerSession) -> None:
        del self.sessions[session.pid]
        for key in [key for key, holder in self.advisory.items() if holder is session]:
            del self.advisory[key]

    def commit(self, transaction: Transaction) -> None:
        """Make everything the transaction wrote true at once, then let go of its locks."""
        self._leave(transaction)
        if transaction.writes:
            self.commits += 1
            keep = any(other.snapshot is not None for other in self.active)
            for name, writes in transaction.writes.items():
                table = self.tables[name]
                for key, row in writes.items():
                    if table.install(key, row, self.commits, keep=keep):
                        self._graves.append((table, key))
            if not keep:
                self._graves_clear()
            for observe in self.committed:
                observe(transaction)
        self._release(transaction)

    def rollback(self, transaction: Transaction) -> None:
        self._leave(transaction)
        self._release(transaction)

    def _leave(self, transaction: Transaction) -> None:
        self.active.remove(transaction)
        transaction.session.transaction = None

    def _release(self, transaction: Transaction) -> None:
        for lock in transaction.locks:
            del self.locks[lock]
        for act in transaction.ended:
            act()

    def _graves_clear(self) -> None:
        for table, key in self._graves:
            head = table.heads.get(key)
            if head is not None and head.died != FOREVER:
                table.forget(key)
        self._graves.clear()

    def xid_draw(self, transaction: Transaction) -> int:
        self.xids += 1
        return self.xids

    def xid_horizon(self) -> int:
        """Return the oldest transaction that is still open, or the next to come."""
        return min([t.xid for t in self.active if t.xid is not None], default=self.xids + 1)

    def id_next(self) -> int:
        """Return a time-ordered id, as the database's ``next_id()``."""
        self._sequence += 1
        return ID_FLOOR + (self.world.now_us // MS << SEQUENCE_BITS) + (self._sequence & 0x1FFFFF)

    def now(self) -> datetime:
        return self.world.utc()

    def advisory_try(self, session: ServerSession, key: Key) -> bool:
        return self.advisory.setdefault(key, session) is session

    def terminate(self, pid: int) -> bool:
        """End a backend as ``pg_terminate_backend`` does; its client hears of it at its next word."""
        session = self.sessions.get(pid)
        if session is None:
            return False
        session.end()
        return True
