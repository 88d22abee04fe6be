"""The one way to write positions: set-based, on the caller's cursor, with the figures worked out before."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.events.facts import SYSTEM_METADATA, EventRow, json_text
from apps.events.types import EventType
from apps.primitives.literals import array_text
from apps.primitives.money import CENT, cost_average
from apps.primitives.pipelining import rows_ask

ZERO = Decimal("0.00")


@dataclass(slots=True)
class PositionState:
    """One position while it is being changed; it is read and written under the booking gate."""

    account_id: int
    user_id: int
    symbol: str
    quantity: int = 0
    average_cost: Decimal = field(default=Decimal("0.0000"))
    realized_pnl: Decimal = ZERO

    def buy(self, quantity: int, value: Decimal) -> None:
        """Add shares that cost ``value``; the average cost moves."""
        cost = self.average_cost * self.quantity + value
        self.quantity += quantity
        self.average_cost = cost_average(cost, self.quantity)

    def sell(self, quantity: int, value: Decimal) -> None:
        """Take shares away for ``value``; the average cost stays, the difference is realised."""
        assert quantity <= self.quantity, f"account {self.account_id} would be short of {self.symbol}"
        self.realized_pnl += (value - self.average_cost * quantity).quantize(CENT)
        self.quantity -= quantity
        if self.quantity == 0:
            self.average_cost = Decimal("0.0000")


POSITIONS_READ_SQL = """
SELECT p.account_id, p.user_id, p.symbol, p.quantity, p.average_cost, p.realized_pnl
FROM unnest(%s::bigint[], %s::text[]) AS k (account_id, symbol)
CROSS JOIN LATERAL (
    SELECT * FROM positions WHERE account_id = k.account_id AND symbol = k.symbol OFFSET 0) AS p
"""

POSITIONS_WRITE_SQL = """
INSERT INTO positions (account_id, user_id, symbol, quantity, average_cost, realized_pnl, updated_at)
SELECT v.*, clock_timestamp()
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::numeric[], %s::numeric[]) AS v
ON CONFLICT (account_id, symbol) DO UPDATE SET
    quantity = excluded.quantity, average_cost = excluded.average_cost,
    realized_pnl = excluded.realized_pnl, updated_at = excluded.updated_at
"""


def positions_ask(
    cursor: Any, keys: Iterable[tuple[int, str]]
) -> Callable[[], dict[tuple[int, str], PositionState]]:
    """Ask for the positions of (account id, symbol) pairs that exist, and return how to get them.

    The caller holds the booking gate; see ``rows_ask``.
    """
    wanted = list(keys)
    if not wanted:
        return dict
    rows = rows_ask(cursor, POSITIONS_READ_SQL, [array_text(column) for column in zip(*wanted, strict=True)])
    return lambda: {(row[0], row[2]): PositionState(*row) for row in rows()}


def positions_read(cursor: Any, keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], PositionState]:
    """Return the positions of (account id, symbol) pairs that exist; the caller holds the booking gate."""
    return positions_ask(cursor, keys)()


def position_event(state: PositionState, at: str, metadata: dict[str, Any] = SYSTEM_METADATA) -> EventRow:
    """Return the event of a position as it now is; ``at`` is an instant as events tell it."""
    data = (
        f'{{"account_id":{state.account_id},"symbol":{json_text(state.symbol)},"quantity":{state.quantity},'
        f'"average_cost":{state.average_cost:f},"realized_pnl":{state.realized_pnl:f},"at":"{at}"}}'
    )
    return EventRow(EventType.POSITION_CHANGED, state.user_id, data, state.account_id, metadata=metadata)


def positions_apply(cursor: Any, states: Sequence[PositionState]) -> None:
    """Write positions as they now are, in the caller's transaction."""
    if not states:
        return
    rows = [(s.account_id, s.user_id, s.symbol, s.quantity, s.average_cost, s.realized_pnl) for s in states]
    cursor.execute(POSITIONS_WRITE_SQL, [array_text(column) for column in zip(*rows, strict=True)])
