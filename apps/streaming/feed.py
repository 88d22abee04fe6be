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

logger = logging.getLogger(__name__)

CHANNEL_PREFIX, KEY_PREFIX = "md:", "md:last:"
TRADES_KEPT = 40
"""Trades of each symbol that a newly opened page is shown."""

SYMBOLS_MAX = 10_000
RETRY_S_FIRST, RETRY_S_MAX = 0.2, 5.0
EVERY_SYMBOL = "*"

Frame = dict[str, Any]


class Listener(Protocol):
    """Takes each frame of the symbols it listens to, at once and without waiting."""

    def frame_take(self, frame: Frame) -> None: ...


class Feed:
    """Reads the tape once for all sockets of the process; without Redis, sockets stay and prices stop."""

    def __init__(self) -> None:
        self.latest: dict[str, Frame] = {}
        self.trades: dict[str, deque[dict[str, Any]]] = defaultdict(lambda: deque(maxlen=TRADES_KEPT))
        self.received_at: float | None = None
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read, unless this process does already."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="tape")

    def listen(self, listener: Listener, symbols: Iterable[str]) -> None:
        """Let a listener take the frames of these symbols and of no others; ``*`` means every symbol."""
        self.forget(listener)
        for symbol in symbols:
            self._listeners[symbol].add(listener)

    def forget(self, listener: Listener) -> None:
        """Send a listener nothing more."""
        for symbol in [name for name, listening in self._listeners.items() if listener in listening]:
            self._listeners[symbol].discard(listener)
            if not self._listeners[symbol]:
                del self._listeners[symbol]

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
        if (known and frame["seq"] <= known["seq"]) or (not known and len(self.latest) >= SYMBOLS_MAX):
            return
        self.latest[symbol] = frame
        self.trades[symbol].extend(frame["trades"])
        self.received_at = time.monotonic()
        for listener in [*self._listeners.get(symbol, ()), *self._listeners.get(EVERY_SYMBOL, ())]:
            listener.frame_take(frame)

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
            await pubsub.psubscribe(f"{CHANNEL_PREFIX}*")
            await self._seed(redis)
            while True:
                message = await pubsub.get_message(timeout=5.0)
                if message is not None:
                    self.take(orjson.loads(message["data"]))
        finally:
            with contextlib.suppress(RedisError, OSError):
                await pubsub.aclose()
                await redis.aclose()

    async def _seed(self, redis: Redis) -> None:
        keys = [key async for key in redis.scan_iter(match=f"{KEY_PREFIX}*", count=500)][:SYMBOLS_MAX]
        for text in await redis.mget(keys) if keys else []:
            if text is not None:
                self._seed_frame(orjson.loads(text))

    def _seed_frame(self, frame: Frame) -> None:
        # It was published before we listened: it is shown, but it is no sign that the tape is moving.
        received_at = self.received_at
        self.take(frame)
        self.received_at = received_at


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, Feed] = WeakKeyDictionary()


def feed() -> Feed:
    """Return the running process's feed, reading."""
    loop = asyncio.get_running_loop()
    found = _feeds.get(loop)
    if found is None:
        found = _feeds[loop] = Feed()
    found.start()
    return found
