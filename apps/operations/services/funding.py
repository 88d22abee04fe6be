"""Money and shares that enter or leave by another way than a trade."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from apps.accounts.locks import booking_gate_enter
from apps.accounts.models import Account, AccountType
from apps.accounts.services import account_open
from apps.events.facts import SYSTEM, EventRow, Origin
from apps.events.services import event_append
from apps.events.types import EventType
from apps.ledger.services import BalanceState, Line, balances_read, balances_write, entries_post
from apps.positions.services import PositionState, position_event, positions_apply, positions_read
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import Invalid, NotFound
from apps.primitives.money import CENT, MONEY_MAX, trade_value

BANK_USERNAME = "house-bank"


@contextmanager
def balance_transaction() -> Iterator[Any]:
    """Open a balance writer's transaction: first the booking gate's writer side, then everything else."""
    with transaction.atomic(durable=True):
        booking_gate_enter()
        with connection.cursor() as cursor:
            yield cursor


def house_account() -> Account:
    """Return the house's bank account, the other side of every deposit; it is made on first use."""
    found = Account.objects.filter(user__username=BANK_USERNAME).first()
    if found is not None:
        return found
    return account_open(username=BANK_USERNAME, password=None, account_type=AccountType.HOUSE, origin=SYSTEM)


def cash_deposit(*, account_id: int, amount: Decimal, description: str, origin: Origin) -> None:
    """Credit cash to an account against the house's bank account; positive, in whole cents."""
    if amount <= 0 or amount > MONEY_MAX or amount != amount.quantize(CENT):
        raise Invalid("bad_amount", "A deposit is a positive amount in whole cents.", field="amount")
    bank = house_account()
    with balance_transaction() as cursor:
        states = balances_read(cursor, [account_id], for_update=True)
        if account_id not in states:
            raise NotFound("no_account", f"There is no account {account_id}.")
        state = states[account_id]
        state.move(amount)
        cursor.execute("SELECT next_id()")
        entry_id = cursor.fetchone()[0]
        entries_post(cursor, _deposit_lines(entry_id, state, bank, amount, description))
        event_append(cursor, [_deposit_event(state, bank, amount, description, origin)])
        balances_write(cursor, [state])


def _deposit_lines(
    entry_id: int, state: BalanceState, bank: Account, amount: Decimal, description: str
) -> list[Line]:
    now = utc_now()
    sides = (
        (state.account_id, state.user_id, amount, state.cash_balance),
        (bank.account_id, bank.user_id, -amount, None),
    )
    return [
        Line(entry_id, account, user, "DEPOSIT", value, balance, None, description, now)
        for account, user, value, balance in sides
    ]


def _deposit_event(
    state: BalanceState, bank: Account, amount: Decimal, description: str, origin: Origin
) -> EventRow:
    return EventRow(
        event_type=EventType.CASH_DEPOSITED,
        user_id=state.user_id,
        account_id=state.account_id,
        account_seq=state.event_seq_next(),
        data={
            "account_id": state.account_id,
            "amount": amount,
            "cash_balance": state.cash_balance,
            "unsettled_cash": state.unsettled_cash,
            "contra_account_id": bank.account_id,
            "description": description,
            "at": iso(utc_now()),
        },
        metadata=origin.metadata(),
    )


def shares_issue(
    *, account_id: int, symbol: str, quantity: int, unit_cost: Decimal, reason: str, origin: Origin
) -> None:
    """Put newly issued shares into an account at a stated cost; positions always sum to what was issued."""
    if quantity <= 0 or unit_cost < 0:
        raise Invalid("bad_quantity", "Issue a positive number of shares at a cost of zero or more.")
    with balance_transaction() as cursor:
        states = balances_read(cursor, [account_id], for_update=True)
        if account_id not in states:
            raise NotFound("no_account", f"There is no account {account_id}.")
        state, key = states[account_id], (account_id, symbol)
        found = positions_read(cursor, [key])
        position = found.get(key) or PositionState(account_id, state.user_id, symbol)
        position.buy(quantity, trade_value(unit_cost, quantity))
        cursor.execute(
            "INSERT INTO share_issues (account_id, user_id, symbol, quantity, unit_cost, reason) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            (account_id, state.user_id, symbol, quantity, unit_cost, reason),
        )
        positions_apply(cursor, [position])
        at = iso(utc_now())
        data = {"account_id": account_id, "symbol": symbol, "quantity": quantity, "unit_cost": unit_cost}
        event = EventRow(
            event_type=EventType.SHARES_ISSUED,
            user_id=state.user_id,
            account_id=account_id,
            account_seq=state.event_seq_next(),
            data={**data, "reason": reason, "at": at},
            metadata=origin.metadata(),
        )
        event_append(cursor, [event, position_event(position, at, origin.metadata())])
        balances_write(cursor, [state])
