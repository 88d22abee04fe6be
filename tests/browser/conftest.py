"""A platform with the demo market, and signed-in pages of desktop and phone size."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from brokerage.env import ROOT
from tests.support.platform import Platform

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
SHOTS = ROOT / "var" / "screenshots"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
LIVE_MS = 30_000

Open = Callable[..., Page]


@pytest.fixture(scope="package")
def live_platform() -> Iterator[Platform]:
    """The whole platform as processes, the demo market trading in it."""
    with Platform(demo=True) as running:
        yield running


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


def _browser(playwright: Playwright, *flags: str) -> Browser:
    assert CHROMIUM, "Chromium is needed for the browser tests: install the package chromium"
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])


@pytest.fixture(scope="package")
def desktop(playwright: Playwright) -> Iterator[Browser]:
    browser = _browser(playwright)
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def phone(playwright: Playwright) -> Iterator[Browser]:
    """A browser of its own: without the flag the chart's canvases are blurred under emulation."""
    browser = _browser(playwright, "--force-device-scale-factor=2", "--hide-scrollbars")
    yield browser
    browser.close()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser complained about; a test that used a page must leave this empty."""
    heard: list[str] = []
    yield heard
    assert not heard, heard


@pytest.fixture
def opened(
    live_platform: Platform, desktop: Browser, phone: Browser, complaints: list[str]
) -> Iterator[Open]:
    """Open a signed-in page: ``opened("/trade/AAPL", theme="dark", small=True, trader=1)``."""
    contexts = []

    def open_page(path: str = "/", *, theme: str = "dark", small: bool = False, trader: int = 0) -> Page:
        browser, size = (phone, PHONE) if small else (desktop, DESKTOP)
        context = browser.new_context(
            viewport=size, device_scale_factor=2 if small else 1, has_touch=small, base_url=live_platform.url
        )
        contexts.append(context)
        cookie = {"name": "openbell_display", "value": f"{theme}.standard.on", "url": live_platform.url}
        context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto("/login")
        sign_in(page, live_platform.demo["users"][trader])
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def sign_in(page: Page, user: dict[str, str]) -> None:
    """Fill in the login and wait for the page behind it."""
    page.get_by_test_id("username").fill(user["username"])
    page.get_by_test_id("password").fill(user["password"])
    page.get_by_test_id("sign-in").click()
    expect(page.get_by_test_id("username")).to_have_count(0)


def live_wait(page: Page) -> None:
    """Wait until prices are live: heartbeats arrive and the book has both sides."""
    expect(page.locator("body")).to_have_attribute("data-feed", "live", timeout=LIVE_MS)
    expect(page.locator(".ladder tr.ask[data-price]").last).to_be_visible(timeout=LIVE_MS)
    expect(page.locator(".ladder tr.bid[data-price]").first).to_be_visible(timeout=LIVE_MS)


def shot(page: Page, name: str) -> Path:
    """Keep a screenshot of the visible page under ``var/screenshots``."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    path = SHOTS / f"{name}.png"
    page.screenshot(path=path)
    return path
