"""What every socket does: send from one place, bounded, at its own pace, and give up on who does not read."""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

logger = logging.getLogger(__name__)

READY_MAX = 1_000
SEND_TIMEOUT_S = 10.0
CONFLATE_S = 0.1
CLOSE_SLOW = 1013
CLOSE_BROKEN = 1011

_open_by_key: Counter[str] = Counter()


class LiveSocket(AsyncWebsocketConsumer):
    """A socket with one writer: what must arrive is queued, what can be conflated is pulled when due."""

    channel_layer_alias: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wake = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended = False
        self._ready: deque[str | bytes] = deque()
        self._conflated_at = 0.0
        self._timer: asyncio.Handle | None = None

    def writer_start(self) -> None:
        """Begin to send what is queued."""
        self.task_start(self._write())

    def task_start(self, work: Any) -> None:
        """Run work beside the socket until it closes; when it fails, the socket closes."""
        task = asyncio.create_task(self._guarded(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def put(self, payload: str | bytes) -> None:
        """Queue a frame that must arrive; a client that lets them pile up is dropped."""
        self._ready.append(payload)
        if len(self._ready) > READY_MAX:
            self._ready.clear()
            raise SlowClient
        self.wake.set()

    async def sequenced_pull(self) -> list[str | bytes]:
        """Return frames that are told at once and in order, such as trades and an account's events."""
        return []

    def conflated_pull(self) -> list[str | bytes]:
        """Return the newest state of what moved since the pull before, at most ten times a second."""
        return []

    async def disconnect(self, code: int) -> None:
        self.ended = True
        if self._timer:
            self._timer.cancel()
        for task in list(self.tasks):
            task.cancel()

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except (SlowClient, TimeoutError):
            logger.info("a socket is dropped: its client does not read")
            await self._drop(CLOSE_SLOW)
        except OSError:
            logger.info("a socket has ended: its client is gone")
            await self._drop(CLOSE_BROKEN)
        except Exception as error:
            if not self.ended:
                logger.warning("a socket is closed: %r", error)
                await self._drop(CLOSE_BROKEN)

    async def _drop(self, code: int) -> None:
        await self.slow_tell()
        self.ended = True
        # The client may be gone already, and then there is nothing to close.
        with contextlib.suppress(Exception):
            await self.close(code=code)

    async def slow_tell(self) -> None:
        """Say why a slow client is dropped, where the protocol has words for it."""

    async def _write(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            self._ready.extend(await self.sequenced_pull())
            self._conflated_add()
            async with asyncio.timeout(SEND_TIMEOUT_S):
                while self._ready:
                    await self._payload_send(self._ready.popleft())

    def _conflated_add(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s = self._conflated_at + CONFLATE_S - loop.time()
        if wait_s <= 0:
            frames = self.conflated_pull()
            if frames:
                self._ready.extend(frames)
                self._conflated_at = loop.time()
        elif self._timer is None:
            self._timer = loop.call_later(wait_s, self._conflation_due)

    def _conflation_due(self) -> None:
        self._timer = None
        self.wake.set()

    async def _payload_send(self, payload: str | bytes) -> None:
        if isinstance(payload, str):
            await self.send(text_data=payload)
        else:
            await self.send(bytes_data=payload)


class SlowClient(Exception):
    """A client does not read what it asked for."""


class KeySeat:
    """One of the connections that a key may have open in this process."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def take(cls, name: str, most: int) -> "KeySeat | None":
        """Return a seat, or None when all are taken."""
        if _open_by_key[name] >= most:
            return None
        _open_by_key[name] += 1
        return cls(name)

    def free(self) -> None:
        _open_by_key[self.name] -= 1
        if not _open_by_key[self.name]:
            del _open_by_key[self.name]
