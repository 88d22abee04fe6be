"""Acts on people and accounts: open, suspend, restore."""

from django.db import connection, transaction

from apps.accounts.locks import accounts_locked, booking_gate_enter
from apps.accounts.models import Account, AccountStatus, User
from apps.events.facts import EventRow, Origin, Topic
from apps.events.services import event_append
from apps.primitives.clock import utc_now
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
    _status_event(account, "ACCOUNT_OPENED", {"account_type": account_type}, origin)
    account.refresh_from_db()
    return account


@transaction.atomic(durable=True)
def account_status_change(*, account_id: int, status: AccountStatus, reason: str, origin: Origin) -> None:
    """Suspend or restore an account, with the reason in the audit log.

    The row lock waits for entries in flight, so no order is accepted after this returns. Raises
    ``Conflict`` when the account already has that status.
    """
    why = reason_check(reason)
    booking_gate_enter()
    rows = accounts_locked([account_id])
    if not rows:
        raise NotFound("no_account", f"There is no account {account_id}.")
    account = rows[0]
    if account.account_status == status:
        raise Conflict("status_unchanged", f"Account {account} is already {status.lower()}.")
    before, account.account_status, account.updated_at = account.account_status, status, utc_now()
    account.save(update_fields=["account_status", "updated_at"])
    change = {"before": before, "after": status.value, "reason": why}
    _status_event(account, f"ACCOUNT_{status.value}", change, origin)


def _status_event(account: Account, event_type: str, data: dict[str, str], origin: Origin) -> None:
    row = EventRow(
        topic=Topic.ACCOUNTS,
        event_type=event_type,
        user_id=account.user_id,
        account_id=account.account_id,
        data={"account_id": account.account_id, **data},
        metadata=origin.metadata(),
    )
    with connection.cursor() as cursor:
        event_append(cursor, [row])
