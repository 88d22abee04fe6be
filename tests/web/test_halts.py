"""A halt reaches a page that is already open, and leaves it when trading goes on."""

from collections.abc import Callable

from django.test import Client

from apps.events.facts import SYSTEM
from apps.operations.services.controls import symbol_halt, symbol_resume
from tests.support.builders import Trader, trader_open


def test_open_page_learns_of_a_halt_and_of_its_end(signed_in: Callable[[Trader], Client]) -> None:
    browser = signed_in(trader_open(cash="1000.00"))
    assert b"is halted" not in browser.get("/partials/halt/AAPL").content
    symbol_halt(symbol="AAPL", reason="news is pending", origin=SYSTEM)
    told = browser.get("/partials/halt/AAPL").content.decode()
    assert "AAPL is halted (news is pending)" in told
    symbol_resume(symbol="AAPL", reason="news is out", origin=SYSTEM)
    assert b"is halted" not in browser.get("/partials/halt/AAPL").content


def test_page_asks_for_the_halt_again_and_again(signed_in: Callable[[Trader], Client]) -> None:
    page = signed_in(trader_open(cash="1000.00")).get("/trade/AAPL").content.decode()
    assert (
        'hx-get="/partials/halt/AAPL" hx-trigger="market-refresh from:body, phase-changed from:body"' in page
    )


def test_halt_of_an_unknown_symbol_is_not_found(signed_in: Callable[[Trader], Client]) -> None:
    assert signed_in(trader_open()).get("/partials/halt/NOPE").status_code == 404
