"""Refusals reach a trader in the ticket's words, as whole sentences."""

from typing import Any

import pytest

from apps.web.presenters.refusals import refusal_text


@pytest.mark.parametrize(
    ("reason", "message", "details", "said"),
    [
        (
            "LEG_PRICE",
            "stop_loss.stop_price must be at least 0.01 below take_profit.limit_price",
            {"field": "stop_loss.stop_price", "base_price": "105.0000"},
            "The stop-loss must be at least 0.01 below 105.00.",
        ),
        (
            "LEG_PRICE",
            "take_profit.limit_price must be >= base_price + 0.01",
            {"field": "take_profit.limit_price", "base_price": "100.0000"},
            "The take profit must be at least 0.01 above 100.00.",
        ),
        (
            "INSUFFICIENT_SHARES",
            "insufficient qty available for order (requested: 5000, available: 117)",
            {"available": "117", "symbol": "AAPL"},
            "You have only 117 shares of AAPL free to sell.",
        ),
        (
            "INSUFFICIENT_SHARES",
            "insufficient qty available for order (requested: 5, available: 0)",
            {"available": "0", "symbol": "AAPL"},
            "You have no shares of AAPL free to sell.",
        ),
        (
            "bad_trail",
            "trail_percent must be above 0 and below 100.",
            {},
            "The trail must be above 0 and below 100.",
        ),
        (
            "bad_time_in_force",
            "trailing_stop orders must be day or gtc orders",
            {},
            "Trailing stop orders must be day or good till cancelled orders.",
        ),
        ("unheard_of", "what now?", {}, "What now?"),
    ],
)
def test_refusal_is_a_sentence_of_the_tickets_words(
    reason: str, message: str, details: dict[str, Any], said: str
) -> None:
    assert refusal_text(reason, message, details) == said
