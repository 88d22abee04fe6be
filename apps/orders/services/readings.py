"""What entry read a moment ago of an instrument and its accounts: enough for the next plain limit order.

Such an order is entered in one message instead of two. Nothing is believed that it depends on: whether the
account can pay, whether the share trades, where its price stands and whether the client id was used are
verified under the account's lock as it is written. What cannot be decided so, or not be written as decided,
is decided again on a reading, and so is every refusal.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from apps.instruments.selectors import market_session
from apps.orders.entry_facts import EntryFacts
from apps.orders.intents import OrderIntent
from apps.primitives.clock import utc_now
from apps.primitives.fix import OrderClass, OrderType, Side
from apps.primitives.ids import id_restamp
from apps.primitives.money import MONEY_MAX, QUANTITY_MAX

LIFE = timedelta(seconds=1)
"""How long a reading serves: so long may a change of price bands or tick sizes go unnoticed."""

ACCOUNT_LIFE = timedelta(seconds=10)
"""How long it is believed whose an account is, which never changes; then its open orders are counted anew."""

IDS_AHEAD = 16
"""How many further ids are drawn with a reading: so many orders follow before the next reading."""

DRIFT = Decimal("0.01")
"""By what part the last price may have moved; an order that not each of them allows is read for."""

KEPT_MAX = 4_096
"""How many accounts and how many symbols are kept."""


class _Reading(NamedTuple):
    """What was read of a symbol, and the ids that came with it and were not used."""

    facts: EntryFacts
    ids: list[int]


_symbols: dict[str, _Reading] = {}
_accounts: dict[int, tuple[datetime, int]] = {}
"""When each account was read, and its user."""


def ids_ahead(intent: OrderIntent) -> int:
    """Return how many ids to draw beyond an order's own, for those that follow."""
    return IDS_AHEAD if _suits(intent) else 0


def reading_keep(facts: EntryFacts, ids: list[int]) -> None:
    """Keep the reading that an order has just been decided and written on, with the ids that it left."""
    row = facts.row
    if facts.last_prices is not None or row.last_price is None:
        return
    for kept in (_symbols, _accounts):
        if len(kept) >= KEPT_MAX:
            kept.clear()
    _symbols[row.symbol] = _Reading(facts, ids)
    _accounts[row.account_id] = facts.now, row.user_id


def reading_forget(account_id: int) -> None:
    """Read before this account's next order."""
    _accounts.pop(account_id, None)


def readings_forget() -> None:
    """Read before anybody's next order."""
    _symbols.clear()
    _accounts.clear()


def reading_recall(intent: OrderIntent) -> EntryFacts | None:
    """Return what may be taken for granted about an order, None when it must be read."""
    account, reading = _accounts.get(intent.account_id), _symbols.get(intent.symbol)
    if account is None or reading is None or not _suits(intent):
        return None
    now, (read_at, user_id) = utc_now(), account
    # A clock that goes back must not make a reading young again.
    if not (timedelta() <= now - read_at < ACCOUNT_LIFE and timedelta() <= now - reading.facts.now < LIFE):
        return None
    if market_session(now) != reading.facts.session:
        return None
    try:
        unused = reading.ids.pop()
    except IndexError:
        return None
    return _granted(intent, user_id, reading.facts, unused, now)


def _suits(intent: OrderIntent) -> bool:
    return intent.order_type is OrderType.LIMIT and intent.order_class is OrderClass.SIMPLE


def _granted(
    intent: OrderIntent, user_id: int, read: EntryFacts, unused_id: int, now: datetime
) -> EntryFacts:
    last = read.row.last_price
    assert last is not None, "a reading without a last price is not kept"
    low, high = last * (1 - DRIFT), last * (1 + DRIFT)
    moment = read.row.now + (now - read.now)
    row = read.row._replace(
        now=moment,
        order_ids=[id_restamp(unused_id, moment)],
        account_id=intent.account_id,
        user_id=user_id,
        account_status="ACTIVE",
        cash_balance=MONEY_MAX,
        held_cash=Decimal(0),
        position_quantity=QUANTITY_MAX,
        held_shares=0,
        last_price=low if intent.side is Side.BUY else high,
    )
    return EntryFacts(row, read.session, now, (low, high))
