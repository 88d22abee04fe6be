"""What an order will do is said in words before it is sent."""

from decimal import Decimal

import pytest

from apps.web.forms import ticket_read
from apps.web.presenters.plans import plan_sentences

TICKET = {
    "side": "SELL",
    "order_type": "LIMIT",
    "time_in_force": "DAY",
    "quantity": "1000",
    "limit_price": "94.50",
    "stop_price": "95",
    "trail_kind": "AMOUNT",
    "trail": "2",
    "take_profit": "110",
    "stop_loss": "90",
}
BUY = {"side": "BUY"}


def plan(worst: str | None = None, stop: str | None = None, **changes: str) -> str:
    ticket = ticket_read({**TICKET, **changes}, "AAPL")
    return " ".join(
        plan_sentences(ticket, Decimal(worst) if worst else None, Decimal(stop) if stop else None)
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Sell 1,000 at 94.50 or better."),
        (
            {"order_type": "MARKET", "worst": "92.15"},
            "Sell 1,000 now at the best prices there are, no worse than 92.15.",
        ),
        (
            {"order_type": "STOP", "worst": "92.15", "stop": "95"},
            "If the price falls to 95.00, sell 1,000 at the market, no worse than 92.15.",
        ),
        (
            {**BUY, "order_type": "STOP", "worst": "107", "stop": "105"},
            "If the price rises to 105.00, buy 1,000 at the market, no worse than 107.00.",
        ),
        (
            {"order_type": "STOP_LIMIT", "stop": "95"},
            "If the price falls to 95.00, sell 1,000 at 94.50 or better.",
        ),
        (
            {"order_type": "TRAIL", "worst": "95.06", "stop": "98"},
            "The stop follows the price up, 2.00 below its highest: 98.00 now. It never moves back. "
            "If the price falls to the stop, sell 1,000 at the market, no worse than 95.06.",
        ),
        (
            {**BUY, "order_type": "TRAIL", "trail_kind": "PERCENT", "trail": "1.5"},
            "The stop follows the price down, 1.50% above its lowest. It never moves back. "
            "If the price rises to the stop, buy 1,000 at the market.",
        ),
        (
            {"time_in_force": "OPG"},
            "In the next opening auction, sell 1,000 at 94.50 or better.",
        ),
        (
            {"time_in_force": "CLS", "order_type": "MARKET", "worst": "90"},
            "In the next closing auction, sell 1,000 at its price, no worse than 90.00.",
        ),
        (
            {"time_in_force": "FOK"},
            "Sell 1,000 at 94.50 or better. All of it trades at once, or none of it.",
        ),
        (
            {**BUY, "exits": "BOTH", "stop_loss_limit": "89.50"},
            "Buy 1,000 at 94.50 or better. Once all 1,000 have filled, they are offered at 110.00 "
            "(take profit). If the price falls to 90.00 (stop-loss) first, that offer is cancelled and they "
            "are sold at 89.50 or better.",
        ),
        (
            {**BUY, "exits": "TAKE_PROFIT"},
            "Buy 1,000 at 94.50 or better. Once all 1,000 have filled, they are offered at 110.00 "
            "(take profit).",
        ),
        (
            {**BUY, "exits": "STOP_LOSS"},
            "Buy 1,000 at 94.50 or better. Once all 1,000 have filled, a stop-loss waits: if the price falls "
            "to 90.00 (stop-loss), they are sold at the market.",
        ),
        (
            {"exits": "STOP_LOSS"},
            "Sell 1,000 at 94.50 or better. If the price falls to 90.00 (stop-loss) first, that order is "
            "cancelled and they are sold at the market.",
        ),
    ],
    ids=str,
)
def test_a_plan_says_when_at_which_price_and_what_follows(changes: dict[str, str], words: str) -> None:
    assert plan(**changes) == words
