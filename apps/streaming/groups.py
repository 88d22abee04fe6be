"""Account streams between processes: group names, and the relay's way to send committed events to them."""

import asyncio
import threading
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from apps.events.relay import EventRecord, SinkUnavailable

MESSAGE_TYPE = "account.event"
SEND_TIMEOUT_S = 5.0


def account_group(account_id: int) -> str:
    """Return the name of the group of sockets that follow an account."""
    return f"account.{account_id}"


def event_wire(event: EventRecord) -> dict[str, Any]:
    """Return an event as sockets get it: the specification's fields, exact figures as strings."""
    message = event.message()
    return {
        name: _exact(message[name])
        for name in ("event_id", "event_type", "account_id", "account_seq", "timestamp", "data")
    }


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return {name: _exact(part) for name, part in value.items()}
    return [_exact(part) for part in value] if isinstance(value, list) else value


def account_events_send(events: Sequence[EventRecord]) -> None:
    """Send committed events to the sockets that follow their accounts; raises ``SinkUnavailable``.

    What is lost on the way is not lost: a socket sees the gap in ``account_seq`` and reads what is missing.
    """
    addressed = [event for event in events if event.account_id]
    if not addressed:
        return
    sending = asyncio.run_coroutine_threadsafe(_send(addressed), _sender_loop())
    try:
        sending.result(timeout=SEND_TIMEOUT_S)
    except (RedisError, OSError, TimeoutError) as error:
        sending.cancel()
        raise SinkUnavailable(f"account events cannot be sent: {error}") from error


async def _send(events: Sequence[EventRecord]) -> None:
    for event in events:
        assert event.account_id is not None
        await _group_send(event.account_id, event_wire(event))


async def _group_send(account_id: int, event: dict[str, Any]) -> None:
    await get_channel_layer().group_send(account_group(account_id), {"type": MESSAGE_TYPE, "event": event})


@cache
def _sender_loop() -> asyncio.AbstractEventLoop:
    # A loop that lives as long as the process keeps one connection; a loop a call would open one each time.
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="account-events", daemon=True).start()
    return loop
