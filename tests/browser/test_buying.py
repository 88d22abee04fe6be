"""The main job: a trader buys ten shares at market, and everybody's books agree."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, live_wait, shot
from tests.support.platform import Platform

pytestmark = pytest.mark.platform

FILL_MS = 20_000
_BOOKS = """
import json
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute('''
        SELECT t.trade_id, t.quantity, t.trade_value, b.status AS buyer_status,
               (SELECT sum(amount) FROM transactions x WHERE x.reference_id = t.trade_id) AS entry_sum,
               (SELECT amount FROM transactions x WHERE x.reference_id = t.trade_id
                AND x.account_id = t.seller_account_id) AS seller_amount,
               (SELECT amount FROM transactions x WHERE x.reference_id = t.trade_id
                AND x.account_id = t.buyer_account_id) AS buyer_amount,
               (SELECT count(*) FROM events e WHERE e.event_type = 'TRADE_EXECUTED'
                AND e.data->>'trade_id' = t.trade_id::text) AS trade_events
        FROM trades t JOIN orders b ON b.order_id = t.buy_order_id
        WHERE b.client_order_id LIKE 'web-%%' AND t.buyer_account_id = {account} AND t.symbol = '{symbol}'
    ''')
    names = [column[0] for column in cursor.description]
    print(json.dumps([dict(zip(names, map(str, row))) for row in cursor.fetchall()]))
"""


def money_of(page: Page, name: str) -> Decimal:
    return Decimal(page.get_by_test_id(name).inner_text().replace(",", "").replace("−", "-"))


def position_of(page: Page, symbol: str) -> int:
    row = page.get_by_test_id(f"position-row-{symbol}")
    if not row.count():
        return 0
    return int(re.sub(r"\D", "", row.locator("td").nth(1).inner_text()))


def books_of(platform: Platform, account: str, symbol: str) -> list[dict[str, Any]]:
    printed = platform.python(_BOOKS.format(account=int(account), symbol=symbol))
    rows: list[dict[str, Any]] = json.loads(printed.strip().splitlines()[-1])
    return rows


def test_a_trader_buys_ten_shares_and_all_books_agree(live_platform: Platform, opened: Open) -> None:
    page = opened("/trade/AAPL")
    live_wait(page)
    cash, shares = money_of(page, "cash"), position_of(page, "AAPL")

    page.get_by_test_id("type-market").click()
    page.get_by_test_id("quantity").fill("10")
    expect(page.get_by_test_id("total")).not_to_have_text("—")
    page.get_by_test_id("review").click()
    expect(page.get_by_test_id("review-dialog")).to_contain_text("10 AAPL")
    page.get_by_test_id("send").click()

    toast = page.get_by_test_id("toast").first
    expect(toast).to_contain_text("Bought 10 AAPL", timeout=FILL_MS)
    row = page.get_by_test_id("position-row-AAPL").locator("td").nth(1)
    expect(row).to_have_text(f"{shares + 10:,}", use_inner_text=True, timeout=FILL_MS)
    expect(page.get_by_test_id("cash")).not_to_have_text(f"{cash:,.2f}", timeout=FILL_MS)
    paid = cash - money_of(page, "cash")

    account = page.locator("body").get_attribute("data-account")
    assert account
    trades = books_of(live_platform, account, "AAPL")
    assert sum(int(trade["quantity"]) for trade in trades) == 10
    assert sum(Decimal(trade["trade_value"]) for trade in trades) == paid
    for trade in trades:
        assert Decimal(trade["entry_sum"]) == 0
        assert (
            Decimal(trade["seller_amount"])
            == -Decimal(trade["buyer_amount"])
            == Decimal(trade["trade_value"])
        )
        assert trade["trade_events"] == "2"
    reconciled = live_platform.manage("reconcile")
    assert reconciled.returncode == 0, reconciled.stdout + reconciled.stderr


def test_a_limit_order_waits_is_changed_and_cancelled(opened: Open) -> None:
    page = opened("/trade/IBM", trader=1)
    live_wait(page)
    price = Decimal(page.get_by_test_id("last-price").inner_text().replace(",", ""))
    away = (price * Decimal("0.96")).quantize(Decimal("0.01"))
    page.get_by_test_id("quantity").fill("3")
    page.get_by_test_id("price").fill(str(away))
    expect(page.locator("#preview")).to_contain_text("will wait")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_test_id("review-dialog")).to_contain_text("3 IBM")
    page.keyboard.press("Enter")
    page.get_by_test_id("tab-open-orders").click()
    row = page.locator("#blotter-body tr[data-order]", has_text="IBM").first
    expect(row).to_contain_text("Working", timeout=FILL_MS)

    row.get_by_role("button", name="Change").click()
    page.locator("#edit-quantity").fill("4")
    page.get_by_test_id("replace").click()
    expect(row.locator("td").nth(2)).to_have_text("4", timeout=FILL_MS)
    expect(row).to_contain_text("Working", timeout=FILL_MS)
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_have_count(0, timeout=FILL_MS)
    page.get_by_test_id("tab-history").click()
    expect(page.locator("#blotter-body")).to_contain_text("Cancelled")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_terminal_on_a_desktop_and_a_phone(opened: Open, theme: str) -> None:
    for small in (False, True):
        page = opened("/trade/AAPL", theme=theme, small=small)
        live_wait(page)
        expect(page.locator("ob-chart canvas").first).to_be_visible()
        expect(page.locator("ob-tape li").first).to_be_attached(timeout=FILL_MS)
        page.wait_for_timeout(1_000)
        name = "phone" if small else "desktop"
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
        shot(page, f"{name}-{theme}")
        if small:
            page.locator(".trade-bar .buy").click()
        expect(page.get_by_test_id("total")).not_to_have_text("—")
        if small:
            shot(page, f"phone-ticket-{theme}")
        page.get_by_test_id("review").click()
        expect(page.get_by_test_id("send")).to_be_visible()
        shot(page, f"{name}-confirm-{theme}")
        page.get_by_test_id("edit-ticket").click()
        expect(page.get_by_test_id("send")).to_be_hidden()
