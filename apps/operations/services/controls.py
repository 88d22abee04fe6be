"""The market's controls: staff halt and resume symbols, and suspend and restore accounts, with a reason."""

from django.db import connection, transaction

from apps.accounts.models import AccountStatus
from apps.accounts.selectors import account_get
from apps.accounts.services import account_status_change, reason_check
from apps.events.facts import EventRow, Origin, Topic
from apps.events.services import event_append
from apps.instruments.models import Instrument
from apps.instruments.services import halt_set
from apps.matching.messages import Command
from apps.matching.services import command_append, matching_wake
from apps.operations.models import BookSession
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import Conflict, Invalid

REASON_LENGTH_MAX = 200
"""What the instrument's row can hold."""


def book_command(kind: str, instrument: Instrument) -> Command:
    """Return the HALT or RESUME command of one symbol's book."""
    return Command(
        command_id=0,
        kind=kind,
        symbol=instrument.symbol,
        instrument_id=instrument.instrument_id,
        order_id=0,
        orig_order_id=0,
        account_id=0,
        user_id=0,
        side="",
        order_type="",
        time_in_force="",
        price_units=0,
        quantity=0,
        client_order_id="",
        created_at=utc_now(),
    )


def symbol_halt(*, symbol: str, reason: str, origin: Origin) -> None:
    """Halt a symbol: resting orders stay, limit orders wait, the rest is refused, cancels work.

    Raises ``NotFound``, ``Invalid`` for a reason that says nothing, ``Conflict`` when it is halted already.
    """
    _halt_change(symbol=symbol, halted=True, reason=reason, origin=origin)


def symbol_resume(*, symbol: str, reason: str, origin: Origin) -> None:
    """Resume a halted symbol; while the market is closed its book stays closed until the open."""
    _halt_change(symbol=symbol, halted=False, reason=reason, origin=origin)


def _halt_change(*, symbol: str, halted: bool, reason: str, origin: Origin) -> None:
    why = reason_check(reason)
    if len(why) > REASON_LENGTH_MAX:
        raise Invalid("reason_too_long", f"Give a reason of at most {REASON_LENGTH_MAX} characters.")
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # The instrument's row lock comes first: opening and closing of the market take it as well.
        instrument = halt_set(symbol=symbol, halted=halted, reason=why)
        closed = BookSession.objects.filter(symbol=symbol, is_open=False).exists()
        if halted or not closed:
            command = book_command("HALT" if halted else "RESUME", instrument)
            command_append(cursor, instrument.matching_partition, [command])
        event_append(cursor, [_halt_event(symbol, halted, why, origin)])
    matching_wake(instrument.matching_partition)


def _halt_event(symbol: str, halted: bool, reason: str, origin: Origin) -> EventRow:
    return EventRow(
        topic=Topic.AUDIT,
        event_type="SYMBOL_HALTED" if halted else "SYMBOL_RESUMED",
        user_id=origin.actor_id or 0,
        data={"symbol": symbol, "reason": reason, "at": iso(utc_now())},
        metadata=origin.metadata(),
    )


def account_suspend(*, account_id: int, reason: str, origin: Origin) -> None:
    """Stop an account from entering orders; what it has working stays and may be cancelled."""
    account_status_change(account_id=account_id, status=AccountStatus.SUSPENDED, reason=reason, origin=origin)


def account_restore(*, account_id: int, reason: str, origin: Origin) -> None:
    """Let a suspended account trade again; raises ``Conflict`` for one that is closed for good."""
    if account_get(account_id).account_status == AccountStatus.CLOSED:
        raise Conflict("account_closed", "A closed account cannot be restored; open another one.")
    account_status_change(account_id=account_id, status=AccountStatus.ACTIVE, reason=reason, origin=origin)
