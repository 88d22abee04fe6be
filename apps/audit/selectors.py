"""Reads of the past: an order or an account as it stood at an instant, told by its events alone."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from apps.audit.folding import AccountFold
from apps.audit.readings import order_unknown, reading_open
from apps.primitives.errors import Invalid, NotFound
from apps.primitives.ids import ID_MAX, Kind, public_id_decode

ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class AccountAt:
    """An account at an instant; dollars and cents. ``buying_power`` and ``withdrawable`` are net of holds."""

    instant: datetime
    fold: AccountFold

    @property
    def held_cash(self) -> Decimal:
        live = sum((order.held_cash for order in self.fold.orders.values()), ZERO)
        return live + sum((queued.held_cash for queued in self.fold.queued.values()), ZERO)

    @property
    def held_shares(self) -> dict[str, int]:
        """What is held of each symbol, in shares."""
        fold, held = self.fold, Counter[str]()
        for orders in (fold.orders.values(), fold.queued.values()):
            held.update({order.symbol: order.held_shares for order in orders})
        return {symbol: quantity for symbol, quantity in sorted(held.items()) if quantity}

    @property
    def cash_balance(self) -> Decimal:
        return self.fold.cash_balance or ZERO

    @property
    def unsettled_cash(self) -> Decimal:
        return self.fold.unsettled_cash or ZERO

    @property
    def buying_power(self) -> Decimal:
        return max(max(self.cash_balance, ZERO) - self.held_cash, ZERO)

    @property
    def withdrawable(self) -> Decimal:
        settled = self.cash_balance - max(self.unsettled_cash, ZERO)
        return max(settled - self.held_cash, ZERO)


@dataclass(frozen=True, slots=True)
class OrderStory:
    """An order at an instant, with the orders it replaced and was replaced by, and those of its group."""

    instant: datetime
    order_id: int
    fold: AccountFold

    @property
    def chain(self) -> list[int]:
        """Return the ids of the order, of what it replaced and of what replaced it, oldest first."""
        orders, ids = self.fold.orders, [self.order_id]
        while (first := orders.get(ids[0])) is not None and first.replaces:
            ids.insert(0, first.replaces)
        if ids[0] in self.fold.queued:
            ids.insert(0, self.fold.queued[ids[0]].replaces)
        while (last := orders.get(ids[-1])) is not None and last.replaced_by:
            ids.append(last.replaced_by)
        return ids

    @property
    def legs(self) -> list[int]:
        """Return the ids of the other orders of its group that are no replacements of it."""
        order = self.fold.orders.get(self.order_id)
        if order is None or order.group_id is None:
            return []
        chain = set(self.chain)
        return [o.order_id for o in self.fold.orders.values() if o.order_id not in chain]


def account_at(account_id: int, instant: datetime) -> AccountAt:
    """Return an account with its positions and open orders at an instant, from its events alone.

    What was written by then counts, in the order of commits. Raises ``Invalid`` for an instant to come,
    ``NotFound`` when no event before it is of the account, ``Unavailable`` when what was written by then is
    not all committed yet.
    """
    with reading_open(account_id, instant) as reading:
        fold = AccountFold(ended_kept=False).apply_all(reading.state())
        if fold.account_id is None:
            raise NotFound("no_account", f"No event before {instant:%Y-%m-%d %H:%M:%S} is of {account_id}.")
        fold.apply_all(reading.orders_live())
    return AccountAt(instant, fold)


def order_at(order_id: int, instant: datetime, account_id: int | None = None) -> OrderStory:
    """Return an order at an instant, with its chain of replacements and its group; from events alone.

    Raises as ``account_at``; ``NotFound`` too for an order that was not yet asked for.
    """
    if account_id is None:
        with reading_open(0, instant) as reading:
            account_id = reading.account_of(order_id)
    with reading_open(account_id, instant) as reading:
        fold = reading.story(order_id)
    if order_id not in fold.orders and order_id not in fold.queued:
        raise order_unknown(str(order_id), instant)
    return OrderStory(instant, order_id, fold)


def order_named_at(reference: str, instant: datetime, account_id: int | None = None) -> OrderStory:
    """Return an order by its id, its public id or, within an account, the client id that it used.

    Raises as ``order_at``; ``Invalid`` for a client id without an account.
    """
    order_id = _order_id_read(reference)
    if order_id is not None:
        try:
            return order_at(order_id, instant, account_id)
        except NotFound:
            if account_id is None:
                raise
    if account_id is None:
        message = "A client order id is unique within its account only: name the account as well."
        raise Invalid("account_required", message, field="account")
    with reading_open(account_id, instant) as reading:
        order_id = reading.order_of_client(reference)
    return order_at(order_id, instant, account_id)


def _order_id_read(reference: str) -> int | None:
    if reference.isascii() and reference.isdecimal():
        number = int(reference)
        return number if number <= ID_MAX else None
    try:
        return public_id_decode(Kind.ORDER, UUID(reference))
    except (ValueError, NotFound):
        return None
