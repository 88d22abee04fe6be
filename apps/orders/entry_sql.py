"""The SQL of order entry: one function that reads what is decided on, one that locks, verifies and writes."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple


class FactsRow(NamedTuple):
    """One account and one symbol, as ``entry_facts`` reads them; money in dollars, all of one snapshot."""

    symbol: str
    now: datetime
    order_ids: list[int]
    open_orders: int
    account_id: int
    user_id: int
    account_status: str
    cash_balance: Decimal
    held_cash: Decimal
    held_shares: int
    position_quantity: int
    instrument_id: int
    """NULL, with all that follows, for a symbol that is not listed: ``facts_read`` lets none through."""
    instrument_status: str
    tradable: bool
    halted: bool
    matching_partition: int
    last_price: Decimal | None
    limit_bps: int | None
    ticks: list[list[Decimal]] | None
    client_key_order_id: int | None


FACTS_SQL = f"SELECT n, {', '.join(FactsRow._fields)} FROM entry_facts(%s, %s, %s, %s, %s)"
"""One reading, without a lock, of all that risk needs; the ids of so many orders are drawn with it.

An array for each parameter, an element for each entry, but for the trade date.
"""

WRITE_SQL = f"SELECT entry_write({', '.join(['%s'] * 15)})"
"""Sent outside a transaction it is one by itself: lock, verify, insert, commit, in one message.

The first parameter says whether to wait for accounts that somebody else has locked, or to leave their entries
out. It returns the accounts whose entries were written; of those left out otherwise, something has changed
since it was read. The lock changes nothing, so the SERIALIZABLE runner never fails because of an entry. Lock
and verification are two statements inside, since a statement's snapshot is older than the lock it waits for.
"""
