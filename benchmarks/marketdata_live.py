"""How soon a client sees a trade and the candle it changed, on a whole platform with its demo market.

One client hears a share's trades on the published stream, another its candles on the terminal's socket. The
time of a trade is that of its batch, just before its commit. Its candle has come with the first frame whose
minute counts so many trades that this one is among them.
"""

import asyncio
import json
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import websockets

from benchmarks.report import percentile
from tests.support.platform import Platform

SYMBOL = "AAPL"
WAIT_S = 600.0
LOGIN = """
from django.contrib.auth import get_user_model
from django.test import Client
client = Client()
client.force_login(get_user_model().objects.get(username={username!r}))
print(client.cookies["sessionid"].value)
"""


@dataclass
class Heard:
    """When each trade was made and heard, and how many trades each minute's candle counted when."""

    trades: dict[datetime, list[tuple[datetime, float]]] = field(default_factory=lambda: defaultdict(list))
    candles: dict[datetime, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    whole_from: datetime | None = None

    def trade_take(self, at: datetime) -> None:
        """Take in a trade; what came before the first whole minute is left out."""
        minute = at.replace(second=0, microsecond=0)
        if self.whole_from is None:
            self.whole_from = minute + timedelta(minutes=1)
        if minute >= self.whole_from:
            self.trades[minute].append((at, time.time()))

    def tick_ms(self) -> list[float]:
        """Return how long each trade took to come."""
        return [(heard - at.timestamp()) * 1e3 for rows in self.trades.values() for at, heard in rows]

    def candle_ms(self) -> list[float]:
        """Return how long each trade took until a candle counted it; without those that none counts yet."""
        times = []
        for minute, rows in self.trades.items():
            told = iter(self.candles[minute])
            count, heard = next(told, (0, 0.0))
            for number, (at, _) in enumerate(sorted(rows), 1):
                while count < number:
                    found = next(told, None)
                    if found is None:
                        break
                    count, heard = found
                if count >= number:
                    times.append((heard - at.timestamp()) * 1e3)
        return times


async def _trades_hear(url: str, login: dict[str, Any], heard: Heard) -> None:
    async with websockets.connect(f"{url}/v2/iex") as socket:
        await socket.send(json.dumps({"action": "auth", "key": login["key_id"], "secret": login["secret"]}))
        await socket.send(json.dumps({"action": "subscribe", "trades": [SYMBOL]}))
        async for text in socket:
            for message in json.loads(text):
                if message["T"] == "t":
                    heard.trade_take(datetime.fromisoformat(message["t"]))


async def _candles_hear(url: str, cookie: str, heard: Heard) -> None:
    headers = {"Cookie": f"sessionid={cookie}"}
    async with websockets.connect(f"{url}/ws/terminal", additional_headers=headers) as socket:
        await socket.send(json.dumps({"action": "subscribe", "symbols": [SYMBOL], "depth": SYMBOL}))
        async for text in socket:
            frame = json.loads(text)
            for candle in frame["minutes"] if frame["type"] == "bars" else ():
                heard.candles[datetime.fromisoformat(candle["t"])].append((candle["n"], time.time()))


async def _hear(platform: Platform, cookie: str, trades: int) -> Heard:
    heard, url = Heard(), platform.url.replace("http", "ws")
    login = platform.demo["users"][0]
    tasks = [
        asyncio.create_task(_trades_hear(url, login, heard)),
        asyncio.create_task(_candles_hear(url, cookie, heard)),
    ]
    deadline = time.monotonic() + WAIT_S
    while len(heard.candle_ms()) < trades and time.monotonic() < deadline:
        done, _ = await asyncio.wait(tasks, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    for task in tasks:
        task.cancel()
    return heard


def figures_measure(trades: int) -> dict[str, float]:
    """Return the milliseconds from a trade to its tick, and to its candle, at a client."""
    print("    a whole platform, for the clients", file=sys.stderr, flush=True)
    with Platform(demo=True) as platform:
        username = platform.demo["users"][0]["username"]
        cookie = platform.python(LOGIN.format(username=username)).strip().splitlines()[-1]
        heard = asyncio.run(_hear(platform, cookie, trades))
    ticks, candles = heard.tick_ms(), heard.candle_ms()
    assert len(candles) >= trades, f"only {len(candles)} trades had their candle"
    return {
        "client_trades": len(candles),
        "tick_to_client_ms": statistics.median(ticks),
        "tick_to_client_p99_ms": percentile(ticks, 0.99),
        "candle_to_client_ms": statistics.median(candles),
        "candle_to_client_p99_ms": percentile(candles, 0.99),
    }
