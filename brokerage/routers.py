"""Which database a model lives in: market data has its own, all else is the system of record."""

from typing import Any

MARKET_DATA_APP = "marketdata"


class MarketDataRouter:
    """Send ``apps.marketdata`` to its database and keep everything else out of it."""

    def _alias(self, model: Any) -> str | None:
        return "marketdata" if model._meta.app_label == MARKET_DATA_APP else None

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return self._alias(model)

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return self._alias(model)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (app_label == MARKET_DATA_APP) == db.startswith("marketdata")
