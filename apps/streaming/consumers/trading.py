"""The trade updates' socket: an account's order events for clients with an API key."""

import asyncio
from typing import Any

from channels.db import database_sync_to_async
from redis.exceptions import RedisError

from apps.access.selectors import KeyHolder, key_holder
from apps.streaming.account_stream import AccountStream
from apps.streaming.codecs import MESSAGE_BYTES_MAX, Codec, MessageUnreadable, codec_of
from apps.streaming.consumers.base import CLOSE_SLOW, KeySeat, LiveSocket, SlowClient
from apps.streaming.directory import directory
from apps.streaming.groups import account_group
from apps.streaming.updates import trade_update

AUTH_TIMEOUT_S = 30.0
CHECK_EVERY_S = 15.0
"""How often missed events are looked for, and whether the key still lives."""

CONNECTIONS_MAX = 20
STREAMS = ("trade_updates",)
CLOSE_POLICY = 1008
CREDENTIAL_LENGTH_MAX = 200


class TradingConsumer(LiveSocket):
    """``/stream``: says nothing before the client's ``authenticate``."""

    channel_layer_alias = "default"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.codec: Codec | None = None
        self.holder: KeyHolder | None = None
        self.pair = ("", "")
        self.seat: KeySeat | None = None
        self.stream: AccountStream | None = None
        self.streams: list[str] = []

    async def connect(self) -> None:
        self.codec = codec_of(self.scope)
        await self.accept()
        self.writer_start()
        self.task_start(self._auth_await())

    async def disconnect(self, code: int) -> None:
        if self.seat:
            self.seat.free()
        await super().disconnect(code)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message = text_data if text_data is not None else bytes_data or b""
        try:
            if self.codec is None or len(message) > MESSAGE_BYTES_MAX:
                raise MessageUnreadable("the message is too long")
            await self._act(self.codec.decode(message))
        except MessageUnreadable as error:
            self._say({"action": "error", "data": {"error_message": str(error)}})
        except SlowClient:
            await self.close(code=CLOSE_SLOW)

    async def account_events(self, message: dict[str, Any]) -> None:
        """Take in events of the account's group."""
        if self.stream:
            for event in message["events"]:
                self.stream.take(event)
            self.wake.set()

    async def sequenced_pull(self) -> list[str | bytes]:
        if self.stream is None or not self.streams:
            return []
        return [payload for event in await self.stream.pull() for payload in await self._update(event)]

    async def _update(self, event: dict[str, Any]) -> list[str | bytes]:
        assert self.codec is not None
        order = event["data"].get("order")
        if order is None:
            return []
        await directory.refresh(order["symbol"])
        update = trade_update(event, directory.asset_ids)
        return [] if update is None else [self.codec.encode({"stream": "trade_updates", "data": update})]

    async def _act(self, message: dict[str, Any]) -> None:
        action = message.get("action")
        if action in ("authenticate", "auth"):
            await self._authenticate(message)
        elif action == "listen":
            await self._listen(message)
        else:
            raise MessageUnreadable("action must be authenticate or listen")

    async def _authenticate(self, message: dict[str, Any]) -> None:
        pair = _pair_read(message)
        if self.holder is not None and pair != self.pair:
            raise MessageUnreadable("already authenticated with another key")
        self.pair = pair
        holder = await holder_find(*self.pair)
        if holder is None:
            self._verdict("unauthorized", "authenticate")
            await self._end()
            return
        if self.holder is None and not await self._join(holder):
            return
        self._verdict("authorized", "authenticate")

    async def _join(self, holder: KeyHolder) -> bool:
        self.seat = KeySeat.take(f"trading:{holder.key_id}", CONNECTIONS_MAX)
        if self.seat is None:
            self._say({"action": "error", "data": {"error_message": "connection limit exceeded"}})
            await self._end()
            return False
        try:
            await self.channel_layer.group_add(account_group(holder.account_id), self.channel_name)
        except (RedisError, OSError):
            await self.close(code=CLOSE_SLOW)
            return False
        self.groups = [account_group(holder.account_id)]
        self.holder = holder
        self.task_start(self._check())
        return True

    async def _listen(self, message: dict[str, Any]) -> None:
        if self.holder is None:
            self._verdict("unauthorized", "listen")
            return
        data = message.get("data")
        asked = data.get("streams") if isinstance(data, dict) else None
        if not isinstance(asked, list):
            raise MessageUnreadable("data.streams must be a list")
        self.streams = [name for name in STREAMS if name in asked]
        if self.stream is None and self.streams:
            self.stream = await AccountStream.begin(self.holder.account_id)
        self._say({"stream": "listening", "data": {"streams": self.streams}})

    def _verdict(self, status: str, action: str) -> None:
        self._say({"stream": "authorization", "data": {"status": status, "action": action}})

    def _say(self, frame: dict[str, Any]) -> None:
        assert self.codec is not None
        self.put(self.codec.encode(frame))

    async def _end(self) -> None:
        # The writer needs a moment for the reason before the socket closes.
        await asyncio.sleep(0.05)
        await self.close(code=CLOSE_POLICY)

    async def _auth_await(self) -> None:
        await asyncio.sleep(AUTH_TIMEOUT_S)
        if self.holder is None:
            await self.close(code=CLOSE_POLICY)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            if await holder_find(*self.pair) is None:
                await self.close(code=CLOSE_POLICY)
                return
            if self.stream:
                self.stream.verify()
                self.wake.set()


def _pair_read(message: dict[str, Any]) -> tuple[str, str]:
    data = message.get("data")
    given = data if isinstance(data, dict) else message
    return str(given.get("key_id") or given.get("key")), str(given.get("secret_key") or given.get("secret"))


async def holder_find(key_id: str, secret: str) -> KeyHolder | None:
    """Return the holder of a key pair as a socket's client sent it, or None."""
    text = key_id + secret
    if len(text) > 2 * CREDENTIAL_LENGTH_MAX or not text.isascii() or not text.isprintable():
        return None
    return await database_sync_to_async(key_holder)(key_id, secret)
