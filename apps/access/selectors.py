"""Reads of API keys: who is it that presents this pair?"""

import hmac
from dataclasses import dataclass

from django.db import connection

from apps.access.keys import secret_hash


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The account and user behind a valid key pair."""

    key_id: str
    account_id: int
    user_id: int


_HOLDER_SQL = """
SELECT k.secret_hash, a.account_id, a.user_id
FROM api_keys k JOIN accounts a USING (account_id) JOIN users u ON u.id = a.user_id
WHERE k.key_id = %s AND k.revoked_at IS NULL AND u.is_active
"""
"""By hand, because every request of the API pays for it."""


def key_holder(key_id: str, secret: str) -> KeyHolder | None:
    """Return the holder of a valid pair, or None; compares in constant time."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLDER_SQL, [key_id])
        row = cursor.fetchone()
    stored = row[0] if row else secret_hash("")
    matches = hmac.compare_digest(stored, secret_hash(secret))
    if row is None or not matches:
        return None
    return KeyHolder(key_id=key_id, account_id=row[1], user_id=row[2])
