"""What the tape's store does with committed events: every trade becomes one tick, once."""

from collections.abc import Sequence

from apps.events.relay import EventRecord
from apps.marketdata.services import ticks_append, ticks_from_events


def ticks_write(events: Sequence[EventRecord]) -> None:
    """Store the ticks of these events' trades; repeated events change nothing."""
    trades = [event.data for event in events if event.event_type == "TRADE_EXECUTED"]
    ticks_append(ticks_from_events(trades))
