"""Stops, trails and exits in the terminal: chosen, read in words, sent, changed, seen together, and ended."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import Locator, Page, expect

from apps.streaming.depth import book_checksum
from tests.browser.conftest import Open, live_wait, shot
from tests.browser.test_states import violations

pytestmark = pytest.mark.platform

FILL_MS = 20_000
TYPES = ["limit", "market", "stop", "stop_limit", "trail"]


def last_price(page: Page) -> Decimal:
    return Decimal(page.get_by_test_id("last-price").inner_text().replace(",", ""))


def review_and_send(page: Page, *words: str) -> None:
    page.get_by_test_id("review").click()
    for one in words:
        expect(page.get_by_test_id("plan")).to_contain_text(one)
    page.get_by_test_id("send").click()
    expect(page.get_by_test_id("send")).to_be_hidden(timeout=FILL_MS)


def open_rows(page: Page, symbol: str) -> Locator:
    page.get_by_test_id("tab-open-orders").click()
    return page.locator("#blotter-body tr[data-order]", has_text=symbol)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_ticket_of_every_type_is_accessible_and_fits(opened: Open, theme: str, small: bool) -> None:
    page = opened("/trade/AAPL", theme=theme, small=small)
    live_wait(page)
    if small:
        page.set_viewport_size({"width": 375, "height": 812})
        page.locator(".trade-bar .buy").click()
    name = "phone" if small else "desktop"
    for kind in TYPES:
        page.get_by_test_id(f"type-{kind}").click()
        expect(page.get_by_test_id("total")).not_to_have_text("—")
        expect(page.locator("#preview .refusal")).to_have_count(0)
        shot(page, f"{name}-ticket-{kind}-{theme}")
    assert violations(page) == []
    page.get_by_test_id("type-limit").click()
    page.get_by_test_id("exits").select_option("BOTH")
    expect(page.get_by_test_id("stop-loss")).not_to_have_value("")
    assert violations(page) == []
    shot(page, f"{name}-ticket-exits-{theme}")
    page.get_by_test_id("review").click()
    expect(page.get_by_test_id("plan")).to_contain_text("Once all 10 have filled")
    assert violations(page) == []
    shot(page, f"{name}-review-exits-{theme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")


def test_the_types_are_chosen_by_keyboard(opened: Open) -> None:
    page = opened("/trade/AAPL")
    live_wait(page)
    page.get_by_test_id("type-limit").focus()
    for kind in TYPES[1:]:
        page.keyboard.press("ArrowRight")
        expect(page.get_by_test_id(f"type-{kind}")).to_have_attribute("aria-checked", "true")
    expect(page.get_by_test_id("trail")).to_be_visible()
    expect(page.get_by_test_id("price")).to_be_hidden()
    page.locator("body").click(position={"x": 5, "y": 400})
    page.keyboard.press("p")
    expect(page.get_by_test_id("trail")).to_be_focused()


def test_a_stop_is_suggested_on_its_side_of_the_market_and_refused_on_the_other(opened: Open) -> None:
    page = opened("/trade/AAPL")
    live_wait(page)
    page.get_by_test_id("type-stop").click()
    expect(page.get_by_test_id("stop-price")).not_to_have_value("")
    assert Decimal(page.get_by_test_id("stop-price").input_value()) > last_price(page)
    page.get_by_test_id("side-sell").click()
    assert Decimal(page.get_by_test_id("stop-price").input_value()) < last_price(page)
    page.get_by_test_id("stop-price").fill(str(last_price(page) * 2))
    expect(page.locator("#stop-price-error")).to_contain_text("less than current price")
    expect(page.get_by_test_id("stop-price")).to_have_attribute("aria-invalid", "true")


def test_a_stop_waits_is_changed_and_cancelled(opened: Open) -> None:
    page = opened("/trade/AAPL")
    live_wait(page)
    page.get_by_test_id("side-sell").click()
    page.get_by_test_id("type-stop_limit").click()
    page.get_by_test_id("quantity").fill("2")
    page.locator("[data-away='5']").click()
    stop = Decimal(page.get_by_test_id("stop-price").input_value())
    review_and_send(page, f"If the price falls to {stop:,.2f}, sell 2 at")
    row = open_rows(page, "AAPL").filter(has_text=f"Stop {stop:,.2f}")
    expect(row).to_contain_text("Waiting", timeout=FILL_MS)
    row.get_by_role("button", name="Change").click()
    lower = (stop * Decimal("0.99")).quantize(Decimal("0.01"))
    page.locator("#edit-stop_price").fill(str(lower))
    page.get_by_test_id("replace").click()
    moved = open_rows(page, "AAPL").filter(has_text=f"Stop {lower:,.2f}")
    expect(moved).to_contain_text("Waiting", timeout=FILL_MS)
    moved.get_by_role("button", name="Cancel").click()
    expect(moved).to_have_count(0, timeout=FILL_MS)


def test_a_bought_position_has_its_exits_under_it_and_one_cancel_ends_both(opened: Open) -> None:
    page = opened("/trade/IBM", trader=1)
    live_wait(page)
    page.get_by_test_id("type-market").click()
    page.get_by_test_id("quantity").fill("3")
    page.get_by_test_id("exits").select_option("BOTH")
    review_and_send(page, "Buy 3 now at the best prices there are", "(take profit)", "(stop-loss)")
    rows = open_rows(page, "IBM")
    expect(rows).to_have_count(2, timeout=FILL_MS)
    expect(rows.first).to_contain_text("Take profit")
    expect(rows.first).to_contain_text("Working", timeout=FILL_MS)
    expect(rows.last).to_contain_text("Stop-loss")
    expect(rows.last).to_contain_text("Armed")
    expect(rows.last).to_have_class(re.compile("child"))
    shot(page, "desktop-exits-dark")
    rows.last.get_by_role("button", name="Cancel").click()
    expect(rows).to_have_count(0, timeout=FILL_MS)


def test_a_position_is_left_by_a_pair(opened: Open) -> None:
    page = opened("/trade/AAPL", trader=0)
    live_wait(page)
    page.locator("[data-exit-position]").first.click()
    expect(page.get_by_test_id("exits")).to_have_value("STOP_LOSS")
    expect(page.get_by_test_id("side-sell")).to_have_attribute("aria-checked", "true")
    live_wait(page)
    symbol = page.locator("#workspace").get_attribute("data-symbol")
    assert symbol
    page.get_by_test_id("quantity").fill("1")
    review_and_send(page, "Sell 1 at", "that order is cancelled and they are sold at the market")
    rows = open_rows(page, symbol)
    expect(rows).to_have_count(2, timeout=FILL_MS)
    rows.first.get_by_role("button", name="Cancel").click()
    expect(rows).to_have_count(0, timeout=FILL_MS)


def test_a_trailing_stop_shows_where_it_stands(opened: Open) -> None:
    page = opened("/trade/AAPL")
    live_wait(page)
    page.get_by_test_id("side-sell").click()
    page.get_by_test_id("type-trail").click()
    page.get_by_test_id("quantity").fill("1")
    page.get_by_test_id("trail").fill("8")
    expect(page.locator("#trail-note")).to_contain_text("stop now")
    page.get_by_test_id("trail-amount").click()
    expect(page.locator("#trail-note")).to_contain_text("stop now")
    page.get_by_test_id("trail").fill("20")
    review_and_send(page, "The stop follows the price up, 20.00 below its highest", "If the price falls to")
    row = open_rows(page, "AAPL").filter(has_text="Trailing 20.00")
    expect(row).to_contain_text("Waiting", timeout=FILL_MS)
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_have_count(0, timeout=FILL_MS)


def test_a_chosen_distance_from_the_market_changes_sides_with_the_order(opened: Open) -> None:
    page = opened("/trade/AAPL")
    live_wait(page)
    page.get_by_test_id("side-sell").click()
    page.get_by_test_id("type-stop").click()
    page.locator("[data-away='5']").click()
    assert Decimal(page.get_by_test_id("stop-price").input_value()) < last_price(page)
    page.get_by_test_id("side-buy").click()
    page.get_by_test_id("type-stop_limit").click()
    stop = Decimal(page.get_by_test_id("stop-price").input_value())
    assert stop > last_price(page) * Decimal("1.03")
    assert Decimal(page.get_by_test_id("price").input_value()) > stop


def test_a_phone_shows_how_an_order_stands_and_can_close_a_position(opened: Open) -> None:
    page = opened("/trade/GOOG", small=True, trader=1)
    page.set_viewport_size({"width": 375, "height": 812})
    page.goto("/portfolio")
    wrap = page.get_by_role("region", name="Positions table")
    expect(page.get_by_test_id("exit-GOOG")).to_be_visible()
    shot(page, "phone-portfolio-dark")
    assert wrap.evaluate("(box) => box.scrollWidth <= box.clientWidth"), "a row fits a small phone"
    page.get_by_role("button", name="Close the position in GOOG").click()
    expect(page.get_by_test_id("quantity")).to_be_visible(timeout=FILL_MS)
    expect(page.locator("#ticket")).to_have_attribute("data-side", "SELL")


def test_a_crossed_book_has_no_spread_and_is_grey(opened: Open) -> None:
    page = opened("/trade/AAPL")
    live_wait(page)
    bids, asks = [["440.0000", 5]], [["420.0000", 4]]
    depth = {"symbol": "AAPL", "seq": 1, "prev": None, "snapshot": True, "bids": bids, "asks": asks}
    middle = page.locator("ob-ladder").evaluate(
        """(ladder, depth) => {
          ladder.onDepth({ detail: depth });
          ladder.onStatus({ detail: { symbol: "AAPL", phase: "HALTED", auction: { p: "430.0000" } } });
          return ladder.querySelector(".middle").textContent + ladder.classList;
        }""",
        {**depth, "checksum": book_checksum(bids, asks)},
    )
    assert middle == "Crossed · auction at 430.00still"
