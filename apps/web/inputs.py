"""Numbers as people type them, read exactly or refused as ambiguous."""

import re

from apps.primitives.errors import Invalid

_GROUPED = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?")
_GROUPED_WHOLE = re.compile(r"\d{1,3}([,.]\d{3})+")
_COMMA_DECIMAL = re.compile(r"\d+,(\d{1,2}|\d{4})")
_SPACES = re.compile(r"[\s\u00a0\u202f']")
_TEXT_LENGTH_MAX = 40


def _cleaned(text: str) -> str:
    return _SPACES.sub("", text[:_TEXT_LENGTH_MAX])


def price_normalise(text: str) -> str:
    """Return a typed price with ``.`` for decimals; ``1,234`` could mean two prices and is refused."""
    value = _cleaned(text)
    if "," not in value:
        return value
    if _COMMA_DECIMAL.fullmatch(value):
        return value.replace(",", ".")
    if _GROUPED.fullmatch(value) and "." in value:
        return value.replace(",", "")
    message = f"{value} can be read in two ways. Write it with a point for decimals, such as 1234.50."
    raise Invalid("ambiguous_number", message, field="limit_price")


def quantity_normalise(text: str) -> str:
    """Return a typed share count without separators; shares are whole, so ``1,000`` is a thousand."""
    value = _cleaned(text)
    return re.sub(r"[,.]", "", value) if _GROUPED_WHOLE.fullmatch(value) else value
