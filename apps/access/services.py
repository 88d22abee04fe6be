"""Acts on API keys: issue and revoke."""

import secrets
import string

from django.db import connection, transaction

from apps.access.keys import secret_hash
from apps.access.models import ApiKey
from apps.access.selectors import key_holder_forget
from apps.accounts.selectors import AccountView, account_get
from apps.events.facts import EventRow, Origin
from apps.events.services import event_append
from apps.events.types import EventType
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import NotFound

_KEY_ALPHABET = string.ascii_uppercase + string.digits


@transaction.atomic
def api_key_issue(*, account_id: int, label: str = "", origin: Origin) -> tuple[str, str]:
    """Create a key pair and return ``(key_id, secret)``; the secret cannot be read again."""
    account = account_get(account_id)
    key_id = "OB" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(18))
    secret = secrets.token_urlsafe(30)
    ApiKey.objects.create(key_id=key_id, secret_hash=secret_hash(secret), account_id=account_id, label=label)
    _key_event(EventType.API_KEY_ISSUED, key_id, account, {"label": label}, origin)
    return key_id, secret


@transaction.atomic
def api_key_revoke(*, key_id: str, origin: Origin, reason: str = "") -> None:
    """Make a key useless: here from now on, in other processes within ``HOLDER_LIFE_S``.

    Staff give a reason. Raises ``NotFound`` when it is unknown or already revoked.
    """
    key = ApiKey.objects.select_for_update().filter(pk=key_id, revoked_at=None).first()
    if key is None:
        raise NotFound("unknown_key", f"There is no live key {key_id}.")
    key.revoked_at = utc_now()
    key.save(update_fields=["revoked_at"])
    transaction.on_commit(lambda: key_holder_forget(key_id))
    account = account_get(key.account_id)
    _key_event(EventType.API_KEY_REVOKED, key_id, account, {"reason": reason}, origin)


def _key_event(
    event_type: EventType, key_id: str, account: AccountView, more: dict[str, str], origin: Origin
) -> None:
    row = EventRow(
        event_type=event_type,
        user_id=account.user_id,
        account_id=account.account_id,
        data={"key_id": key_id, "account_id": account.account_id, **more, "at": iso(utc_now())},
        metadata=origin.metadata(),
    )
    with connection.cursor() as cursor:
        event_append(cursor, [row])
