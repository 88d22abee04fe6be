"""Refusals in a trader's words: the services speak the published protocol's."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from apps.web.numbers import price_text, quantity_text

_WORDS = {
    "take_profit.limit_price": "the take profit",
    "stop_loss.stop_price": "the stop-loss",
    "stop_loss.limit_price": "the stop-loss limit",
    "trail_percent": "the trail",
    "trail_price": "the trail",
    "limit_price": "the limit price",
    "stop_price": "the stop price",
    "time_in_force": "the time in force",
    "order_class": "the kind of exit",
    "trailing_stop": "trailing stop",
    "stop_limit": "stop limit",
    "bracket orders": "orders with exits",
    "oco orders": "orders with exits",
    "oto orders": "orders with exits",
    "gtc": "good till cancelled",
    "qty": "quantity",
}
"""The protocol's names -> the ticket's; the longer ones first."""
_NAMED = re.compile(r"\b(?:" + "|".join(re.escape(word) for word in _WORDS) + r")\b")


def refusal_text(reason: str, message: str, details: Mapping[str, Any]) -> str:
    """Return why something was refused, as a sentence of the ticket's words."""
    if reason == "INSUFFICIENT_SHARES" and "available" in details:
        return _shares_text(details)
    if reason == "LEG_PRICE" and "base_price" in details:
        return _leg_text(details)
    return _sentence(_NAMED.sub(lambda found: _WORDS[found.group()], message))


def _shares_text(details: Mapping[str, Any]) -> str:
    available = max(int(details["available"]), 0)
    of = f" of {details['symbol']}" if "symbol" in details else ""
    if not available:
        return f"You have no shares{of} free to sell."
    return f"You have only {quantity_text(available)} share{'' if available == 1 else 's'}{of} free to sell."


def _leg_text(details: Mapping[str, Any]) -> str:
    base = price_text(Decimal(details["base_price"]))
    if str(details.get("field", "")).startswith("take_profit"):
        return f"The take profit must be at least 0.01 above {base}."
    return f"The stop-loss must be at least 0.01 below {base}."


def _sentence(words: str) -> str:
    text = words.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
