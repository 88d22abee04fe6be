"""Entry's two messages: read and decide; then lock, verify, insert and commit as one script.

The account's lock is held only while the server works: no client thinks, waits or stalls under it. What was
decided on an unlocked reading is verified under the lock; when it has changed, entry reads and decides again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
from django.db import connection
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row

from apps.instruments.calendar import Session, session_is_open
from apps.instruments.selectors import market_session
from apps.orders.entry_sql import ACCOUNT_LOCK_SQL, FACTS_SQL, HOLD_INSERT_SQL, VERIFY_SQL
from apps.orders.models import OrderClientKey
from apps.primitives.clock import utc_now
from apps.primitives.errors import Conflict, NotFound, Unavailable
from apps.primitives.fix import OrdStatus
from apps.risk.rules import AccountFacts, Hold, InstrumentFacts

T = TypeVar("T")

ATTEMPTS_MAX = 20
"""How often entry decides anew when others of the same account come first."""

FACTS_CHANGED = "OB001"
"""The SQLSTATE that ``entry_verify`` raises."""

_BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.TransactionTimeout,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.TooManyConnections,
)


class FactsChanged(Exception):
    """What entry decided on is not so any more: read and decide again."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the order that is to be replaced held when entry read it."""

    order_id: int
    cash: Decimal
    shares: int
    remaining: int


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """One reading of all that risk needs, and the session it was read in."""

    row: Any
    session: Session
    now: datetime

    @property
    def order_id(self) -> int:
        """The id of the first order that is entered on this reading."""
        return int(self.row.order_ids[0])

    @property
    def instrument(self) -> InstrumentFacts:
        row = self.row
        return InstrumentFacts(
            symbol=row.symbol,
            status=row.instrument_status,
            tradable=row.tradable,
            halted=row.halted,
            market_is_open=session_is_open(self.session, self.now),
            last_price=row.last_price,
            limit_bps=row.limit_bps,
            ticks=tuple((start, step) for start, step in row.ticks or ()),
        )

    def account(self, *, cash: Decimal = Decimal(0), shares: int = 0) -> AccountFacts:
        """Return the account with ``cash`` and ``shares`` of an order being replaced set free."""
        row = self.row
        return AccountFacts(
            account_status=row.account_status,
            available_cash=row.cash_balance - row.held_cash + cash,
            available_shares=row.position_quantity - row.held_shares + shares,
        )


def facts_read(account_id: int, symbol: str, client_order_id: str, orders: int = 1) -> EntryFacts:
    """Read what risk needs, without a lock, and draw the ids of so many orders.

    Raises ``NotFound``, and ``Conflict`` for a used client id.
    """
    session = market_session()
    parameters = {
        "account_id": account_id,
        "symbol": symbol,
        "client_order_id": client_order_id,
        "trade_date": session.trade_date,
        "orders": orders,
    }
    try:
        with _cursor() as cursor:
            row = cursor.execute(FACTS_SQL, parameters).fetchone()
    except psycopg.OperationalError as error:
        raise Unavailable("busy", "The books do not answer; nothing was written. Try again.") from error
    finally:
        _transaction_end()
    if row is None:
        raise NotFound("no_account", "This key has no trading account.")
    if row.client_key_order_id is not None:
        raise duplicate_of(row.client_key_order_id)
    if row.instrument_id is None:
        raise NotFound("unknown_symbol", f"could not find us_equity '{symbol[:20]}'", symbol=symbol[:20])
    return EntryFacts(row, session, utc_now())


def duplicate_of(order_id: int) -> Conflict:
    """Return the refusal of a client order id that has been used."""
    return Conflict("duplicate_client_order_id", "client_order_id must be unique", existing_order_id=order_id)


class Script:
    """Takes statements like a cursor, and sends them to the server all at once."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._binder = psycopg.ClientCursor(connection)
        self._statements: list[str] = []

    def execute(self, query: str, parameters: Sequence[Any] | None = None) -> None:
        """Add one statement, its values bound as literals."""
        self._statements.append(self._binder.mogrify(query, parameters))

    def run(self) -> None:
        """Send everything as one message: the server works through it without the client."""
        self._binder.execute(";\n".join(self._statements))


@contextmanager
def entry_transaction(
    account_id: int, facts: EntryFacts, need: Hold, held: Held | None = None
) -> Iterator[Script]:
    """Open entry's transaction: lock, verify and whatever the body inserts travel as one message.

    Raises ``FactsChanged`` when the account, the instrument or the order to replace is not as it was read,
    ``Unavailable`` on lock or time-out trouble; in both cases nothing was written.
    """
    assert not connection.in_atomic_block, "entry commits by itself"
    try:
        connection.ensure_connection()
        script = Script(connection.connection)
        script.execute("BEGIN")
        script.execute(ACCOUNT_LOCK_SQL, (account_id,))
        script.execute(VERIFY_SQL, _verified(account_id, facts, need, held))
        yield script
        script.execute("COMMIT")
        script.run()
    except _BUSY as error:
        raise Unavailable("busy", "The account is busy; nothing was written. Try again.") from error
    except psycopg.OperationalError as error:
        raise Unavailable(
            "outcome_unknown",
            "The connection to the books was lost. Ask for this client order id before you send again.",
        ) from error
    except psycopg.Error as error:
        if error.sqlstate == FACTS_CHANGED:
            raise FactsChanged from error
        raise
    finally:
        _transaction_end()


def _verified(account_id: int, facts: EntryFacts, need: Hold, held: Held | None) -> tuple[Any, ...]:
    old = (held.order_id, held.cash, held.shares) if held else (None, None, None)
    return (account_id, facts.row.symbol, facts.row.halted, need.cash, need.shares, *old)


@contextmanager
def _cursor() -> Iterator["psycopg.Cursor[Any]"]:
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection, row_factory=namedtuple_row) as cursor:
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


def hold_insert(
    cursor: Script,
    facts: EntryFacts,
    order_id: int,
    quantity: int,
    hold: Hold | None,
    status: OrdStatus = OrdStatus.PENDING,
    group_id: int | None = None,
) -> None:
    """Insert what an order (or a replacement still queued) holds: nothing while a leg waits."""
    row = facts.row
    figures = (hold.hold_price, hold.cash, hold.shares) if hold else (0, 0, 0)
    cursor.execute(
        HOLD_INSERT_SQL,
        (
            order_id,
            row.account_id,
            row.user_id,
            row.matching_partition,
            row.symbol,
            status.value,
            quantity,
            *figures,
            group_id,
            row.now,
        ),
    )
