"""The terminal's socket: quotes, depth, trades and candles of what it shows, and the account's own events."""

import asyncio
from collections import deque
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError
from redis.exceptions import RedisError

from apps.accounts.selectors import account_for_user
from apps.marketdata.candles import Bar
from apps.marketdata.selectors import tick_list
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import NotFound
from apps.primitives.ids import Kind, public_id
from apps.streaming.account_stream import AccountStream
from apps.streaming.bar_feed import Unit
from apps.streaming.bars import Channel
from apps.streaming.codecs import MESSAGE_BYTES_MAX, MessageUnreadable, json_message
from apps.streaming.consumers.base import CLOSE_SLOW, LiveSocket, SlowClient
from apps.streaming.depth import DepthMemory
from apps.streaming.feed import TRADES_KEPT, Feed, Frame, feed
from apps.streaming.frames import (
    AccountFrame,
    BookStatus,
    Heartbeat,
    Hello,
    Problem,
    Quotes,
    Trade,
    Trades,
    bars_of,
    book_status_of,
    depth_of,
    quote_of,
    trade_of,
)
from apps.streaming.groups import account_group
from apps.streaming.listeners import symbol_is_possible

SYMBOLS_MAX = 200
SEQ_DIGITS_MAX = 19
TRADES_WAITING_MAX = 1_000
CANDLES_WAITING_MAX = 200
"""A page that is told so many candles at once has more in its chart's next reading."""

HEARTBEAT_S = 1.0
VERIFY_EVERY_BEATS = 15
"""How often the account's record is asked for missed events, in heartbeats."""

SESSION_EVERY_BEATS = 30
CLOSE_SIGNED_OUT, CLOSE_NOT_ALLOWED = 4401, 4403


class TerminalConsumer(LiveSocket):
    """``/ws/terminal``, for a signed-in trader's browser.

    With ``?after=<seq>``, the last ``account_seq`` it has seen, a client that comes back gets exactly what it
    missed: ``hello`` repeats that position, and the events follow. A ``hello`` with another position says
    that they are too many or too old, and that the client must read the state.
    """

    channel_layer_alias = "default"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.feed: Feed | None = None
        self.stream: AccountStream | None = None
        self.depth_symbol: str | None = None
        self._quotes: dict[str, Frame] = {}
        self._depth = DepthMemory()
        self._shown: Frame | None = None
        self._status: BookStatus | None = None
        self._trades: deque[Trade] = deque()
        self._candles: dict[tuple[Unit, datetime], Bar] = {}

    async def connect(self) -> None:
        # A close code can be told only to an accepted socket.
        await self.accept()
        if not origin_is_ours(self.scope):
            await self.close(code=CLOSE_NOT_ALLOWED)
            return
        user = self.scope.get("user")
        if user is None or not user.is_authenticated or not user.is_active:
            await self.close(code=CLOSE_SIGNED_OUT)
            return
        try:
            account = await database_sync_to_async(account_for_user)(user.pk)
        except NotFound:
            await self.close(code=CLOSE_NOT_ALLOWED)
            return
        await self._open(account.account_id)

    async def _open(self, account_id: int) -> None:
        try:
            await self.channel_layer.group_add(account_group(account_id), self.channel_name)
        except (RedisError, OSError):
            await self.close(code=CLOSE_SLOW)
            return
        self.groups = [account_group(account_id)]
        self.feed = feed()
        self.stream = await AccountStream.begin(account_id, _resumed_after(self.scope))
        hello = Hello(type="hello", account_seq=self.stream.seq, server_time=iso(utc_now()))
        self.put(orjson.dumps(hello).decode())
        self.writer_start()
        self.task_start(self._beat())

    async def disconnect(self, code: int) -> None:
        if self.feed:
            self.feed.forget(self)
            self.feed.bars.listeners.forget(self)
        await super().disconnect(code)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.feed is None:
            return
        message = text_data if text_data is not None else bytes_data or b""
        try:
            if len(message) > MESSAGE_BYTES_MAX:
                raise MessageUnreadable("the message is too long")
            await self._act(json_message(message))
        except MessageUnreadable as error:
            self._answer(Problem(type="error", message=str(error)))

    async def account_events(self, message: dict[str, Any]) -> None:
        """Take in events of the account's group."""
        if self.stream:
            for event in message["events"]:
                self.stream.take(event)
            self.wake.set()

    def frame_take(self, frame: Frame) -> None:
        symbol = frame["S"]
        self._quotes[symbol] = frame
        if symbol == self.depth_symbol:
            self._shown = frame
            self._depth.take(frame)
            self._trades.extend(trade_of(trade) for trade in frame["trades"])
            while len(self._trades) > TRADES_WAITING_MAX:
                self._trades.popleft()
        self.wake.set()

    def candle_take(self, symbol: str, unit: Unit, bar: Bar) -> None:
        if symbol == self.depth_symbol:
            self._candles[unit, bar.time] = bar
            while len(self._candles) > CANDLES_WAITING_MAX:
                del self._candles[next(iter(self._candles))]
            self.wake.set()

    def bar_take(self, channel: Channel, symbol: str, bar: Bar) -> None:
        """Take no notice of what is due on the published channels: a page is told candles as they grow."""

    async def sequenced_pull(self) -> list[str | bytes]:
        assert self.stream is not None
        frames: list[str | bytes] = [_account_frame(event) for event in await self.stream.pull()]
        if self._trades and self.depth_symbol:
            told = Trades(type="trades", symbol=self.depth_symbol, trades=list(self._trades))
            frames.append(orjson.dumps(told).decode())
            self._trades.clear()
        return frames

    def conflated_pull(self) -> list[str | bytes]:
        frames: list[Any] = []
        if self._quotes:
            frames.append(Quotes(type="quotes", quotes=[quote_of(frame) for frame in self._quotes.values()]))
            self._quotes.clear()
        frames.extend(depth_of(change) for change in self._depth.pull())
        if self._shown:
            status = book_status_of(self._shown)
            if status != self._status:
                frames.append(status)
            self._shown, self._status = None, status
        if self._candles and self.depth_symbol:
            candles = [(unit, bar) for (unit, _), bar in self._candles.items()]
            frames.append(bars_of(self.depth_symbol, candles))
            self._candles.clear()
        return [orjson.dumps(frame).decode() for frame in frames]

    async def _act(self, message: dict[str, Any]) -> None:
        action = message.get("action")
        if action == "subscribe":
            await self._subscribe(message)
        elif action == "resync":
            self._resync()
        else:
            raise MessageUnreadable("action must be subscribe or resync")

    def _resync(self) -> None:
        """Tell the whole book next, to a page whose copy does not fit."""
        assert self.feed is not None
        if self.depth_symbol:
            self._depth.begin(self.depth_symbol, self.feed.latest.get(self.depth_symbol))
            self.wake.set()

    async def _subscribe(self, message: dict[str, Any]) -> None:
        symbols, depth = message.get("symbols", []), message.get("depth")
        if (
            not isinstance(symbols, list)
            or len(symbols) > SYMBOLS_MAX
            or not all(map(symbol_is_possible, symbols))
        ):
            raise MessageUnreadable(f"symbols must be a list of at most {SYMBOLS_MAX} symbols")
        if depth is not None and not symbol_is_possible(depth):
            raise MessageUnreadable("depth must be one symbol")
        assert self.feed is not None
        history = await _history(depth) if depth else []
        shown = {*symbols, *([depth] if depth else [])}
        # From here on nothing waits: no frame of the former subscription can be told as one of this.
        self.depth_symbol = depth
        self.feed.listen(self, shown)
        self.feed.bars.listeners.listen(self, [depth] if depth else [])
        self._snapshot(shown, history)

    def _snapshot(self, symbols: set[str], history: list[Trade]) -> None:
        """Show at once what is known, before anything moves."""
        assert self.feed is not None
        self._quotes.clear()
        self._trades.clear()
        self._depth = DepthMemory()
        self._shown = self._status = None
        self._quotes = {name: self.feed.latest[name] for name in symbols if name in self.feed.latest}
        self._candles.clear()
        if self.depth_symbol in self.feed.latest:
            self._shown = self.feed.latest[self.depth_symbol]
            self._depth.begin(self.depth_symbol, self._shown)
        if self.depth_symbol:
            newest = self.feed.bars.newest(self.depth_symbol)
            self._candles = {(unit, bar.time): bar for unit, bar in newest}
            recent = [trade_of(trade) for trade in self.feed.trades.get(self.depth_symbol, ())]
            known = {trade["id"] for trade in recent}
            # Ticks are stored a moment after they are told, so what was told comes last.
            self._trades.extend(trade for trade in history if trade["id"] not in known)
            self._trades.extend(recent)
        self.wake.set()

    def _answer(self, frame: Any) -> None:
        try:
            self.put(orjson.dumps(frame).decode())
        except SlowClient:
            self.task_start(self.close(code=CLOSE_SLOW))

    async def _beat(self) -> None:
        assert self.feed is not None and self.stream is not None
        seq = 0
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            seq += 1
            if seq % VERIFY_EVERY_BEATS == 0:
                self.stream.verify()
            if seq % SESSION_EVERY_BEATS == 0 and not await _session_lives(self.scope["session"]):
                await self.close(code=CLOSE_SIGNED_OUT)
                return
            beat = Heartbeat(
                type="heartbeat", seq=seq, server_time=iso(utc_now()), feed_age_ms=self.feed.age_ms()
            )
            self.put(orjson.dumps(beat).decode())


def _resumed_after(scope: dict[str, Any]) -> int | None:
    """Return the position that a client asks to go on from, ``?after=…``; None for none that can be one."""
    given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("after", [""])[0]
    return int(given) if given.isascii() and given.isdigit() and len(given) < SEQ_DIGITS_MAX else None


def _account_frame(event: dict[str, Any]) -> str:
    data = event["data"]
    if "order" in data:
        # The page finds the order's row by either id without knowing how facts are nested.
        order_id = int(data["order"]["order_id"])
        ids = {"order_id": str(order_id), "public_id": str(public_id(Kind.ORDER, order_id))}
        event = {**event, "data": {**data, **ids}}
    return orjson.dumps(AccountFrame(type="account", seq=event["account_seq"], event=event)).decode()


@database_sync_to_async
def _history(symbol: str) -> list[Trade]:
    try:
        ticks = tick_list(symbol, TRADES_KEPT)
    except DatabaseError:
        return []
    return [
        Trade(
            id=str(tick.trade_id),
            price=format(tick.price, "f"),
            size=tick.quantity,
            side=tick.side,
            t=iso(tick.time),
        )
        for tick in reversed(ticks)
    ]


@database_sync_to_async
def _session_lives(session: Any) -> bool:
    return session.session_key is not None and session.exists(session.session_key)


def origin_is_ours(scope: dict[str, Any]) -> bool:
    """Refuse pages of other sites, which would come with our cookie; what is no browser sends no origin."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return True
    host = headers.get(b"host", b"").decode("latin-1")
    return urlsplit(origin).netloc == host or origin in settings.CSRF_TRUSTED_ORIGINS
