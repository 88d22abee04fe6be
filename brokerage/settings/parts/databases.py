"""PostgreSQL: the system of record, the same as its owner, the runner's session, and market data."""

from typing import Any
from urllib.parse import unquote, urlsplit

from brokerage.env import Environment


def database_from_url(url: str) -> dict[str, Any]:
    """Turn ``postgresql://user:password@host:port/name?option=…`` into Django's form."""
    parts = urlsplit(url)
    options = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "ENGINE": "brokerage.postgres",
        "HOST": unquote(parts.hostname or ""),
        "PORT": parts.port or 5432,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "NAME": unquote(parts.path.lstrip("/")),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"application_name": "openbell", **options},
    }


def database_settings(env: Environment) -> dict[str, Any]:
    """Return the aliases: ``default``, ``marketdata``, and both again as their owners, for upkeep."""
    default = database_from_url(env.database_url)
    owner = database_from_url(env.database_owner_url)
    owner["TEST"] = {"MIRROR": "default"}
    marketdata_owner = database_from_url(env.marketdata_owner_url)
    marketdata_owner["TEST"] = {"MIRROR": "marketdata"}
    return {
        "DATABASES": {
            "default": default,
            "owner": owner,
            "marketdata": database_from_url(env.marketdata_url),
            "marketdata_owner": marketdata_owner,
        },
        "DATABASE_ROUTERS": ["brokerage.routers.MarketDataRouter"],
        "MATCHING_DATABASE_URL": env.database_runner_url,
        "MARKETDATA_BACKEND": env.marketdata_backend,
    }
