"""Reads of API keys: who is it that presents this pair?"""

import hmac
from dataclasses import dataclass

from apps.access.keys import secret_hash
from apps.access.models import ApiKey


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The account and user behind a valid key pair."""

    key_id: str
    account_id: int
    user_id: int


def key_holder(key_id: str, secret: str) -> KeyHolder | None:
    """Return the holder of a valid pair, or None; compares in constant time."""
    key = ApiKey.objects.select_related("account__user").filter(pk=key_id, revoked_at=None).first()
    stored = key.secret_hash if key else secret_hash("")
    matches = hmac.compare_digest(stored, secret_hash(secret))
    if key is None or not matches or not key.account.user.is_active:
        return None
    return KeyHolder(key_id=key.key_id, account_id=key.account_id, user_id=key.account.user_id)
