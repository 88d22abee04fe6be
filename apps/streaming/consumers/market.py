"""The market-data socket: trades, quotes, bars, depth, halts, bands and auctions for clients with a key."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from apps.access.selectors import KeyHolder
from apps.marketdata.candles import Bar
from apps.streaming.bar_feed import Unit
from apps.streaming.bars import Channel, bar_message
from apps.streaming.codecs import MESSAGE_BYTES_MAX, Codec, MessageUnreadable, codec_of
from apps.streaming.consumers.base import KeySeat, LiveSocket, SlowClient
from apps.streaming.consumers.trading import CHECK_EVERY_S, CLOSE_POLICY, CONNECTIONS_MAX, holder_find
from apps.streaming.depth import DepthMemory
from apps.streaming.directory import directory
from apps.streaming.feed import EVERY_SYMBOL, Feed, Frame, feed
from apps.streaming.market import (
    DEPTH_CHANNEL,
    Subscription,
    SubscriptionInvalid,
    SubscriptionTooLarge,
    depth_message,
    quote_key,
    quote_message,
    trade_messages,
)
from apps.streaming.statuses import (
    StatusMemory,
    imbalance_message,
    luld_message,
    status_message,
)

AUTH_TIMEOUT_S = 10.0
MESSAGES_WAITING_MAX = 20_000
ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    500: "internal error",
}


class MarketConsumer(LiveSocket):
    """``/v2/iex`` and its aliases: every frame is a list, control frames have one element."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.codec: Codec | None = None
        self.holder: KeyHolder | None = None
        self.pair = ("", "")
        self.seat: KeySeat | None = None
        self.feed: Feed | None = None
        self.subscription = Subscription()
        self._events: list[dict[str, Any]] = []
        self._quotes: dict[str, Frame] = {}
        self._told: dict[str, tuple[Any, ...]] = {}
        self._statuses = StatusMemory()
        self._depth = DepthMemory()

    async def connect(self) -> None:
        self.codec = codec_of(self.scope)
        await self.accept()
        self._say({"T": "success", "msg": "connected"})
        self.writer_start()
        self.task_start(self._auth_await())

    async def disconnect(self, code: int) -> None:
        if self.feed:
            self.feed.forget(self)
            self.feed.bars.listeners.forget(self)
        if self.seat:
            self.seat.free()
        await super().disconnect(code)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message = text_data if text_data is not None else bytes_data or b""
        try:
            if self.codec is None or len(message) > MESSAGE_BYTES_MAX:
                raise MessageUnreadable("the message is too long")
            await self._act(self.codec.decode(message))
        except (MessageUnreadable, SubscriptionInvalid):
            self._error(400)
        except SubscriptionTooLarge:
            self._error(405)
        except SlowClient:
            await self.close(code=CLOSE_POLICY)

    def frame_take(self, frame: Frame) -> None:
        symbol = frame["S"]
        self._events_add(self._events_of(frame, directory.tape(symbol)))
        if self.subscription.wants(DEPTH_CHANNEL, symbol):
            self._depth.take(frame)
        if self.subscription.wants("quotes", symbol) and self._told.get(symbol) != quote_key(frame):
            self._told[symbol] = quote_key(frame)
            self._quotes[symbol] = frame
        self.wake.set()

    def candle_take(self, symbol: str, unit: Unit, bar: Bar) -> None:
        """Take no notice of candles as they grow: published clients are told when it is time."""

    def bar_take(self, channel: Channel, symbol: str, bar: Bar) -> None:
        if self.subscription.wants(channel, symbol):
            self._events_add([bar_message(channel, symbol, bar)])
            self.wake.set()

    def _events_add(self, messages: Iterable[dict[str, Any]]) -> None:
        self._events.extend(messages)
        if len(self._events) > MESSAGES_WAITING_MAX:
            self._events.clear()
            self.task_start(self._slow())

    def _events_of(self, frame: Frame, tape: str) -> Iterator[dict[str, Any]]:
        """Yield what is told of every frame, where of quotes only the newest is."""
        symbol, wants = frame["S"], self.subscription.wants
        if self._statuses.phase_is_news(frame) and wants("statuses", symbol):
            self.task_start(self._status_tell(frame, tape))
        if self._statuses.bands_are_news(frame) and wants("lulds", symbol):
            yield luld_message(frame, tape)
        if self._statuses.auction_is_news(frame) and wants("imbalances", symbol):
            yield imbalance_message(frame, tape)
        if frame["trades"] and wants("trades", symbol):
            yield from trade_messages(frame, tape)

    async def _status_tell(self, frame: Frame, tape: str) -> None:
        # Why a share is halted is not on the tape, and the directory may have been read before the halt.
        await directory.read()
        message = status_message(frame, tape, directory.halt_reasons.get(frame["S"], ""))
        if message is not None:
            self._events.append(message)
            self.wake.set()

    async def sequenced_pull(self) -> list[str | bytes]:
        assert self.codec is not None
        messages, self._events = self._events, []
        return [self.codec.encode(messages)] if messages else []

    def conflated_pull(self) -> list[str | bytes]:
        assert self.codec is not None
        quotes = [quote_message(frame, directory.tape(symbol)) for symbol, frame in self._quotes.items()]
        depth = [depth_message(change) for change in self._depth.pull()]
        messages = [*quotes, *depth]
        self._quotes.clear()
        return [self.codec.encode(messages)] if messages else []

    async def slow_tell(self) -> None:
        self._ready.clear()

    async def _act(self, message: dict[str, Any]) -> None:
        action = message.get("action")
        if action == "auth":
            await self._authenticate(message)
        elif action in ("subscribe", "unsubscribe"):
            await self._subscribe(message, adding=action == "subscribe")
        else:
            raise MessageUnreadable("action must be auth, subscribe or unsubscribe")

    async def _authenticate(self, message: dict[str, Any]) -> None:
        if self.holder is not None:
            self._error(403)
            return
        self.pair = (str(message.get("key")), str(message.get("secret")))
        holder = await holder_find(*self.pair)
        if holder is None:
            await self._refuse(402)
            return
        self.seat = KeySeat.take(f"market:{holder.key_id}", CONNECTIONS_MAX)
        if self.seat is None:
            await self._refuse(406)
            return
        await directory.refresh()
        self.holder, self.feed = holder, feed()
        self.task_start(self._check())
        self._say({"T": "success", "msg": "authenticated"})

    async def _subscribe(self, message: dict[str, Any], *, adding: bool) -> None:
        if self.holder is None or self.feed is None:
            self._error(401)
            return
        self.subscription.change(message, adding=adding)
        self.feed.listen(self, self.subscription.symbols())
        self.feed.bars.listeners.listen(self, self.subscription.bar_symbols())
        for frame in self.feed.latest_of(self.subscription.symbols()):
            self._statuses.begin(frame)
        self._say(self.subscription.message())
        self._depth_begin(message)

    def _depth_begin(self, message: dict[str, Any]) -> None:
        """Tell the whole book of every symbol just asked for, once more of those that were followed."""
        assert self.feed is not None
        asked = {str(symbol).upper() for symbol in message.get(DEPTH_CHANNEL) or ()}
        known = {frame["S"]: frame for frame in self.feed.latest_of(asked)}
        for symbol in (asked | known.keys()) - {EVERY_SYMBOL}:
            if self.subscription.wants(DEPTH_CHANNEL, symbol):
                self._depth.begin(symbol, known.get(symbol))
            else:
                self._depth.forget(symbol)
        self.wake.set()

    def _say(self, message: dict[str, Any]) -> None:
        assert self.codec is not None
        self.put(self.codec.encode([message]))

    def _error(self, code: int) -> None:
        self._say({"T": "error", "code": code, "msg": ERRORS[code]})

    async def _refuse(self, code: int) -> None:
        self._error(code)
        # The writer needs a moment for the reason before the socket closes.
        await asyncio.sleep(0.05)
        await self.close(code=CLOSE_POLICY)

    async def _slow(self) -> None:
        await self._refuse(407)

    async def _auth_await(self) -> None:
        await asyncio.sleep(AUTH_TIMEOUT_S)
        if self.holder is None:
            await self._refuse(404)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            await directory.refresh()
            if await holder_find(*self.pair) is None:
                await self._refuse(402)
                return
