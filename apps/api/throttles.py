"""How often one key may ask: a token bucket in Redis for orders and another for everything else."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.api.headers import RATE_PER_MINUTE, Rate, rate_note

logger = logging.getLogger(__name__)

ORDERS_PER_MINUTE = 3_000
ORDER_METHODS = ("POST", "PATCH", "DELETE")

LEASE_S = 1.0
"""How long a process may spend what it took from a bucket; what is left then is lost to the key."""

LEASES_PER_MINUTE = 600
"""A lease is what the bucket regains in a tenth of a second: one question to Redis for a few requests."""

LEASES_MAX = 4_096

_BUCKET_LUA = """
local capacity, wanted, now_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), nil
local clock = redis.call('TIME')
now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, at = tonumber(state[1]) or capacity, tonumber(state[2]) or now_ms
level = math.min(capacity, level + math.max(0, now_ms - at) * capacity / 60000)
local taken = math.min(wanted, math.floor(level))
level = level - taken
redis.call('HSET', KEYS[1], 'level', level, 'at', now_ms)
redis.call('PEXPIRE', KEYS[1], 120000)
return {taken, math.floor(level), math.ceil((capacity - level) * 60 / capacity),
        math.ceil(math.max(0, 1 - level) * 60 / capacity)}
"""
"""A bucket of a minute's requests that refills evenly, on the server's clock; takes as many as there are."""


@dataclass(slots=True)
class Lease:
    """What this process may still spend of a key's bucket, until when, and how the bucket stood."""

    left: int
    until: float
    remaining: int
    reset_after_s: int
    wait_s: int


_leases: dict[tuple[str, str], Lease] = {}
_spending = threading.Lock()


class KeyThrottle(BaseThrottle):
    """Counts a key's requests; with Redis down nobody is counted and nobody is refused.

    A process takes a few at a time: a key never gets more than its limit, and a busy one asks Redis seldom.
    """

    def __init__(self) -> None:
        self.wait_s = 1

    def allow_request(self, request: Request, view: Any) -> bool:
        key_id = getattr(request.user, "key_id", None)
        if key_id is None:
            return True
        scope, limit = _bucket(request.method or "GET")
        try:
            allowed, lease = _spend(scope, key_id, limit)
        except RedisError as error:
            logger.warning("requests are not counted: %s", error)
            return True
        self.wait_s = lease.wait_s
        rate_note(request, Rate(limit, lease.remaining + lease.left, lease.reset_after_s))
        return allowed

    def wait(self) -> float:
        return max(self.wait_s, 1)


def _spend(scope: str, key_id: str, limit: int) -> tuple[bool, Lease]:
    """Spend one request of a key's lease, or of a new one; False when the bucket is empty."""
    lease = _leases.get((scope, key_id))
    with _spending:
        if lease and lease.left > 0 and time.monotonic() < lease.until:
            lease.left -= 1
            return True, lease
    wanted = max(1, limit // LEASES_PER_MINUTE)
    redis = get_redis_connection("default")
    taken, *told = redis.eval(_BUCKET_LUA, 1, f"rate:{scope}:{key_id}", limit, wanted)
    if len(_leases) >= LEASES_MAX:
        _leases.clear()
    lease = _leases[scope, key_id] = Lease(max(taken - 1, 0), time.monotonic() + LEASE_S, *told)
    return taken > 0, lease


def _bucket(method: str) -> tuple[str, int]:
    if method in ORDER_METHODS:
        return "orders", getattr(settings, "API_ORDERS_PER_MINUTE", ORDERS_PER_MINUTE)
    return "reads", getattr(settings, "API_READS_PER_MINUTE", RATE_PER_MINUTE)
