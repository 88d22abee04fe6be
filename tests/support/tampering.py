"""Somebody with the whole database server alters the audit log: every way there is, and what must be found.

Each act says the findings of which at least one must name it. Targets of one round are kept apart, so that
no act hides in another's.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from apps.audit.findings import Finding, What
from apps.events.chain import GENESIS, Leaf, Tip, block_make, heads_read, leaf_hash, places_read
from apps.events.records import event_record
from apps.events.topics import topic_partition

COLUMNS = {
    "topic": "CASE topic WHEN 'risk-events' THEN 'audit-log' ELSE 'risk-events' END",
    "event_type": "'X' || left(event_type, 30)",
    "user_id": "user_id + 1",
    "account_id": "coalesce(account_id, 0) + 1",
    "account_seq": "coalesce(account_seq, 0) + 1",
    "data": 'data || \'{"amount": "0.01"}\'',
    "metadata": 'metadata || \'{"ip_address": "10.0.0.1"}\'',
    '"timestamp"': "\"timestamp\" - interval '1 microsecond'",
}
_BYTE = "set_byte({0}, {n} % octet_length({0}), (get_byte({0}, {n} % octet_length({0})) + 1) % 256)"
BLOCK_COLUMNS = {
    **dict.fromkeys(("places", "leaves", "heads", "hash", "previous_hash"), _BYTE),
    "total": "total + 1",
    "sealed_at": "sealed_at + interval '1 microsecond'",
    "lowest_event_id": "lowest_event_id - 1",
    "last_xact_id": "last_xact_id + 1",
}

EVENTS_SQL = """
SELECT id, topic, event_type, user_id, account_id, account_seq, "timestamp",
       data::text, metadata::text, xact_id::text::bigint
FROM events WHERE id = ANY(%s)
"""


@dataclass(frozen=True)
class Wanted:
    """A finding that locates an act: of one of these kinds, about this event or this block."""

    whats: tuple[What, ...]
    event_id: int | None = None
    block_no: int | None = None

    def is_met_by(self, findings: "Sequence[Finding]") -> bool:
        return any(
            finding.what in self.whats
            and (self.event_id is None or finding.event_id == self.event_id)
            and (self.block_no is None or finding.block_no == self.block_no)
            for finding in findings
        )


class Located:
    """What was found, by event and by block."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._by_event: dict[int, list[Finding]] = {}
        self._others: list[Finding] = []
        for finding in findings:
            if finding.event_id is None:
                self._others.append(finding)
            else:
                self._by_event.setdefault(finding.event_id, []).append(finding)

    def names(self, act: "Act") -> bool:
        """Return whether everything that the act did is named."""
        return all(
            wanted.is_met_by(
                self._others if wanted.event_id is None else self._by_event.get(wanted.event_id, [])
            )
            for wanted in act.wanted
        )


@dataclass(frozen=True)
class Act:
    """One tampering that was done, and what must be found of it: all of ``wanted``."""

    name: str
    wanted: tuple[Wanted, ...]


@contextmanager
def unguarded(session: "psycopg.Connection[Any]") -> Iterator[None]:
    """Switch the triggers off, as a superuser can."""
    session.execute("SET session_replication_role = replica")
    try:
        yield
    finally:
        session.execute("SET session_replication_role = origin")


class Tamperer:
    """Does random acts on disjoint targets; ``session`` is a superuser's, autocommitting."""

    def __init__(self, session: "psycopg.Connection[Any]", rng: random.Random) -> None:
        self.session = session
        self.rng = rng
        rows = session.execute("SELECT block_no, places FROM event_blocks ORDER BY block_no").fetchall()
        self.blocks = {block_no: places_read(bytes(places)) for block_no, places in rows}
        self._free_blocks = list(self.blocks)
        rng.shuffle(self._free_blocks)
        self._free_events: list[tuple[int, int, int]] = []

    def acts(self, count: int, block_share: float = 0.1) -> list[Act]:
        """Do ``count`` random acts, a share of them on blocks, and return them."""
        done = []
        block_count = min(int(count * block_share), len(self._free_blocks) // 4)
        with unguarded(self.session):
            done += [self.block_act() for _ in range(block_count)]
            self._events_choose()
            done += [self.event_act() for _ in range(count - block_count)]
        return done

    def _events_choose(self) -> None:
        """Leave alone the events of blocks that were altered, of their neighbours, and of the last.

        So too all others of the last transaction: what is inserted into it after its last event looks like
        what is yet to be sealed.
        """
        last_xact_id = self.blocks[max(self.blocks)][0][-1]
        self._free_events = [
            (block_no, xact_id, event_id)
            for block_no in self._free_blocks
            if block_no != max(self.blocks)
            for xact_id, event_id in zip(*self.blocks[block_no], strict=True)
            if xact_id != last_xact_id
        ]
        self.rng.shuffle(self._free_events)

    def _event(self) -> tuple[int, int, int]:
        return self._free_events.pop()

    def event_act(self) -> Act:
        """Do one random act on records."""
        acts: list[Callable[[], Act]] = [
            self.change,
            self.change,
            self.delete,
            self.insert,
            self.insert_twin,
            self.insert_future,
            self.swap,
            self.swap_places,
            self.rename,
        ]
        return self.rng.choice(acts)()

    def change(self, column: str | None = None) -> Act:
        _, _, event_id = self._event()
        column = column or self.rng.choice(list(COLUMNS))
        self.session.execute(f"UPDATE events SET {column} = {COLUMNS[column]} WHERE id = {event_id}")
        return Act(f"change {column}", (Wanted((What.CHANGED,), event_id),))

    def delete(self) -> Act:
        _, _, event_id = self._event()
        self.session.execute(f"DELETE FROM events WHERE id = {event_id}")
        return Act("delete", (Wanted((What.DELETED,), event_id),))

    def insert(self) -> Act:
        """Insert a record with an id of the past and the transaction of a sealed one."""
        _, xact_id, near = self._event()
        event_id = near + self.rng.randrange(1, 50) * 2**19 + 2**18
        return self._insert(event_id, xact_id, near)

    def insert_future(self) -> Act:
        """Insert a record whose transaction has not happened yet."""
        _, _, near = self._event()
        return self._insert(near + self.rng.randrange(50, 99) * 2**19 + 2**17, 2**62, near)

    def _insert(self, event_id: int, xact_id: int, like: int) -> Act:
        self.session.execute(
            'INSERT INTO events (id, "timestamp", topic, event_type, user_id, data, metadata, xact_id) '
            f"SELECT {event_id}, \"timestamp\", topic, event_type, user_id, data, metadata, '{xact_id}' "
            f"FROM events WHERE id = {like}"
        )
        return Act("insert", (Wanted((What.INSERTED,), event_id),))

    def insert_twin(self) -> Act:
        """Insert a second record with the id of a sealed one, under another user."""
        _, _, event_id = self._event()
        self.session.execute(
            'INSERT INTO events (id, "timestamp", topic, event_type, user_id, data, metadata, xact_id) '
            'SELECT id, "timestamp", topic, event_type, user_id + 1, data, metadata, xact_id '
            f"FROM events WHERE id = {event_id}"
        )
        return Act("insert a twin", (Wanted((What.INSERTED,), event_id),))

    def swap(self) -> Act:
        """Let two records change their contents."""
        (_, _, one), (_, _, other) = self._event(), self._event()
        self.session.execute(
            "UPDATE events e SET data = o.data || jsonb_build_object('swapped', e.id), "
            'metadata = o.metadata, user_id = o.user_id, "timestamp" = o."timestamp" FROM events o '
            f"WHERE (e.id, o.id) IN (({one}, {other}), ({other}, {one}))"
        )
        return Act("swap", tuple(Wanted((What.CHANGED,), event_id) for event_id in (one, other)))

    def swap_places(self) -> Act:
        """Let two records change their places in commit order."""
        block_no, one_xact, one = self._event()
        for index in range(len(self._free_events) - 1, -1, -1):
            _, other_xact, other = self._free_events[index]
            if other_xact != one_xact:
                del self._free_events[index]
                break
        else:
            return self.change("data")
        self.session.execute(f"UPDATE events SET xact_id = '{other_xact}'::xid8 WHERE id = {one}")
        self.session.execute(f"UPDATE events SET xact_id = '{one_xact}'::xid8 WHERE id = {other}")
        return Act("swap places", tuple(Wanted((What.MOVED,), event_id) for event_id in (one, other)))

    def rename(self) -> Act:
        """Give a record another id."""
        _, _, event_id = self._event()
        other = event_id + self.rng.randrange(1, 50) * 2**19 + 2**16
        self.session.execute(f"UPDATE events SET id = {other} WHERE id = {event_id}")
        return Act("rename", (Wanted((What.DELETED,), event_id), Wanted((What.INSERTED,), other)))

    def block_act(self) -> Act:
        """Alter or delete one random block; its neighbours stay as they are."""
        block_no = self._free_blocks.pop()
        self._free_blocks = [n for n in self._free_blocks if abs(n - block_no) > 2]
        if self.rng.random() < 0.2 and block_no != max(self.blocks):
            self.session.execute(f"DELETE FROM event_blocks WHERE block_no = {block_no}")
            return Act("delete block", (Wanted((What.BLOCK_MISSING,), None, block_no),))
        return self.block_change(block_no, self.rng.choice(list(BLOCK_COLUMNS)))

    def block_change(self, block_no: int, column: str) -> Act:
        how = BLOCK_COLUMNS[column].format(column, n=self.rng.randrange(10_000))
        self.session.execute(f"UPDATE event_blocks SET {column} = {how} WHERE block_no = {block_no}")
        return Act(f"change block {column}", (Wanted((What.BLOCK_ALTERED,), None, block_no),))


def tail_cut(session: "psycopg.Connection[Any]", block_no: int, with_blocks: bool) -> Act:
    """Cut off every event sealed after a block, with the blocks or without them."""
    rows = session.execute(
        "SELECT places FROM event_blocks WHERE block_no > %s ORDER BY block_no", (block_no,)
    ).fetchall()
    ids = [event_id for (places,) in rows for event_id in places_read(bytes(places))[1]]
    with unguarded(session):
        session.execute("DELETE FROM events WHERE id = ANY(%s)", (ids,))
        if with_blocks:
            session.execute("DELETE FROM event_blocks WHERE block_no > %s", (block_no,))
            last = session.execute(
                "SELECT last_xact_id, last_event_id FROM event_blocks ORDER BY block_no DESC LIMIT 1"
            ).fetchone()
            session.execute(
                "UPDATE relay_cursors SET xact_id = %s, event_id = %s WHERE sink = 'chain'", last or (0, 0)
            )
    if with_blocks:
        return Act("cut tail with blocks", (Wanted((What.TAIL_CUT,)),))
    return Act("cut tail", tuple(Wanted((What.DELETED,), event_id) for event_id in ids))


def chain_remake(session: "psycopg.Connection[Any]", block_no: int) -> Act:
    """Change a record of a block and make every block from it on anew, hashes and heads and all."""
    rows = session.execute(
        "SELECT block_no, places, sealed_at FROM event_blocks WHERE block_no >= %s ORDER BY block_no",
        (block_no,),
    ).fetchall()
    with unguarded(session):
        victim = places_read(bytes(rows[0][1]))[1][0]
        session.execute(f"UPDATE events SET data = {COLUMNS['data']} WHERE id = {victim}")
        tip = _tip_before(session, block_no)
        for number, places, sealed_at in rows:
            block, tip = block_make(tip, _leaves(session, bytes(places)), sealed_at)
            session.execute(
                "UPDATE event_blocks SET leaves = %s, heads = %s, previous_hash = %s, hash = %s "
                "WHERE block_no = %s",
                (block.leaves, block.heads, block.previous_hash, block.hash, number),
            )
    return Act("make anew", (Wanted((What.ANCHOR_DIFFERS,)),))


def _tip_before(session: "psycopg.Connection[Any]", block_no: int) -> Tip:
    tip = GENESIS
    heads: dict[int, bytes] = {}
    sql = "SELECT block_no, total, hash, heads FROM event_blocks WHERE block_no < %s ORDER BY block_no"
    for number, total, its_hash, kept in session.execute(sql, (block_no,)).fetchall():
        heads |= heads_read(bytes(kept))
        tip = Tip(number, total, bytes(its_hash), dict(heads))
    return tip


def _leaves(session: "psycopg.Connection[Any]", places: bytes) -> list[Leaf]:
    xacts, ids = places_read(places)
    records = {row[0]: event_record(row) for row in session.execute(EVENTS_SQL, (list(ids),)).fetchall()}
    return [
        Leaf(
            xact_id,
            event_id,
            topic_partition(records[event_id].user_id),
            leaf_hash(records[event_id].value()),
        )
        for xact_id, event_id in zip(xacts, ids, strict=True)
    ]


class Undo:
    """A copy of the log as it was, to be put back after each round."""

    def __init__(self, session: "psycopg.Connection[Any]") -> None:
        self.session = session
        for table in ("events", "event_blocks", "relay_cursors"):
            session.execute(f"CREATE TEMP TABLE {table}_kept AS SELECT * FROM {table}")

    def put_back(self) -> None:
        """Make the log what it was."""
        with unguarded(self.session):
            self.session.execute("TRUNCATE events, event_blocks, relay_cursors")
            for table in ("events", "event_blocks", "relay_cursors"):
                self.session.execute(f"INSERT INTO {table} SELECT * FROM {table}_kept")

    def drop(self) -> None:
        """Forget the copy."""
        for table in ("events", "event_blocks", "relay_cursors"):
            self.session.execute(f"DROP TABLE {table}_kept")
