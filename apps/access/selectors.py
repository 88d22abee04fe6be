"""Reads of API keys: who is it that presents this pair?"""

import hmac
import time
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
"""By hand, because every request of the API may pay for it."""


HOLDER_LIFE_S = 1.0
"""How long a pair once found valid is believed, and so how long a revoked key can still be used elsewhere."""

HOLDERS_MAX = 4_096

_UNKNOWN: tuple[float, KeyHolder | None] = (0.0, None)
_holders: dict[tuple[str, str], tuple[float, KeyHolder]] = {}
"""Valid pairs by key id and hash of the secret, each with the moment until which it is believed."""


def key_holder(key_id: str, secret: str) -> KeyHolder | None:
    """Return the holder of a valid pair, or None; compares in constant time.

    A valid pair is believed for ``HOLDER_LIFE_S``; nothing is remembered of one that is not.
    """
    digest = secret_hash(secret)
    until, holder = _holders.get((key_id, digest), _UNKNOWN)
    if holder is not None and time.monotonic() < until:
        return holder
    holder = _holder_read(key_id, digest)
    if holder is None:
        _holders.pop((key_id, digest), None)
        return None
    if len(_holders) >= HOLDERS_MAX:
        _holders.clear()
    _holders[key_id, digest] = (time.monotonic() + HOLDER_LIFE_S, holder)
    return holder


def key_holder_forget(key_id: str) -> None:
    """Believe nothing about a key any more, in this process."""
    for pair in list(_holders):
        if pair[0] == key_id:
            _holders.pop(pair, None)


def _holder_read(key_id: str, digest: str) -> KeyHolder | None:
    with connection.cursor() as cursor:
        cursor.execute(_HOLDER_SQL, [key_id])
        row = cursor.fetchone()
    stored = row[0] if row else secret_hash("")
    matches = hmac.compare_digest(stored, digest)
    if row is None or not matches:
        return None
    return KeyHolder(key_id=key_id, account_id=row[1], user_id=row[2])
