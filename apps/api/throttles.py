"""How often one key may ask: a token bucket in Redis for orders and another for everything else."""

import logging
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

_BUCKET_LUA = """
local capacity, now_ms = tonumber(ARGV[1]), nil
local clock = redis.call('TIME')
now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, at = tonumber(state[1]) or capacity, tonumber(state[2]) or now_ms
level = math.min(capacity, level + math.max(0, now_ms - at) * capacity / 60000)
local allowed = 0
if level >= 1 then level, allowed = level - 1, 1 end
redis.call('HSET', KEYS[1], 'level', level, 'at', now_ms)
redis.call('PEXPIRE', KEYS[1], 120000)
return {allowed, math.floor(level), math.ceil((capacity - level) * 60 / capacity),
        math.ceil(math.max(0, 1 - level) * 60 / capacity)}
"""
"""A bucket of a minute's requests that refills evenly, on the server's clock."""


class KeyThrottle(BaseThrottle):
    """Counts a key's requests; with Redis down nobody is counted and nobody is refused."""

    def __init__(self) -> None:
        self.wait_s = 1

    def allow_request(self, request: Request, view: Any) -> bool:
        key_id = getattr(request.user, "key_id", None)
        if key_id is None:
            return True
        scope, limit = _bucket(request.method or "GET")
        try:
            redis = get_redis_connection("default")
            allowed, remaining, reset_after_s, self.wait_s = redis.eval(
                _BUCKET_LUA, 1, f"rate:{scope}:{key_id}", limit
            )
        except RedisError as error:
            logger.warning("requests are not counted: %s", error)
            return True
        rate_note(request, Rate(limit, remaining, reset_after_s))
        return bool(allowed)

    def wait(self) -> float:
        return max(self.wait_s, 1)


def _bucket(method: str) -> tuple[str, int]:
    if method in ORDER_METHODS:
        return "orders", getattr(settings, "API_ORDERS_PER_MINUTE", ORDERS_PER_MINUTE)
    return "reads", getattr(settings, "API_READS_PER_MINUTE", RATE_PER_MINUTE)
