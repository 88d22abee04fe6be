"""The tape inside this process: one Redis subscription, the newest frame of each symbol, and who listens."""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import orjson
from django.conf import settings
from redis.asyncio import Redis
from redis.exceptions import RedisError

from apps.marketdata import live
from apps.streaming.bar_feed import BarFeed
from apps.streaming.directory import directory
from apps.streaming.listeners import EVERY_SYMBOL, Listeners
from apps.streaming.repairs import Repairs, TradesSeen

__all__ = ["EVERY_SYMBOL", "TRADES_KEPT", "Feed", "Frame", "Listener", "feed"]

logger = logging.getLogger(__name__)

CHANNEL_PREFIX, KEY_PREFIX = "md:", "md:last:"
TRADES_KEPT = 40
"""Trades of each symbol that a newly opened page is shown."""

SYMBOLS_MAX = 10_000
RETRY_S_FIRST, RETRY_S_MAX = 0.2, 5.0

Frame = dict[str, Any]


class Listener(Protocol):
    """Takes each frame of the symbols it listens to, at once and without waiting."""

    def frame_take(self, frame: Frame) -> None: ...


class Feed:
    """Reads the tape once for all sockets of the process; without Redis, sockets stay and prices stop.

    A frame that does not follow the one before carries ``gap``: its book is whole, and the trades that are
    missing are read from the store and told late. No trade is told twice.
    """

    def __init__(self) -> None:
        self.latest: dict[str, Frame] = {}
        self.trades: dict[str, deque[dict[str, Any]]] = defaultdict(lambda: deque(maxlen=TRADES_KEPT))
        self.received_at: float | None = None
        self.listeners: Listeners[Listener] = Listeners()
        self.bars = BarFeed(lambda: self.latest.keys() | directory.asset_ids.keys())
        self.repairs = Repairs(lambda symbol: bool(self.listeners.of(symbol)), self._repaired_take)
        self._seen: dict[str, TradesSeen] = defaultdict(TradesSeen)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read, unless this process does already."""
        if not self._tasks or any(task.done() for task in self._tasks):
            for task in self._tasks:
                task.cancel()
            work = {"tape": self._run(), "bars": self.bars.run(), "repairs": self.repairs.run()}
            self._tasks = [asyncio.create_task(one, name=name) for name, one in work.items()]

    def listen(self, listener: Listener, symbols: Iterable[str]) -> None:
        """Let a listener take the frames of these symbols and of no others; ``*`` means every symbol."""
        self.listeners.listen(listener, symbols)

    def forget(self, listener: Listener) -> None:
        """Send a listener nothing more."""
        self.listeners.forget(listener)

    def latest_of(self, symbols: Iterable[str]) -> list[Frame]:
        """Return the newest frames of these symbols; ``*`` means every symbol."""
        wanted = set(symbols)
        names = self.latest if EVERY_SYMBOL in wanted else wanted & self.latest.keys()
        return [self.latest[name] for name in names]

    def age_ms(self) -> int | None:
        """Return how long ago the newest frame arrived, or None when none has."""
        return None if self.received_at is None else int((time.monotonic() - self.received_at) * 1000)

    def take(self, frame: Frame) -> None:
        """Keep a frame and hand it to whoever listens; an older one than the newest is dropped."""
        symbol = frame["S"]
        known = self.latest.get(symbol)
        if (known and not _follows(known, frame)) or (not known and len(self.latest) >= SYMBOLS_MAX):
            return
        if known and (frame.get("seeded") or frame["seq"] > known["seq"] + 1):
            frame["gap"] = True
            self.repairs.ask(symbol, known["t"], frame["t"])
        self.latest[symbol] = frame
        frame["trades"] = self._seen[symbol].fresh(frame["trades"])
        self.trades[symbol].extend(frame["trades"])
        self.received_at = time.monotonic()
        self._tell(frame)

    def _tell(self, frame: Frame) -> None:
        for listener in self.listeners.of(frame["S"]):
            listener.frame_take(frame)

    def _repaired_take(self, symbol: str, trades: list[dict[str, Any]]) -> None:
        """Tell trades that were missed: beside the newest book, which is known already."""
        missed = self._seen[symbol].fresh(trades)
        if missed:
            logger.info("%s trades of %s were missing on the tape and are told late", len(missed), symbol)
            self._tell({**self.latest[symbol], "gap": False, "trades": missed})

    async def _run(self) -> None:
        wait_s = RETRY_S_FIRST
        while True:
            try:
                await self._read()
            except (RedisError, OSError) as error:
                logger.warning("the tape is interrupted: %s", error)
            except Exception:
                logger.exception("the tape could not be read")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_S_MAX) if self.age_ms() is None else RETRY_S_FIRST

    async def _read(self) -> None:
        redis = Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=2, socket_keepalive=True, health_check_interval=5
        )
        pubsub = redis.pubsub(ignore_subscribe_messages=True)
        try:
            # First listen, then read what was before: nothing can fall between the two.
            await pubsub.psubscribe(f"{CHANNEL_PREFIX}*", f"{live.CHANNEL_PREFIX}*")
            await self._seed(redis)
            while True:
                message = await pubsub.get_message(timeout=5.0)
                if message is not None:
                    self._message_take(message)
        finally:
            with contextlib.suppress(RedisError, OSError):
                await pubsub.aclose()
                await redis.aclose()

    def _message_take(self, message: dict[str, Any]) -> None:
        told = orjson.loads(message["data"])
        if message["channel"].startswith(live.CHANNEL_PREFIX.encode()):
            self.bars.take(told)
        else:
            self.take(told)

    async def _seed(self, redis: Redis) -> None:
        for frame in await _kept(redis, KEY_PREFIX):
            self._seed_frame(frame)
        for message in await _kept(redis, live.KEY_PREFIX):
            self.bars.seed(message)

    def _seed_frame(self, frame: Frame) -> None:
        # It was published before we listened: it is shown, but it is no sign that the tape is moving.
        received_at = self.received_at
        self.take({**frame, "seeded": True})
        self.received_at = received_at


def _follows(known: Frame, frame: Frame) -> bool:
    """Return whether a frame is news: a kept one lacks its trades, which its twin on the channel has."""
    if known.get("seeded") and not frame.get("seeded"):
        return bool(frame["seq"] >= known["seq"])
    return bool(frame["seq"] > known["seq"])


async def _kept(redis: Redis, prefix: str) -> list[dict[str, Any]]:
    """Return what Redis keeps under a prefix for those who come late."""
    keys = [key async for key in redis.scan_iter(match=f"{prefix}*", count=500)][:SYMBOLS_MAX]
    texts = await redis.mget(keys) if keys else []
    return [orjson.loads(text) for text in texts if text is not None]


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, Feed] = WeakKeyDictionary()


def feed() -> Feed:
    """Return the running process's feed, reading."""
    loop = asyncio.get_running_loop()
    found = _feeds.get(loop)
    if found is None:
        found = _feeds[loop] = Feed()
    found.start()
    return found
