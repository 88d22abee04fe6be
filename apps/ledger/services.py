"""The one way to write the ledger, and the one way to change an account's figures with it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from apps.events.facts import SYSTEM_METADATA, EventRow
from apps.events.types import EventType
from apps.primitives.appending import AppendTable, rows_append
from apps.primitives.literals import array_text
from apps.primitives.pipelining import rows_ask, rows_expect

ZERO = Decimal("0.00")


class Line(NamedTuple):
    """One line of a journal entry, in dollars and cents; ``balance_after`` is None for house accounts."""

    entry_id: int
    account_id: int
    user_id: int
    transaction_type: str
    amount: Decimal
    balance_after: Decimal | None
    reference_id: int | None
    description: str
    created_at: datetime


LINES = AppendTable(
    "transactions",
    {
        "entry_id": "bigint",
        "account_id": "bigint",
        "user_id": "bigint",
        "transaction_type": "text",
        "amount": "numeric",
        "balance_after": "numeric",
        "reference_id": "bigint",
        "description": "text",
        "created_at": "timestamptz",
    },
)


class Unbalanced(RuntimeError):
    """A journal entry's lines do not sum to zero: a defect, never a customer's mistake."""


class VersionMismatch(RuntimeError):
    """An account changed since it was read; the transaction must be rolled back and tried again."""


def entries_post(cursor: Any, lines: Sequence[Line]) -> None:
    """Append journal entries in the caller's transaction; raises ``Unbalanced`` unless each sums to zero."""
    sums: dict[int, Decimal] = {}
    for line in lines:
        sums[line.entry_id] = sums.get(line.entry_id, ZERO) + line.amount
    wrong = {entry: total for entry, total in sums.items() if total}
    if wrong:
        raise Unbalanced(f"journal entries that do not sum to zero: {wrong}")
    rows_append(cursor, LINES, lines)


@dataclass(slots=True)
class BalanceState:
    """One account's figures while they are being changed, with the version they were read at."""

    account_id: int
    user_id: int
    account_type: str
    version: int
    cash_balance: Decimal
    unsettled_cash: Decimal
    event_seq: int

    def move(self, amount: Decimal, unsettled: Decimal = ZERO) -> None:
        """Add ``amount`` to the cash and ``unsettled`` to what settles later."""
        self.cash_balance += amount
        self.unsettled_cash += unsettled

    def event_seq_next(self) -> int:
        """Return the next number of this account's event stream, without gaps."""
        self.event_seq += 1
        return self.event_seq

    @property
    def buying_power(self) -> Decimal:
        return max(self.cash_balance, ZERO)


BALANCES_READ_SQL = """
SELECT account_id, user_id, account_type, version, cash_balance, unsettled_cash, event_seq
FROM accounts WHERE account_id = ANY(%s::bigint[]) ORDER BY account_id
"""

BALANCES_WRITE_SQL = """
UPDATE accounts AS a SET
    cash_balance = v.cash_balance, unsettled_cash = v.unsettled_cash, buying_power = v.buying_power,
    event_seq = v.event_seq, version = a.version + 1, updated_at = clock_timestamp()
FROM unnest(%s::bigint[], %s::int[], %s::numeric[], %s::numeric[], %s::numeric[], %s::bigint[])
     AS v (account_id, version, cash_balance, unsettled_cash, buying_power, event_seq)
WHERE a.account_id = v.account_id AND a.account_id = ANY(%s::bigint[]) AND a.version = v.version
"""


def balances_ask(
    cursor: Any, account_ids: Iterable[int], *, for_update: bool = False
) -> Callable[[], dict[int, BalanceState]]:
    """Ask for accounts' figures and versions, and return how to get them; see ``rows_ask``."""
    lock = " FOR NO KEY UPDATE" if for_update else ""
    rows = rows_ask(cursor, BALANCES_READ_SQL + lock, [array_text(sorted(set(account_ids)))])
    return lambda: {row[0]: BalanceState(*row) for row in rows()}


def balances_read(
    cursor: Any, account_ids: Iterable[int], *, for_update: bool = False
) -> dict[int, BalanceState]:
    """Return accounts' figures and versions; ``for_update`` locks the rows in key order."""
    return balances_ask(cursor, account_ids, for_update=for_update)()


def balance_event(state: BalanceState, at: str, metadata: dict[str, Any] = SYSTEM_METADATA) -> EventRow:
    """Return the next event of an account's stream: its cash as it now is; ``at`` as events tell instants."""
    return EventRow(
        event_type=EventType.BALANCE_CHANGED,
        user_id=state.user_id,
        account_id=state.account_id,
        account_seq=state.event_seq_next(),
        data=(
            f'{{"account_id":{state.account_id},"cash_balance":{state.cash_balance:f},'
            f'"unsettled_cash":{state.unsettled_cash:f},"at":"{at}"}}'
        ),
        metadata=metadata,
    )


def balances_write(cursor: Any, states: Sequence[BalanceState]) -> None:
    """Write figures under the specification's version check; raises ``VersionMismatch``."""
    if not states:
        return
    rows = [
        (s.account_id, s.version, s.cash_balance, s.unsettled_cash, s.buying_power, s.event_seq)
        for s in sorted(states, key=lambda s: s.account_id)
    ]
    columns = [array_text(column) for column in zip(*rows, strict=True)]
    cursor.execute(BALANCES_WRITE_SQL, [*columns, columns[0]])
    rows_expect(cursor, len(rows), VersionMismatch(f"not all of {len(rows)} accounts are as they were read"))
