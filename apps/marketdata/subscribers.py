"""What the tape's store does with committed events: every trade becomes one tick, and its candle is told."""

from collections.abc import Sequence

from django.db import OperationalError

from apps.events.records import EventRecord
from apps.events.relay import SinkUnavailable
from apps.events.types import EventType
from apps.marketdata.live import candle_tape
from apps.marketdata.services import ticks_append, ticks_from_events
from apps.primitives.failpoints import failpoint


def ticks_write(events: Sequence[EventRecord]) -> None:
    """Store the ticks of these events' trades and tell their candles; repeated events change nothing.

    Raises ``SinkUnavailable`` when the database is away, or a day's candles are being made anew for too long.
    """
    executed = [event.data for event in events if event.event_type == EventType.TRADE_EXECUTED]
    ticks = ticks_from_events(executed)
    try:
        ticks_append(ticks)
        failpoint("ticks.before_tell", stored=bool(ticks))
        candle_tape().tell(ticks)
    except OperationalError as error:
        raise SinkUnavailable(f"market data: {error}") from error
