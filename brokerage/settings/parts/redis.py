"""Valkey or Redis: cache, sessions, the channel layer and the wake-ups. Nothing that must not be lost."""

from typing import Any

from brokerage.env import Environment


def redis_settings(env: Environment) -> dict[str, Any]:
    """Return cache, session and channel-layer settings on one server."""
    return {
        "REDIS_URL": env.redis_url,
        "CACHES": {
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": env.redis_url,
                "KEY_PREFIX": "openbell",
                "OPTIONS": {
                    "SOCKET_CONNECT_TIMEOUT": 1,
                    "SOCKET_TIMEOUT": 1,
                    "IGNORE_EXCEPTIONS": True,
                },
            },
        },
        "DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS": True,
        "SESSION_ENGINE": "django.contrib.sessions.backends.cached_db",
        "CHANNEL_LAYERS": {
            "default": {
                "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
                "CONFIG": {"hosts": [env.redis_url], "prefix": "openbell"},
            },
        },
    }
