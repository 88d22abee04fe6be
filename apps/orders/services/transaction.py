"""Entry's two messages: read and decide; then lock, verify, insert and commit in one function of the server.

The account's lock is held only while the server works: no client thinks, waits or stalls under it. What was
decided on an unlocked reading is verified under the lock; when it has changed, entry reads and decides again.
Entries of several threads that come at once share their messages; each fares as if it had gone by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import psycopg
from django.db import OperationalError, connection
from psycopg.pq import TransactionStatus

from apps.events.facts import EventRow, json_text
from apps.instruments.selectors import market_session
from apps.matching.messages import Command
from apps.orders.entry_facts import EntryFacts
from apps.orders.entry_sql import FACTS_SQL, WRITE_SQL, FactsRow
from apps.orders.models import OrderClientKey
from apps.primitives.clock import utc_now
from apps.primitives.errors import Conflict, NotFound, Unavailable
from apps.primitives.failpoints import failpoint
from apps.primitives.fix import OrdStatus
from apps.primitives.gathering import Gathering, Separately
from apps.primitives.literals import array_text
from apps.risk.rules import Hold

T = TypeVar("T")

ATTEMPTS_MAX = 20
"""How often entry decides anew when others of the same account come first."""

TOGETHER_MAX = 32
"""How many entries may share one message: about as many as a web process has threads."""

HEAVY_ORDERS = 500
"""An account with more open orders, whose holds take a millisecond to add up, keeps nobody company."""

HEAVY_MAX = 4_096
_heavy: set[int] = set()
"""Accounts that were heavy when they were last read here."""

_BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.TransactionTimeout,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.ReadOnlySqlTransaction,
)
"""After these nothing was written, whether the session lives or not."""


_UNKNOWN = "outcome_unknown"


class FactsChanged(Exception):
    """What entry decided on is not so any more: read and decide again."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the order that is to be replaced held when entry read it."""

    order_id: int
    cash: Decimal
    shares: int
    remaining: int


class _Asked(NamedTuple):
    """What one entry asks to read, as the columns of ``FACTS_SQL``."""

    account_id: int
    symbol: str
    client_order_id: str
    orders: int


def facts_read(account_id: int, symbol: str, client_order_id: str, orders: int = 1) -> EntryFacts:
    """Read what risk needs, without a lock, and draw the ids of so many orders.

    Raises ``NotFound``, and ``Conflict`` for a used client id.
    """
    asked = _Asked(account_id, symbol, client_order_id, orders)
    facts = _facts_alone(asked) if account_id in _heavy else _facts_together(asked)
    _heavy_note(facts)
    if facts.row.client_key_order_id is not None:
        raise duplicate_of(facts.row.client_key_order_id)
    if facts.row.instrument_id is None:
        raise NotFound("unknown_symbol", f"could not find us_equity '{symbol[:20]}'", symbol=symbol[:20])
    return facts


def _heavy_note(facts: EntryFacts) -> None:
    if facts.row.open_orders <= HEAVY_ORDERS:
        _heavy.discard(facts.row.account_id)
        return
    if len(_heavy) >= HEAVY_MAX:
        _heavy.clear()
    _heavy.add(facts.row.account_id)


def _facts_carry(load: Sequence[_Asked]) -> list[EntryFacts | BaseException | None]:
    try:
        found = _facts_fetch(load)
    except Exception as error:
        if len(load) == 1:
            return [error]
        raise Separately from error
    return [found.get(n) for n in range(len(load))]


def _facts_alone(asked: _Asked) -> EntryFacts:
    found = _facts_fetch([asked])
    if not found:
        raise NotFound("no_account", "This key has no trading account.")
    return found[0]


def _facts_fetch(load: Sequence[_Asked]) -> dict[int, EntryFacts]:
    """Return what is known of each, by its place; nothing of one without an account."""
    session = market_session()
    columns = [array_text(column) for column in zip(*load, strict=True)]
    try:
        with _cursor() as cursor:
            rows = cursor.execute(FACTS_SQL, (*columns, session.trade_date)).fetchall()
    except (OperationalError, psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise _busy("The books do not answer") from error
    finally:
        _transaction_end()
    now = utc_now()
    return {row[0] - 1: EntryFacts(FactsRow._make(row[1:]), session, now) for row in rows}


def _busy(what: str) -> Unavailable:
    return Unavailable("busy", f"{what}; nothing was written. Try again.")


_facts_together = Gathering(_facts_carry, _facts_alone, TOGETHER_MAX)


def duplicate_of(order_id: int) -> Conflict:
    """Return the refusal of a client order id that has been used."""
    return Conflict("duplicate_client_order_id", "client_order_id must be unique", existing_order_id=order_id)


@dataclass(slots=True)
class EntryRows:
    """What one entry inserts: a list for each table, of its columns by name; it travels as one JSON text."""

    order_client_keys: list[dict[str, Any]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    live_orders: list[dict[str, Any]] = field(default_factory=list)
    order_commands: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def key_add(self, account_id: int, client_order_id: str, order_id: int, request_hash: str) -> None:
        """Use a client order id for all time."""
        self.order_client_keys.append(
            {
                "account_id": account_id,
                "client_order_id": client_order_id,
                "order_id": order_id,
                "request_hash": request_hash,
            }
        )

    def hold_add(
        self,
        facts: EntryFacts,
        order_id: int,
        quantity: int,
        hold: Hold | None,
        status: OrdStatus = OrdStatus.PENDING,
        group_id: int | None = None,
    ) -> None:
        """Hold what an order (or a replacement still queued) needs: nothing while a leg waits."""
        row = facts.row
        self.live_orders.append(
            {
                "order_id": order_id,
                "account_id": row.account_id,
                "user_id": row.user_id,
                "matching_partition": row.matching_partition,
                "symbol": row.symbol,
                "status": status,
                "remaining": quantity,
                "hold_price": hold.hold_price if hold else 0,
                "held_cash": hold.cash if hold else 0,
                "held_shares": hold.shares if hold else 0,
                "group_id": group_id,
                "created_at": row.now,
            }
        )

    def command_add(self, matching_partition: int, command: Command) -> None:
        """Queue a command; its id and time are drawn by the database."""
        self.order_commands.append({**command._asdict(), "matching_partition": matching_partition})

    def event_add(self, event: EventRow) -> None:
        """Append a fact, which has no place in an account's sequence yet."""
        self.events.append(
            {
                "topic": event.event_type.topic,
                "event_type": event.event_type,
                "user_id": event.user_id,
                "account_id": event.account_id,
                "data": event.data,
                "metadata": event.metadata,
            }
        )


_ENTRY_TABLES = tuple(table.name for table in fields(EntryRows))


class _Entry(NamedTuple):
    """One entry to write: what it was decided on, as the columns of ``WRITE_SQL``, and its rows."""

    account_id: int
    symbol: str
    instrument_id: int
    matching_partition: int
    halted: bool
    cash: Decimal
    shares: int
    orig_order_id: int | None
    orig_cash: Decimal | None
    orig_shares: int | None
    last_low: Decimal | None
    last_high: Decimal | None
    client_order_id: str
    rows: EntryRows


def entry_write(
    account_id: int, facts: EntryFacts, need: Hold, rows: EntryRows, held: Held | None = None
) -> None:
    """Lock the account, verify what was decided on, insert, commit: one message, one transaction.

    Raises ``FactsChanged`` when the account, the instrument or the order to replace is not as it was read,
    ``Unavailable`` on lock or time-out trouble; in both cases nothing was written.
    """
    assert not connection.in_atomic_block, "entry commits by itself"
    row = facts.row
    low, high = facts.last_prices or (None, None)
    entry = _Entry(
        account_id=account_id,
        symbol=row.symbol,
        instrument_id=row.instrument_id,
        matching_partition=row.matching_partition,
        halted=row.halted,
        cash=need.cash,
        shares=need.shares,
        orig_order_id=held.order_id if held else None,
        orig_cash=held.cash if held else None,
        orig_shares=held.shares if held else None,
        last_low=low,
        last_high=high,
        client_order_id=rows.order_client_keys[0]["client_order_id"],
        rows=rows,
    )
    failpoint("entry.before_commit", symbol=row.symbol)
    if account_id in _heavy:
        _write_alone(entry)
    else:
        _write_together(entry)
    failpoint("entry.after_commit", symbol=row.symbol)


def _write_carry(load: Sequence[_Entry]) -> list[bool | BaseException | None]:
    try:
        written = _entries_write(load, wait=False)
    except Exception as error:
        if len(load) == 1:
            return [error]
        if _is_unknown(error):
            return [_outcome_unknown() for _ in load]
        raise Separately from error
    return [True if entry.account_id in written else None for entry in load]


def _write_alone(entry: _Entry) -> bool:
    if not _entries_write([entry], wait=True):
        raise FactsChanged
    return True


_write_together = Gathering(_write_carry, _write_alone, TOGETHER_MAX, key=lambda entry: entry.account_id)


def _entries_write(load: Sequence[_Entry], *, wait: bool) -> set[int]:
    """Return the accounts whose entries are committed; raises when none is, or when nobody knows."""
    *columns, rows = zip(*load, strict=True)
    parameters = (wait, *map(array_text, columns), _rows_text(rows))
    try:
        with _cursor() as cursor:
            answer = cursor.execute(WRITE_SQL, parameters).fetchone()
    except (OperationalError, psycopg.Error) as error:
        failure = _failure(error)
        if failure is error:
            raise
        raise failure from error
    finally:
        _transaction_end()
    assert answer is not None
    return set(answer[0])


def _rows_text(entries: Sequence[EntryRows]) -> str:
    """Return the rows of several entries as one JSON text, figures exact."""
    return json_text(
        {table: [row for rows in entries for row in getattr(rows, table)] for table in _ENTRY_TABLES}
    )


def _failure(error: Exception) -> Exception:
    """Say what became of a transaction that failed; where the session is gone, nobody knows."""
    if isinstance(error, OperationalError):
        # Django's own: no session could be had.
        return _busy("The books do not answer")
    if _is_misrouted(error):
        return FactsChanged()
    if isinstance(error, _BUSY):
        return _busy("The account is busy")
    if not isinstance(error, psycopg.OperationalError):
        return error
    return _outcome_unknown() if connection.connection.closed else _busy("The account is busy")


def _outcome_unknown() -> Unavailable:
    return Unavailable(
        _UNKNOWN, "The connection to the books was lost. Ask for this client order id before you send again."
    )


def _is_unknown(failure: Exception) -> bool:
    return isinstance(failure, Unavailable) and failure.reason == _UNKNOWN


def _is_misrouted(error: Exception) -> bool:
    """Return whether a day's table partition came into being between the row's routing and its insertion."""
    return isinstance(error, psycopg.errors.CheckViolation) and error.diag.constraint_name is None


@contextmanager
def _cursor() -> Iterator["psycopg.Cursor[Any]"]:
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        yield cursor


def _transaction_end() -> None:
    raw = connection.connection
    if raw is None:
        return
    if raw.closed:
        connection.close()
    elif raw.info.transaction_status is not TransactionStatus.IDLE:
        raw.execute("ROLLBACK")


def entry_attempt(act: Callable[[], T], account_id: int, client_order_id: str) -> T:
    """Run one entry, deciding anew while others of the account come first; bounded.

    Raises what ``act`` raises, ``Conflict`` when the client id was used meanwhile, else ``Unavailable``.
    """
    for _ in range(ATTEMPTS_MAX):
        try:
            return act()
        except FactsChanged:
            continue
        except psycopg.errors.UniqueViolation as error:
            used = OrderClientKey.objects.filter(account_id=account_id, client_order_id=client_order_id)
            order_id = used.values_list("order_id", flat=True).first()
            if order_id is not None:
                raise duplicate_of(order_id) from error
            # Another row's key, such as an id repeated after the clock stepped back: draw a new id.
            continue
    raise Unavailable("busy", "The account is busy; nothing was written. Try again.")
