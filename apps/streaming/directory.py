"""What sockets must know of each listed share, read now and then instead of for every frame."""

import asyncio
import time
from dataclasses import dataclass, field
from uuid import UUID

from channels.db import database_sync_to_async

from apps.instruments.selectors import InstrumentView, instrument_list
from apps.marketdata.venue import TAPE_OTHER, tape_of

FRESH_S = 60.0


@dataclass(slots=True)
class Directory:
    """Asset ids, tape letters and reasons of halts by symbol, at most a minute old."""

    asset_ids: dict[str, UUID] = field(default_factory=dict)
    tapes: dict[str, str] = field(default_factory=dict)
    halt_reasons: dict[str, str] = field(default_factory=dict)
    read_at: float = -FRESH_S
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def tape(self, symbol: str) -> str:
        """Return the letter of a symbol's tape."""
        return self.tapes.get(symbol, TAPE_OTHER)

    async def refresh(self, symbol: str | None = None) -> None:
        """Read the listing again when it is old, or when it lacks ``symbol``."""
        known = symbol is None or symbol in self.asset_ids
        if not known or time.monotonic() - self.read_at >= FRESH_S:
            await self.read()

    async def read(self) -> None:
        """Read the listing now; who asks while it is being read waits for one more reading, all together."""
        asked_at = time.monotonic()
        async with self._reading:
            if self.read_at < asked_at:
                began_at = time.monotonic()
                self.take(await database_sync_to_async(instrument_list)())
                self.read_at = began_at

    def take(self, listed: list[InstrumentView]) -> None:
        self.asset_ids = {view.symbol: view.public_id for view in listed}
        self.tapes = {view.symbol: tape_of(view.exchange) for view in listed}
        self.halt_reasons = {view.symbol: view.halt_reason for view in listed if view.halted}


directory = Directory()
