"""The market's state and its instruments as the shell and the watchlist show them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.instruments.selectors import InstrumentView, MarketClock
from apps.web.numbers import EXCHANGE_ZONE, change_pct, duration_text


@dataclass(frozen=True, slots=True)
class ClockText:
    """The market pill: a state in two words, and when it changes."""

    is_open: bool
    state: str
    note: str


@dataclass(frozen=True, slots=True)
class WatchRow:
    """One instrument with its change of the day and the line of its recent closes."""

    instrument: InstrumentView
    change: Decimal | None
    change_pct: Decimal | None
    closes: list[Any]
    held: bool


def _instant_text(instant: datetime) -> str:
    return instant.astimezone(EXCHANGE_ZONE).strftime("%a %H:%M ET")


def clock_text(clock: MarketClock) -> ClockText:
    """Return the market pill's words."""
    if getattr(clock, "always_open", False):
        return ClockText(True, "Market open", "all hours")
    if clock.is_open:
        left = (clock.next_close - clock.timestamp).total_seconds()
        return ClockText(True, "Market open", f"closes in {duration_text(left)}")
    return ClockText(False, "Closed", f"opens {_instant_text(clock.next_open)}")


def watch_row(instrument: InstrumentView, closes: list[Any], held: bool) -> WatchRow:
    """Return one line of the watchlist."""
    last, before = instrument.last_price, instrument.prev_close
    change = None if last is None or before is None else last - before
    return WatchRow(instrument, change, change_pct(last, before), closes, held)
