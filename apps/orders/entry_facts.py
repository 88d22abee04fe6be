"""What entry decides on: one reading of an account, an instrument and the rules, as risk asks for it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.instruments.calendar import Session, session_is_open
from apps.orders.entry_sql import FactsRow
from apps.risk.rules import AccountFacts, InstrumentFacts


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """One reading of all that risk needs, and the session it was read in.

    With a range of last prices it is what an earlier reading lets us take for granted: ``row.last_price`` is
    the one of them that admits least, the account can pay, and the writing verifies both.
    """

    row: FactsRow
    session: Session
    now: datetime
    last_prices: tuple[Decimal, Decimal] | None = None

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
