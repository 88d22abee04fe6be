"""Account streams between processes: group names, and the relay's way to send committed events to them."""

import asyncio
import threading
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from apps.events.records import EventRecord
from apps.events.relay import SinkUnavailable

MESSAGE_TYPE = "account.events"
MESSAGE_EVENTS_MAX = 100
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
    accounts: dict[int, list[EventRecord]] = {}
    for event in events:
        if event.account_id:
            accounts.setdefault(event.account_id, []).append(event)
    try:
        listened = _listened(list(accounts))
        if listened:
            _sent({account_id: accounts[account_id] for account_id in listened})
    except (RedisError, OSError, TimeoutError) as error:
        raise SinkUnavailable(f"account events cannot be sent: {error}") from error


def _listened(account_ids: Sequence[int]) -> list[int]:
    """Return the accounts that a socket of some process follows; for the others nothing need be packed.

    Whoever joins a group afterwards reads from the record where the account stands then.
    """
    if not account_ids:
        return []
    layer = settings.CHANNEL_LAYERS["default"]["CONFIG"]
    # The channel that channels_redis subscribes to for a group.
    prefix = f"{layer.get('prefix', 'asgi')}__group__"
    counts = _redis(layer["hosts"][0]).pubsub_numsub(*[prefix + account_group(n) for n in account_ids])
    return [account_id for account_id, (_, count) in zip(account_ids, counts, strict=True) if count]


@cache
def _redis(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=SEND_TIMEOUT_S, socket_connect_timeout=SEND_TIMEOUT_S)


def _sent(accounts: dict[int, list[EventRecord]]) -> None:
    sending = asyncio.run_coroutine_threadsafe(_send(accounts), _sender_loop())
    try:
        sending.result(timeout=SEND_TIMEOUT_S)
    except BaseException:
        sending.cancel()
        raise


async def _send(accounts: dict[int, list[EventRecord]]) -> None:
    for account_id, events in accounts.items():
        for first in range(0, len(events), MESSAGE_EVENTS_MAX):
            await _group_send(account_id, events[first : first + MESSAGE_EVENTS_MAX])


async def _group_send(account_id: int, events: Sequence[EventRecord]) -> None:
    message = {"type": MESSAGE_TYPE, "events": [event_wire(event) for event in events]}
    await get_channel_layer().group_send(account_group(account_id), message)


@cache
def _sender_loop() -> asyncio.AbstractEventLoop:
    # A loop that lives as long as the process keeps one connection; a loop a call would open one each time.
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="account-events", daemon=True).start()
    return loop
