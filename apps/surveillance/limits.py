"""What each rule of surveillance measures against: the names, defaults and bounds of its limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Kind(StrEnum):
    """What can be found."""

    SELF_TRADE = "SELF_TRADE"
    WASH_TRADES = "WASH_TRADES"
    ORDER_RATIO = "ORDER_RATIO"
    LAYERING = "LAYERING"


@dataclass(frozen=True, slots=True)
class Limit:
    """One figure of one rule: what it is without a row, and within what staff may set it."""

    default: Decimal
    lowest: Decimal
    highest: Decimal
    text: str


def _limit(default: str, lowest: str, highest: str, text: str) -> Limit:
    return Limit(Decimal(default), Decimal(lowest), Decimal(highest), text)


WINDOW_S_MAX = 43_200
"""The longest window: half of what is kept of trades and withdrawn orders."""

_ON = _limit("1", "0", "1", "Whether the rule looks at all: 1 or 0.")
_WINDOW_TEXT = "Over how many seconds it looks."

LIMITS: dict[Kind, dict[str, Limit]] = {
    Kind.SELF_TRADE: {
        "is_on": _ON,
        "window_s": _limit("3600", "1", "43200", _WINDOW_TEXT),
        "trades_min": _limit("1", "1", "10000", "Trades with oneself that make a finding."),
    },
    Kind.WASH_TRADES: {
        "is_on": _ON,
        "window_s": _limit("1800", "60", "43200", _WINDOW_TEXT),
        "trades_min": _limit("10", "2", "10000", "Trades between the two that make a finding."),
        "net_pct_max": _limit("10", "0", "100", "Per cent of the shares traded that changed hands."),
        "pair_pct_min": _limit("80", "0", "100", "Per cent of each one's trading that is with the other."),
    },
    Kind.ORDER_RATIO: {
        "is_on": _ON,
        "window_s": _limit("3600", "60", "86400", "How long a window is; they begin at its multiples."),
        "messages_min": _limit("2000", "1", "100000000", "Fewer messages in a window are nobody's concern."),
        "ratio_max": _limit("500", "0", "1000000", "Messages for each trade, less one."),
        "volume_ratio_max": _limit("5000", "0", "1000000", "Shares ordered for each share traded, less one."),
    },
    Kind.LAYERING: {
        "is_on": _ON,
        "window_s": _limit("900", "10", "43200", _WINDOW_TEXT),
        "times_min": _limit("3", "1", "1000", "Withdrawn orders that make a finding."),
        "lifetime_s": _limit("30", "0", "3600", "Orders withdrawn later than this were meant to trade."),
        "value_min": _limit("10000", "0", "1000000000", "Dollars that were withdrawn, at the order's limit."),
        "size_ratio_min": _limit("5", "1", "1000", "Shares withdrawn for each traded on the other side."),
        "pattern_pct_min": _limit("50", "0", "100", "Per cent of such orders withdrawn after a trade."),
        "near_bps_max": _limit("200", "0", "10000", "How far from the trade's price the order lay, at most."),
    },
}  # fmt: skip

Values = Mapping[str, Decimal]


def limits_default(kind: Kind) -> dict[str, Decimal]:
    """Return a rule's limits where staff have set none."""
    return {name: limit.default for name, limit in LIMITS[kind].items()}


def limit_problem(kind: str, name: str, value: Decimal) -> str:
    """Return why a limit cannot be set so, an empty text when it can."""
    if kind not in LIMITS or name not in LIMITS[Kind(kind)]:
        known = ", ".join(LIMITS[Kind(kind)]) if kind in LIMITS else ", ".join(LIMITS)
        return f"There is no such limit; there are: {known}."
    limit = LIMITS[Kind(kind)][name]
    if not value.is_finite() or not limit.lowest <= value <= limit.highest:
        return f"It must be from {limit.lowest} to {limit.highest}."
    return ""
