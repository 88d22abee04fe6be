"""What sockets must know of each listed share, read now and then instead of for every frame."""

import time
from dataclasses import dataclass, field
from uuid import UUID

from channels.db import database_sync_to_async

from apps.instruments.selectors import InstrumentView, instrument_list

FRESH_S = 60.0
_TAPES = {"NYSE": "A", "NASDAQ": "C"}


@dataclass(slots=True)
class Directory:
    """Asset ids and tape letters by symbol, at most a minute old."""

    asset_ids: dict[str, UUID] = field(default_factory=dict)
    tapes: dict[str, str] = field(default_factory=dict)
    read_at: float = -FRESH_S

    async def refresh(self, symbol: str | None = None) -> None:
        """Read the listing again when it is old, or when it lacks ``symbol``."""
        known = symbol is None or symbol in self.asset_ids
        if known and time.monotonic() - self.read_at < FRESH_S:
            return
        self.take(await database_sync_to_async(instrument_list)())

    def take(self, listed: list[InstrumentView]) -> None:
        self.asset_ids = {view.symbol: view.public_id for view in listed}
        self.tapes = {view.symbol: _TAPES.get(view.exchange, "B") for view in listed}
        self.read_at = time.monotonic()


directory = Directory()
