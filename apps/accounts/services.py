"""Acts on people and accounts: open, suspend, restore."""

from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, transaction

from apps.accounts.locks import accounts_locked, booking_gate_enter
from apps.accounts.models import Account, AccountStatus, User
from apps.events.before_after import record_event, record_facts, record_locked
from apps.events.facts import EventRow, Origin
from apps.events.origins import origin_acting
from apps.events.services import event_append
from apps.events.types import EventType
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import Conflict, Invalid, NotFound

REASON_LENGTH_MIN = 5


def reason_check(reason: str) -> str:
    """Return a staff member's reason, trimmed; raises ``Invalid`` when it says nothing."""
    text = reason.strip()
    if len(text) < REASON_LENGTH_MIN:
        raise Invalid("reason_required", "Give a reason of at least 5 characters; it goes to the audit log.")
    return text


@transaction.atomic
def account_open(
    *, username: str, password: str | None, account_type: str, simulated: bool = False, origin: Origin
) -> Account:
    """Create a user with one empty account and append ACCOUNT_OPENED."""
    if User.objects.filter(username=username).exists():
        raise Conflict("username_taken", f"The user name {username} is taken.")
    user = User.objects.create_user(username=username, password=password)
    account = Account.objects.create(user=user, account_type=account_type, simulated=simulated)
    account.refresh_from_db()
    facts = {
        "username": username,
        "account_type": account.account_type,
        "account_status": account.account_status,
        "currency": account.currency,
        "simulated": account.simulated,
    }
    _status_event(account, EventType.ACCOUNT_OPENED, facts, origin)
    return account


@transaction.atomic(durable=True)
def account_status_change(*, account_id: int, status: AccountStatus, reason: str, origin: Origin) -> None:
    """Suspend or restore an account, with the reason in the audit log.

    The row lock waits for entries in flight, so no order is accepted after this returns. Raises
    ``Conflict`` when the account already has that status, or is closed, which is for good.
    """
    why = reason_check(reason)
    booking_gate_enter()
    rows = accounts_locked([account_id])
    if not rows:
        raise NotFound("no_account", f"There is no account {account_id}.")
    account = rows[0]
    if account.account_status == status:
        raise Conflict("status_unchanged", f"Account {account} is already {status.lower()}.")
    if account.account_status == AccountStatus.CLOSED:
        raise Conflict("account_closed", f"Account {account} is closed for good; open another one.")
    before, account.account_status, account.updated_at = account.account_status, status, utc_now()
    account.save(update_fields=["account_status", "updated_at"])
    change = {"before": before, "after": status.value, "reason": why}
    _status_event(account, EventType[f"ACCOUNT_{status.value}"], change, origin)


def _status_event(account: Account, event_type: EventType, data: dict[str, Any], origin: Origin) -> None:
    row = EventRow(
        event_type=event_type,
        user_id=account.user_id,
        account_id=account.account_id,
        data={"account_id": account.account_id, **data, "at": iso(utc_now())},
        metadata=origin.metadata(),
    )
    with connection.cursor() as cursor:
        event_append(cursor, [row])


@transaction.atomic
def password_set(*, user_id: int, password: str, reason: str, origin: Origin) -> None:
    """Give a person another password, on record with who did it; raises ``NotFound``."""
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise NotFound("no_user", f"There is no user {user_id}.")
    user.set_password(password)
    user.password_reason = reason
    with origin_acting(origin):
        user.save(update_fields=["password"])


@transaction.atomic
def group_delete(*, group_id: int, reason: str, origin: Origin) -> None:
    """Delete a staff group; who was in it loses what it allowed. Raises ``NotFound``."""
    why = reason_check(reason)
    if not Group.objects.filter(pk=group_id).exists():
        raise NotFound("no_group", f"There is no group {group_id}.")
    group = record_locked(Group, group_id)
    members = sorted(User.objects.filter(groups=group_id).values_list("username", flat=True))
    before = {**record_facts(group), "members": members}
    row = record_event(EventType.RECORD_DELETED, group, before=before, after={}, reason=why, origin=origin)
    group.delete()
    with connection.cursor() as cursor:
        event_append(cursor, [row])
