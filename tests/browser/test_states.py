"""When things are not as they should be: no prices, no answer, no session; and readers who do not see."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.browser.conftest import Open, live_wait, shot
from tests.support.platform import Platform

pytestmark = pytest.mark.platform

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
STALE_MS = 10_000
HALT_MS = 15_000


def violations(page: Page) -> list[str]:
    found: list[dict[str, Any]] = Axe().run(page, options={"runOnly": RULES}).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in found]


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_terminal_is_accessible(opened: Open, theme: str, small: bool) -> None:
    page = opened("/trade/AAPL", theme=theme, small=small)
    live_wait(page)
    assert violations(page) == []
    if small:
        page.locator(".trade-bar .buy").click()
        assert violations(page) == []
    page.get_by_test_id("review").click()
    expect(page.get_by_test_id("send")).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("path", ["/portfolio", "/orders", "/activity"])
def test_the_other_pages_are_accessible(opened: Open, path: str) -> None:
    page = opened(path)
    assert violations(page) == []


def test_silence_drains_the_colours_and_stops_new_orders(opened: Open) -> None:
    page = opened("/login")
    silent = False

    def through(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda message: None if silent else socket.send(message))

    page.route_web_socket("**/ws/terminal", through)
    page.goto("/trade/AAPL")
    live_wait(page)
    silent = True
    expect(page.locator("body")).to_have_attribute("data-feed", "stale", timeout=STALE_MS)
    expect(page.locator("#feed-banner")).to_contain_text("Live prices are paused.")
    expect(page.get_by_test_id("review")).to_be_disabled()
    expect(page.get_by_test_id("review")).to_have_text("Waiting for live prices")
    shot(page, "desktop-offline")
    silent = False
    expect(page.locator("body")).to_have_attribute("data-feed", "live", timeout=STALE_MS)
    expect(page.locator("#feed-banner")).to_be_hidden()
    expect(page.get_by_test_id("review")).to_be_enabled()


def test_a_lost_answer_is_looked_up_and_never_sent_again(opened: Open, complaints: list[str]) -> None:
    page = opened("/trade/MSFT", trader=1)
    live_wait(page)
    posts = []

    def answer_lost(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        posts.append(route.request.url)
        route.fetch()
        route.abort()

    page.route("**/orders", answer_lost)
    page.get_by_test_id("quantity").fill("1")
    page.locator('[data-fill="bid"]').click()
    page.get_by_test_id("review").click()
    page.get_by_test_id("send").dblclick()
    expect(page.get_by_test_id("toast").first).to_contain_text("MSFT", timeout=15_000)
    assert len(posts) == 1
    complaints[:] = [said for said in complaints if "ERR_FAILED" not in said]


_CONTROL = """
from apps.events.facts import SYSTEM
from apps.operations.services.controls import symbol_halt, symbol_resume
symbol_{act}(symbol="FB", reason="news is pending", origin=SYSTEM)
"""


def test_a_halt_reaches_an_open_page_and_leaves_it(opened: Open, live_platform: Platform) -> None:
    page = opened("/trade/FB", trader=1)
    live_wait(page)
    live_platform.python(_CONTROL.format(act="halt"))
    strip = page.locator(".halt-state")
    expect(strip).to_contain_text("FB is halted (news is pending)", timeout=HALT_MS)
    page.get_by_test_id("type-market").click()
    expect(page.get_by_test_id("refusal")).to_contain_text("halted")
    page.get_by_test_id("side-sell").click()
    assert violations(page) == []
    page.wait_for_timeout(1_500)
    shot(page, "desktop-halted")
    live_platform.python(_CONTROL.format(act="resume"))
    expect(strip).not_to_contain_text("is halted", timeout=HALT_MS)
    expect(page.get_by_test_id("phase")).to_be_hidden()


def test_an_ended_session_says_so_and_keeps_the_page(opened: Open, complaints: list[str]) -> None:
    page = opened("/trade/AAPL")
    live_wait(page)
    page.context.clear_cookies()
    page.get_by_test_id("tab-history").click()
    expect(page.locator("#signed-out-dialog")).to_be_visible()
    # An open page goes on asking, and each answer is one more line of the browser's.
    page.close()
    complaints[:] = [said for said in complaints if "401" not in said and "403" not in said]
