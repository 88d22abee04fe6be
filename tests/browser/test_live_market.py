"""The book and the chart of an open page beside what the server has: changes that fit, candles that agree."""

import json
import time
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.browser.conftest import Open, live_wait, shot

pytestmark = pytest.mark.platform

AGREE_S = 20.0


def frames_kept(page: Page) -> tuple[list[Any], list[Any]]:
    """Return lists that fill with what the page hears and says on its socket."""
    heard: list[Any] = []
    said: list[Any] = []

    def opened(socket: WebSocket) -> None:
        socket.on("framereceived", lambda text: heard.append(json.loads(text)))
        socket.on("framesent", lambda text: said.append(json.loads(text)))

    page.on("websocket", opened)
    return heard, said


def newest_bar(page: Page, interval: str) -> str:
    """Return the server's newest candle as the chart's legend words it."""
    path = f"/chart/AAPL?interval={interval}"
    reply = page.evaluate("(path) => fetch(path).then((reply) => reply.json())", path)
    bar = reply["bars"][-1]
    return interval + "".join(f"{name}{float(bar[name.lower()]):.2f}" for name in "OHLC")


def legend(page: Page) -> str:
    return page.locator("[data-ohlc]").inner_text().replace("\n", "").split("Vol")[0]


@pytest.mark.parametrize("small", [False, True])
def test_the_newest_candle_is_the_server_s_at_every_interval(opened: Open, small: bool) -> None:
    page = opened("/trade/AAPL", small=small)
    live_wait(page)
    for interval in ("1m", "5m", "1h", "1D"):
        page.locator(f'[data-interval="{interval}"]').first.evaluate("(button) => button.click()")
        expect(page.locator("[data-ohlc]")).to_contain_text(interval)
        # A moment after the page was loaded nothing but the stream can have moved its candle.
        page.wait_for_timeout(3_000)
        deadline = time.monotonic() + AGREE_S
        while (shown := legend(page)) != (wanted := newest_bar(page, interval)):
            assert time.monotonic() < deadline, (shown, wanted)
            page.wait_for_timeout(100)
    shot(page, f"{'phone' if small else 'desktop'}-live-candles")


def test_depth_goes_on_by_changes_that_fit(opened: Open) -> None:
    page = opened("/orders")
    heard, said = frames_kept(page)
    page.goto("/trade/AAPL")
    live_wait(page)
    page.wait_for_timeout(5_000)
    depth = [frame for frame in heard if frame["type"] == "depth"]
    assert depth[0]["snapshot"] is True
    changes = [frame for frame in depth if not frame["snapshot"]]
    assert len(changes) > 5
    assert all(frame["prev"] for frame in changes)
    assert [frame for frame in said if frame["action"] == "resync"] == []
    whole = len(json.dumps(depth[0]))
    assert sum(len(json.dumps(frame)) for frame in changes) / len(changes) < whole / 2


def test_a_lost_change_is_noticed_and_the_book_comes_whole(opened: Open) -> None:
    page = opened("/orders")
    said: list[Any] = []
    lost = 0

    def through(socket: Any) -> None:
        server = socket.connect_to_server()

        def forward(message: str) -> None:
            nonlocal lost
            if '"depth"' in message and '"snapshot":false' in message and not lost:
                lost += 1
                return
            socket.send(message)

        server.on_message(forward)
        socket.on_message(lambda message: (said.append(json.loads(message)), server.send(message)))

    page.route_web_socket("**/ws/terminal", through)
    page.goto("/trade/AAPL")
    live_wait(page)
    deadline = time.monotonic() + AGREE_S
    while not any(frame["action"] == "resync" for frame in said):
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)
    page.wait_for_timeout(3_000)
    assert sum(frame["action"] == "resync" for frame in said) == 1, "after the snapshot all fits again"
